"""Write whole numbers beside float values as float: else each is a tensor of its own type, converted outside."""

import torch
from torch import fx

from edgekit.lowering.rewriting.writer import is_float

_aten = torch.ops.aten
_SCALED = {_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor}


def write_float_scalars(graph: fx.Graph) -> None:
    """Write them in place."""
    for node in graph.nodes:
        if node.op == "call_function" and node.target in _SCALED and is_float(node) and len(node.args) == 2:
            left, right = node.args
            if isinstance(right, int) and not isinstance(right, bool):
                node.args = (left, float(right))
