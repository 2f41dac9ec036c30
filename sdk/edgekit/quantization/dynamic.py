"""Observers of the dynamic schemes: activations that are quantized when they are there, weights in groups of 4 bits.

torchao lets an observer write the operations that take its place, see ``convert``: XNNPACK knows them as the linear
layers qd8-f32-qc8w and qd8-f32-qb4w.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torchao.quantization.pt2e import ObserverBase
from torchao.quantization.pt2e.utils import create_getattr_from_value

from edgekit.quantization.attributes import attribute
from edgekit.quantization.observers import EPS, PerChannelWeightObserver

_INT8 = (torch.int8, -128, 127)


class DynamicObserver(ObserverBase):
    """Remembers nothing: each row of an activation gets the range of its own values, as XNNPACK does it.

    A row is what one output of a linear layer is computed from; a batch or a sequence is many of them, and what is
    computed for one does not depend on the others.
    """

    def __init__(self, dtype: torch.dtype, **_unused: Any) -> None:
        super().__init__(dtype, is_dynamic=True)

    def forward(self, x: Tensor) -> Tensor:
        """Pass the values on."""
        return x

    def quantize(self, x: Tensor) -> Tensor:
        """Return ``x``, float32 of shape (..., features), rounded to the steps of each row and back."""
        rows = _rows(x)
        parameters = torch.ops.torchao.choose_qparams_affine(x, "ASYMMETRIC", rows, *_INT8, EPS)
        steps = torch.ops.torchao.quantize_affine(x, rows, *parameters, *_INT8)
        result: Tensor = torch.ops.torchao.dequantize_affine(steps, rows, *parameters, *_INT8)
        return result

    def calculate_qparams(self, **_unused: Any) -> tuple[Tensor, Tensor]:
        """There are none before the values are there."""
        raise RuntimeError("dynamic quantization has no parameters")

    def convert(self, model: fx.GraphModule, node: fx.Node) -> None:
        """Put the operations in the place of the observer's node."""
        (x,) = node.all_input_nodes
        rows, graph = _rows(x.meta["val"]), model.graph
        ops = torch.ops.torchao
        with graph.inserting_before(node):
            chosen = graph.call_function(
                ops.choose_qparams_affine.default, (x, "ASYMMETRIC", rows, *_INT8, EPS, torch.float32, torch.int32)
            )
            scale, zero = (graph.call_function(operator.getitem, (chosen, part)) for part in (0, 1))
            steps = graph.call_function(ops.quantize_affine.default, (x, rows, scale, zero, *_INT8))
            back = graph.call_function(ops.dequantize_affine.default, (steps, rows, scale, zero, *_INT8, torch.float32))
        node.replace_all_uses_with(back)
        graph.erase_node(node)


class PerChannelGroupWeightObserver(PerChannelWeightObserver):
    """Chooses a symmetric scale for each group of weights of an output channel of a linear layer.

    XNNPACK keeps the scales as bfloat16, so they are rounded to it here.
    """

    def __init__(self, *given: Any, group_size: int = 32, **options: Any) -> None:
        super().__init__(*given, **options)
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        """Choose the scales for a weight of shape (channels, inputs) when it is first seen, and pass it on."""
        if self.scale is None:
            scales = self._scales(x.detach().reshape(-1, self.group_size))
            self.scale = scales.bfloat16().float().view(len(x), -1)
        return x

    def quantize(self, x: Tensor) -> Tensor:
        """Return a weight rounded to the chosen steps and back."""
        return self.steps(x) * self.spread(x)

    def spread(self, x: Tensor) -> Tensor:
        """Return the scale of each weight, float32 of the weight's shape."""
        scale, _ = self.calculate_qparams()
        return scale.repeat_interleave(self.group_size, 1)

    def steps(self, x: Tensor) -> Tensor:
        """Return the integers of a weight, float32 of its shape."""
        return torch.clamp(torch.round(x / self.spread(x)), self.quant_min, self.quant_max)

    def convert(self, model: fx.GraphModule, node: fx.Node) -> None:
        """Put the integers and their dequantization in the place of the observer's node."""
        (stored,) = node.all_input_nodes
        weight = attribute(model, stored)
        scale, zero = self.calculate_qparams()
        graph = model.graph

        def constant(name: str, value: Tensor) -> fx.Node:
            made: fx.Node = create_getattr_from_value(model, graph, name, value)
            return made

        with graph.inserting_before(node):
            back = graph.call_function(
                torch.ops.torchao.dequantize_affine.default,
                (
                    constant("_weight", self.steps(weight).to(torch.int8)),
                    (1, self.group_size),
                    constant("_scale", scale),
                    constant("_zero_point", zero),
                    torch.int8,
                    self.quant_min,
                    self.quant_max,
                    torch.float32,
                ),
            )
        node.replace_all_uses_with(back)
        graph.erase_node(node)


def _rows(x: Tensor) -> list[int]:
    return [*[1] * (x.ndim - 1), int(x.shape[-1])]
