"""Find the operations that a delegate refuses, whose library says so with a number or not before the file is loaded.

The partitioner takes an operation by its kind; the delegate looks at more when it compiles. What it refuses is found by
leaving ever fewer operations outside, and then those alone stay outside, on the runtime's own kernels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from executorch.exir.dialects._ops import ops
from executorch.exir.pass_base import PassResult
from torch import fx

from edgekit.errors import EdgeKitError, LowerError
from edgekit.model import graph
from edgekit.model.artifact import Artifact

_edge = ops.edge.aten
_MOST_FOUND = 4
_MOST_TRIES = 40


@dataclass(frozen=True, kw_only=True)
class Try:
    """What came of one lowering."""

    artifact: Artifact | None
    error: EdgeKitError | None
    taken: tuple[fx.Node, ...]
    """What the delegate was given."""
    pieces: int = 0
    """Delegates and operations outside that the file consists of."""


Write = Callable[[frozenset[str]], Try]


def without_refused(name: str, first: Try, write: Write) -> Artifact:
    """Lower with as few operations outside as work.

    Args:
        name: The model's name, for messages.
        first: The lowering that failed.
        write: Lowers with the nodes of these names outside, and tries the file out.

    Raises:
        LowerError: If the file does not work however few operations are delegated, or too many are refused.
    """
    assert first.error is not None
    found: list[fx.Node] = []
    last, tries = first, 0

    def attempt(nodes: Sequence[fx.Node]) -> Try:
        nonlocal tries
        tries += 1
        return write(frozenset(node.name for node in (*found, *nodes)))

    while last.artifact is None and len(found) < _MOST_FOUND and tries < _MOST_TRIES:
        nodes = [node for node in last.taken if not _is_rounding(node)]
        if not nodes or attempt(nodes).artifact is None:
            raise _unknown(name, first.error)
        works, fails = 0, len(nodes)  # with so many of the first delegated
        while fails - works > 1 and tries < _MOST_TRIES:
            middle = (works + fails) // 2
            if attempt(nodes[middle:]).artifact is None:
                fails = middle
            else:
                works = middle
        found.append(nodes[fails - 1])
        last = attempt(())
        if last.artifact is None:
            alike = [node for node in last.taken if node.target == found[-1].target]
            if alike and (again := attempt(alike)).artifact is not None:
                found += alike
                last = again
    if last.artifact is None:
        if not found:
            raise _unknown(name, first.error)
        raise refusal(name, found, first.error) from first.error
    why = _reason(first.error)
    notes = tuple(f"model.pte: {_place(node)} is outside the delegate, which refuses it: {why}" for node in found)
    return _noted(last.artifact, notes)


def refusal(name: str, nodes: Sequence[fx.Node], error: EdgeKitError) -> LowerError:
    """Return the error that names the operations, the reason, and the ways out."""
    places = ", ".join(dict.fromkeys(map(_place, nodes)))
    paths = [path for path in dict.fromkeys(map(graph.module_path, nodes)) if path]
    keep = f"keep it in float, [quantize] float_layers = {paths!r}; " if paths else ""
    return LowerError(
        f"The delegate refuses {places} of {name}: {_reason(error)}",
        hint=f'Either {keep}or leave the format out, formats = ["onnx"]; or write the operation otherwise.',
    )


def compute_in_float(outside: frozenset[str]) -> Callable[[fx.GraphModule], PassResult]:
    """Return a pass after which operations outside read float: there are kernels for no other kind.

    Their integer weights are turned into float by operations that have kernels, and what is rounded while the program
    runs is read as it was before.
    """
    per_channel = ops.edge.quantized_decomposed.dequantize_per_channel.default

    def write(module: fx.GraphModule) -> PassResult:
        for node in list(module.graph.nodes):
            for source in node.all_input_nodes if node.name in outside else ():
                if source.target is per_channel:
                    node.replace_input_with(source, _dequantized(source))
                elif graph.is_dequantize(source) and graph.is_dynamic(source):
                    node.replace_input_with(source, source.all_input_nodes[0].all_input_nodes[0])
        module.graph.eliminate_dead_code()
        module.recompile()
        return PassResult(module, True)

    return write


def _dequantized(node: fx.Node) -> fx.Node:
    weights, scales, _, axis, *_ = node.args
    assert isinstance(weights, fx.Node)
    assert isinstance(scales, fx.Node)
    assert isinstance(axis, int)
    value = node.meta["val"]
    shape = [-1 if number == axis else 1 for number in range(value.dim())]
    with node.graph.inserting_before(node):
        wide = _float(weights)
        steps = _float(scales)
        each = node.graph.call_function(_edge.view_copy.default, (steps, shape))
        result = node.graph.call_function(_edge.mul.Tensor, (wide, each))  # symmetric: the zero points are zero
    each.meta = {**node.meta, "val": steps.meta["val"].view(shape)}
    result.meta = dict(node.meta)
    return result


def _float(node: fx.Node) -> fx.Node:
    value = node.meta["val"]
    if value.dtype is torch.float32:
        return node
    order: dict[str, Any] = {"dtype": torch.float32, "dim_order": list(range(value.dim()))}
    wide = node.graph.call_function(ops.edge.dim_order_ops._to_dim_order_copy.default, (node,), order)
    wide.meta = {**node.meta, "val": value.float()}
    return wide


def _is_rounding(node: fx.Node) -> bool:
    bookkeeping = graph.operation(node).startswith(("choose_qparams", "getitem"))
    return graph.is_quantize(node) or graph.is_dequantize(node) or bookkeeping


def _place(node: fx.Node) -> str:
    path = graph.module_path(node)
    return f"{graph.operation(node)} ({path})" if path else graph.operation(node)


def _reason(error: EdgeKitError) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") + "." if lines else type(error).__name__


def _unknown(name: str, error: EdgeKitError) -> EdgeKitError:
    """Return the error itself where it is not the delegate's: what is outside fails as well."""
    if isinstance(error, LowerError):
        return error
    failure = LowerError(
        f"The .pte of {name} does not run, and no operation that is delegated is the reason: {_reason(error)}",
        hint='Leave the format out, formats = ["onnx"]; keep layers in float; or write the operation otherwise.',
    )
    failure.__cause__ = error
    return failure


def _noted(artifact: Artifact, notes: tuple[str, ...]) -> Artifact:
    return replace(artifact, notes=(*artifact.notes, *dict.fromkeys(notes)))
