"""Name the operation that an exporter has no form for, in place of the exporter's own text."""

import re
from collections.abc import Iterator

import torch
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
        if node.op == "call_function" and node.target in _WITHOUT_KERNELS:
            place = f" ({graph.module_path(node)})" if graph.module_path(node) else ""
            raise LowerError(
                f"{name} cannot be lowered to .pte: there is no kernel for {graph.operation(node)}{place} in "
                f"ExecuTorch's libraries.",
                hint="Write it with operations that there are kernels for, an upsampling and a convolution for "
                "instance; or leave the format out: formats = ['onnx'].",
            )


def blamed(name: str, program: fx.Graph, format: Format, error: BaseException) -> LowerError | None:
    """Return an error that names the operation, where it is, and the ways out; None where the text names none.

    Args:
        name: The model's name.
        program: What was lowered.
        format: What it was lowered to.
        error: What the exporter raised; its causes are read, too.
    """
    text = "\n".join(str(one) for one in _causes(error))
    found = next((match[1] for pattern in _UNKNOWN if (match := pattern.search(text))), None)
    if found is None:
        return None
    calls = [node for node in program.nodes if node.op == "call_function"]
    nodes = [node for node in calls if _plain(graph.operation(node)) == _plain(found)]
    found = graph.operation(nodes[0]) if nodes else found
    paths = [path for path in dict.fromkeys(map(graph.module_path, nodes)) if path][:_MOST_PLACES]
    other = {"pte", "onnx"} - {format.value}
    where = f" ({', '.join(paths)})" if paths else ""
    return LowerError(
        f"{name} cannot be lowered to .{format}, which has no form of the operation {found}{where}.",
        hint=f"Write it with operations that there is a form for; take it out of the model, behind its last output or "
        f"before its first input; or leave the format out: formats = {sorted(other)!r}.",
    )


def _plain(operation: str) -> str:
    """Return a name as ATen and its decompositions share it: ``erfinv`` is ``erf_inv`` there."""
    return operation.replace("_", "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
