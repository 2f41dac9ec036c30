"""Find the operations that a delegate refuses, whose library says so with a number or not before the file is loaded.

The partitioner takes an operation by its kind; the delegate looks at more when it compiles. What it refuses is found by
leaving ever fewer operations outside, and then those alone stay outside, on the runtime's own kernels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from executorch.exir.dialects._ops import ops
from executorch.exir.pass_base import PassResult
from torch import fx

from edgekit.errors import CompatibilityError, EdgeKitError, LowerError
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
        CompatibilityError: If the app's runtime lacks what is outside already.
        LowerError: If the file does not work however few operations are delegated, or too many are refused.
    """
    assert first.error is not None
    if isinstance(first.error, CompatibilityError):  # more outside would need more of the runtime, not less
        raise first.error
    search = _Search(write=write)
    last = first
    while last.artifact is None and len(search.found) < _MOST_FOUND and search.tries < _MOST_TRIES:
        culprit = search.first_refused([node for node in last.taken if not _is_rounding(node)])
        if culprit is None:
            raise _unknown(name, first.error)
        last = search.leave_out(culprit)
    if last.artifact is not None:
        why = _reason(first.error)
        notes = (
            f"model.pte: {graph.place(one)} is outside the delegate, which refuses it: {why}" for one in search.found
        )
        return replace(last.artifact, notes=(*last.artifact.notes, *dict.fromkeys(notes)))
    if not search.found:
        raise _unknown(name, first.error)
    raise refusal(name, search.found, first.error) from first.error


@dataclass(kw_only=True)
class _Search:
    """What was found so far, and how often something was lowered for it."""

    write: Write
    found: list[fx.Node] = field(default_factory=list)
    tries: int = 0

    def attempt(self, nodes: Sequence[fx.Node]) -> Try:
        """Lower without what was found, and without these."""
        self.tries += 1
        return self.write(frozenset(node.name for node in (*self.found, *nodes)))

    def first_refused(self, nodes: Sequence[fx.Node]) -> fx.Node | None:
        """Return the first node with which the file fails, of those that are delegated; None where it is none of them.

        So many of the first work delegated, so many fail, and what lies between is halved.
        """
        if not nodes or self.attempt(nodes).artifact is None:
            return None
        works, fails = 0, len(nodes)
        while fails - works > 1 and self.tries < _MOST_TRIES:
            middle = (works + fails) // 2
            if self.attempt(nodes[middle:]).artifact is None:
                fails = middle
            else:
                works = middle
        return nodes[fails - 1]

    def leave_out(self, node: fx.Node) -> Try:
        """Leave a node outside; where that is not enough, and all of its kind are, these."""
        self.found.append(node)
        last = self.attempt(())
        alike = [other for other in last.taken if other.target == node.target]
        if last.artifact is not None or not alike:
            return last
        without = self.attempt(alike)
        if without.artifact is None:
            return last
        self.found += alike
        return without


def refusal(name: str, nodes: Sequence[fx.Node], error: EdgeKitError) -> LowerError:
    """Return the error that names the operations, the reason, and the ways out."""
    places = ", ".join(dict.fromkeys(graph.place(node, with_line=True) for node in nodes))
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
