"""Write numbers beside float values so that they cost no conversion, neither of types nor of memory layout."""

from typing import Any

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import Writer, is_float, tensor_of
from edgekit.model.graph import is_dequantize

_aten = torch.ops.aten
_SCALED = {_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor}


def write_numbers(write: Writer) -> None:
    """Write whole numbers as float, for each would be a tensor of its own type, and those beside pictures as such."""
    for node in list(write.program.graph.nodes):
        if node.op == "call_function" and node.target in _SCALED and is_float(node) and len(node.args) == 2:
            node.args = tuple(_as_float(write, one) for one in node.args)
            data, number = node.args
            if isinstance(number, int | float) and not isinstance(number, bool) and isinstance(data, fx.Node):
                node.args = (data, write.beside(data, float(number)))
    write.finish()


def _as_float(write: Writer, operand: Any) -> Any:
    """Return a constant of another type, as coordinates and masks are, as float32: nothing is left to convert."""
    known = tensor_of(write.program, operand)
    return operand if known is None or known.dtype is torch.float32 else write.unnamed(known.float())


def read_apart(graph: fx.Graph) -> None:
    """Give every reader of dequantized values a dequantization of its own.

    XNNPACK's passes change the memory layout of such values for all readers when one of them asks for it: what was
    told before that they lie otherwise cannot be run (error 0x1, ExecuTorch 1.5.1).
    """
    for node in list(graph.nodes):
        if node.op != "call_function" or not is_dequantize(node) or len(node.all_input_nodes) != 1:
            continue
        for user in list(node.users)[1:]:
            with graph.inserting_before(user):
                own = graph.call_function(node.target, node.args, node.kwargs)
            own.meta = dict(node.meta)
            user.replace_input_with(node, own)
