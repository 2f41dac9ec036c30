"""Scalars beside tensors: those of float operations become tensors, which can be rounded; integers stay integers."""

import torch
from torch import Tensor, fx

_aten = torch.ops.aten
_BINARY = {_aten.add.Tensor, _aten.add_.Tensor, _aten.mul.Tensor, _aten.mul_.Tensor}


def is_float(node: fx.Node) -> bool:
    """Whether a node gives float32, the one type that is quantized."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype == torch.float32


def write_scalars(module: fx.GraphModule) -> None:
    """Write the scalar operands of sums and products of floats as tensors, in place.

    The quantizer's own pass does it for integers, too: an index to which zero is added is then a float.
    """
    graph = module.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target not in _BINARY or not is_float(node):
            continue
        for place, operand in enumerate(node.args):
            if isinstance(operand, int | float):
                node.update_arg(place, _constant(module, node, float(operand)))
    module.recompile()


def _constant(module: fx.GraphModule, reader: fx.Node, value: float) -> fx.Node:
    number = 0
    while hasattr(module, name := f"_tensor_constant_{number}"):
        number += 1
    tensor = torch.tensor(value)
    module.register_buffer(name, tensor)
    with module.graph.inserting_before(reader):
        node = module.graph.get_attr(name)
    node.meta["val"] = reader.meta["val"].fake_mode.from_tensor(tensor, static_shapes=True)
    return node
