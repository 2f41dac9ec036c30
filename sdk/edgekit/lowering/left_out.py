"""Puts together what an artifact leaves outside of its delegate or in float, with the reason and the cost."""

from collections.abc import Callable, Mapping, Sequence

from torch import fx
from torch.export import ExportedProgram

from edgekit.model import graph
from edgekit.model.effort import Weights, constants_of, time_of, total, weights_of
from edgekit.model.left_out import LeftOut

_NO_WEIGHTS = Weights(float_bytes=0, int8_bytes=0)


def left_out(
    program: ExportedProgram,
    floats: Mapping[fx.Node, str],
    outside: Sequence[fx.Node] = (),
    why: Callable[[fx.Node], str] = graph.operation,
) -> tuple[LeftOut, ...]:
    """Return the operations that no delegate takes or that compute in float, in the order of the graph.

    Args:
        program: The quantized program.
        floats: Its operations that compute in float where they were to compute with integers, each with the reason.
        outside: Operations of the lowered program that are in no delegate.
        why: Tells the reason for one of these.
    """
    beside: dict[tuple[str, str], list[fx.Node]] = {}
    for node in outside:
        beside.setdefault(_key(node), []).append(node)
    constants = constants_of(program)
    found: list[tuple[fx.Node, str, Weights, bool]] = []
    for node, reason in floats.items():
        alike = beside.get(_key(node))
        told = f"{reason}; {why(alike.pop(0))}" if alike else reason
        found.append((node, told, weights_of(node, constants), alike is not None))
        constants -= {one.name for one in node.all_input_nodes}  # what others read, too, is in the file once
    found += [(node, why(node), _NO_WEIGHTS, True) for nodes in beside.values() for node in nodes]
    times = [time_of(node, integers=False, outside=is_outside) for node, _, _, is_outside in found]
    whole = total(program.graph, frozenset(floats)) + sum(times)
    return tuple(
        _one(*one, in_float=one[0] in floats, share=time / whole) for one, time in zip(found, times, strict=True)
    )


def _key(node: fx.Node) -> tuple[str, str]:
    """Return what tells an operation in both programs: the lowering has names of its own, ``_softmax`` say."""
    return graph.operation(node).removesuffix("_copy").strip("_"), graph.module_path(node)


def _one(node: fx.Node, reason: str, weights: Weights, outside: bool, *, in_float: bool, share: float) -> LeftOut:
    return LeftOut(
        operation=graph.operation(node),
        path=graph.module_path(node),
        outside=outside,
        in_float=in_float,
        reason=reason,
        float_bytes=weights.float_bytes,
        int8_bytes=weights.int8_bytes,
        time_share=share,
    )
