"""Weights of recurrent layers, float or stored as integers, taken apart by gate."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from executorch.exir.dialects._ops import ops
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgekit.lowering.rewriting.writer import Writer, tensor_of
from edgekit.model.graph import is_dequantize

_aten = torch.ops.aten
_dequantize = torch.ops.quantized_decomposed.dequantize_per_channel.default
_edge = ops.edge
_RANGE = (-127, 127, torch.int8)

Add = Callable[..., fx.Node]
Held = tuple[fx.Node | None, fx.Node | None, fx.Node | None]
"""A weight, transposed, with its scales and zero points where it is stored as integers."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A weight (outputs, inputs): float32, or int8 with the scale of each output, (outputs,)."""

    values: Tensor
    scale: Tensor | None

    def by_gate(self, gates: int) -> list["Weight"]:
        """Return the parts that belong to each gate."""
        scales = [None] * gates if self.scale is None else self.scale.chunk(gates)
        return [Weight(values=part, scale=one) for part, one in zip(self.values.chunk(gates), scales, strict=True)]


def weight_of(program: ExportedProgram, node: fx.Node) -> Weight | None:
    """Return the weight that a node is, or dequantizes; None if it is computed."""
    if is_dequantize(node) and node.target is _dequantize:
        values, scale = (tensor_of(program, one) for one in node.args[:2])
        return None if values is None or scale is None else Weight(values=values, scale=scale)
    values = tensor_of(program, node)
    return None if values is None else Weight(values=values, scale=None)


def multiplied(write: Writer, data: fx.Node, weight: Weight, bias: Tensor | None) -> fx.Node:
    """Return the products of data (..., inputs) with a weight, (..., outputs), and a bias (outputs,) added."""
    added = None if bias is None else write.unnamed(bias)
    if weight.scale is None:
        return write(_aten.linear.default, data, write.unnamed(weight.values), added)
    # Of what does not lie in order ExecuTorch makes a product for each sample, which it does not delegate.
    if not data.meta["val"].is_contiguous():
        data = write(_aten.contiguous.default, data)
    # XNNPACK multiplies float32 by int8 without a bias (f32-qc8w); it is no more than a sum for all steps at once.
    stored = (write.unnamed(one) for one in (weight.values, weight.scale, _zeros(weight.scale)))
    product = write(_aten.linear.default, data, write(_dequantize, *stored, 0, *_RANGE))
    return product if added is None else write(_aten.add.Tensor, product, added)


def transposed(weight: Weight) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return a weight as the body of a loop reads it, (inputs, outputs), with its scales and zero points.

    As it is it would be transposed outside of the delegate, as every linear layer in a loop is (ExecuTorch 1.5.1).
    """
    return weight.values.T, weight.scale, None if weight.scale is None else _zeros(weight.scale)


def multiplied_in_body(add: Add, data: fx.Node, held: Held, bias: fx.Node | None) -> fx.Node:
    """Return the products of data with a weight from `transposed`, and a bias added."""
    weight, scale, zero = held
    if scale is None:
        mm, addmm = _aten.mm.default, _aten.addmm.default
        return add(mm, data, weight) if bias is None else add(addmm, bias, data, weight)
    product = add(_aten.mm.default, data, add(_dequantize, weight, scale, zero, 1, *_RANGE))
    return product if bias is None else add(_aten.add.Tensor, product, bias)


def read_rows(module: fx.GraphModule) -> None:
    """Let products read the rows of integers, in a program and in its loops: the delegate has scales of rows only.

    Beside a loop ExecuTorch writes a linear layer as a product with what it transposes (1.5.1).
    """
    for node in module.graph.find_nodes(op="call_function", target=_edge.aten.mm.default):
        data, floats = node.args
        turned = isinstance(floats, fx.Node) and floats.target is _edge.aten.permute_copy.default
        floats = floats.args[0] if turned else floats
        if not (isinstance(floats, fx.Node) and is_dequantize(floats)):
            continue
        if not turned:
            stored, scale, zero, *_ = floats.args
            assert isinstance(stored, fx.Node)
            setattr(module, str(stored.target), getattr(module, str(stored.target)).T.contiguous())
            for one in (stored, floats):
                one.meta["val"] = one.meta["val"].T.contiguous()
            floats.args = (stored, scale, zero, 0, *_RANGE)
        node.target, node.args = _edge.aten.linear.default, (data, floats)


def _zeros(scale: Tensor) -> Tensor:
    return torch.zeros(len(scale), dtype=torch.int64)
