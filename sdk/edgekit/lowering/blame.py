"""Name the operation that an exporter has no form for, in place of the exporter's own text."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from executorch.exir.dialects.edge._ops import EdgeOpOverload
from torch import fx

from edgekit.errors import LowerError
from edgekit.model import graph
from edgekit.spec import Format

_UNKNOWN = (
    re.compile(r"Operator torch\._ops\.\w+\.(\w+)\.\w+ is not in Core ATen"),
    re.compile(r"No ONNX function found for <OpOverload\(op='\w+\.(\w+)'"),
    re.compile(r"No decompositions registered for .*?'\w+\.(\w+)'"),
    re.compile(r"Missing out variants: \{'\w+::(\w+)'"),
)
_MOST_PLACES = 3
# Transposed convolutions of volumes: the portable kernel takes signals and pictures.
_WITHOUT_KERNELS = {torch.ops.aten.conv_transpose3d.input}


def check_kernels(name: str, program: fx.Graph) -> None:
    """Refuse what neither XNNPACK nor ExecuTorch's own libraries compute, before it is lowered.

    Raises:
        LowerError: With the operation, and where it is.
    """
    for node in program.nodes:
        if node.op == "call_function" and node.target in _WITHOUT_KERNELS and _has_other_lengths(program, node):
            raise LowerError(
                f"{name} cannot be lowered to .pte: there is no kernel for {graph.place(node, with_line=True)} in "
                f"ExecuTorch's libraries.",
                hint="Write it with operations that there are kernels for, an upsampling and a convolution for "
                "instance; or leave the format out: formats = ['onnx'].",
            )
        if graph.is_recurrent(node) and _has_other_lengths(program, node):
            raise LowerError(
                f"{name} cannot be lowered to .pte: {graph.place(node, with_line=True)} is a loop over time there, "
                f"which takes a fixed number of steps, and the length of its sequence is not fixed.",
                hint="Fix the length: give it as a number in [[inputs]].shape, or in shapes=; take the sequence in "
                "pieces, with edgekit.streaming; or leave the format out: formats = ['onnx'].",
            )


def _has_other_lengths(program: fx.Graph, layer: fx.Node) -> bool:
    """Whether a layer reads a tensor of symbolic sizes that do not follow from the batch."""
    inputs = [node.meta.get("val") for node in program.find_nodes(op="placeholder")]
    batch = _symbols([one.shape[0] for one in inputs if isinstance(one, torch.Tensor) and one.dim()])
    return not _symbols(layer.all_input_nodes[0].meta["val"].shape) <= batch


def _symbols(sizes: Iterable[Any]) -> set[Any]:
    return {symbol for size in sizes if isinstance(size, torch.SymInt) for symbol in size.node.expr.free_symbols}


def blamed(
    name: str, program: fx.Graph, format: Format, error: BaseException, left: fx.Graph | None = None
) -> LowerError | None:
    """Return an error that names the operation, where it is, and the ways out; None where the text names none.

    Args:
        name: The model's name.
        program: What was lowered.
        format: What it was lowered to.
        error: What the exporter raised; its causes are read, too.
        left: What the delegates left. Where integers are turned into float there, what reads them is named: a delegate
            that takes a layer takes its integers with it.
    """
    text = "\n".join(str(one) for one in _causes(error))
    found = next((match[1] for pattern in _UNKNOWN if (match := pattern.search(text))), None)
    if found is None:
        return None
    calls = [node for node in program.nodes if node.op == "call_function"]
    nodes = [node for node in calls if _plain(graph.operation(node)) == _plain(found)]
    if left is not None and "quantize" in found:
        nodes = _readers([node for node in left.nodes if graph.operation(node) == found]) or nodes
    places = [*dict.fromkeys(graph.place(node, with_line=True) for node in nodes)][:_MOST_PLACES] or [found]
    other = {"pte", "onnx"} - {format.value}
    return LowerError(
        f"{name} cannot be lowered to .{format}, which has no form of the operation {', '.join(places)}.",
        hint=f"Write it with operations that there is a form for; take it out of the model, behind its last output or "
        f"before its first input; or leave the format out: formats = {sorted(other)!r}.",
    )


def _readers(nodes: list[fx.Node]) -> list[fx.Node]:
    """Return what computes with values, past what only moves them."""
    found = []
    while nodes:
        users = list(dict.fromkeys(user for node in nodes for user in node.users))
        found += [user for user in users if graph.is_compute(user) and isinstance(user.target, EdgeOpOverload)]
        nodes = [user for user in users if not graph.is_compute(user)]
    return found


def _plain(operation: str) -> str:
    """Return a name as ATen and its decompositions share it: ``erfinv`` is ``erf_inv`` there."""
    return operation.replace("_", "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
