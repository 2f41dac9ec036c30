"""Operators with weights become layers of torch, which the quantizer knows; the weights keep the file's names."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.model.programs.onnx.node import Node, OnnxError
from edgekit.model.programs.onnx.windows import Window

Weights = dict[str, Tensor]


class Convolution(nn.Module):
    """A convolution, transposed or not, with the padding that ONNX allows in front of it."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, window: Window, *, transposed: bool) -> None:
        super().__init__()
        self.weight, self.bias, self.window, self.transposed = weight, bias, window, transposed

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x (batch, channels, ...)."""
        window, rank = self.window, x.ndim - 3
        if self.transposed:
            call: Any = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[rank]
            padding, cut = window.of_transposed()
            found = call(
                x,
                self.weight,
                self.bias,
                window.strides,
                padding,
                window.output_padding,
                window.group,
                window.dilations,
            )
            return window.cut(found, cut)
        x, padding = window.padded(x, 0.0)
        call = (functional.conv1d, functional.conv2d, functional.conv3d)[rank]
        result: Tensor = call(x, self.weight, self.bias, window.strides, padding, window.dilations, window.group)
        return result


class BatchNorm(nn.Module):
    """A batch norm of any rank, with fixed statistics."""

    def __init__(self, weights: list[Tensor], epsilon: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weights[0]), nn.Parameter(weights[1])
        self.register_buffer("running_mean", weights[2])
        self.register_buffer("running_var", weights[3])
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised by channel."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return functional.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.epsilon)


class Recurrent(nn.Module):
    """LSTM, GRU or RNN in the layout of ONNX: (steps, batch, features), directions beside each other."""

    def __init__(self, layer: nn.RNNBase, *, reverse: bool) -> None:
        super().__init__()
        self.layer, self.reverse = layer, reverse

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return outputs (steps, directions, batch, hidden) and the last states."""
        given: Any = None
        if states:
            given = tuple(states) if isinstance(self.layer, nn.LSTM) else states[0]
        x = x.flip(0) if self.reverse else x
        found, last = self.layer(x, given)
        found = found.flip(0) if self.reverse else found
        directions = 2 if self.layer.bidirectional else 1
        found = found.unflatten(2, (directions, self.layer.hidden_size)).transpose(1, 2)
        return (found, *last) if isinstance(last, tuple) else (found, last)


def layer_of(node: Node, weights: Weights) -> nn.Module | None:
    """Return the layer of a node whose weights stand in the file, or None if it needs none.

    Args:
        node: The node.
        weights: The file's tensors by name.

    Raises:
        OnnxError: If the operator has weights and a form that torch has not.
    """
    found = [weights.get(name) for name in node.reads]
    match node.op:
        case "Conv" | "ConvTranspose" if len(found) > 1 and found[1] is not None:
            bias = found[2] if len(found) > 2 and node.reads[2] else None
            window = Window.of(node, found[1].ndim - 2, tuple(found[1].shape[2:]))
            parameter = None if bias is None else nn.Parameter(bias)
            return Convolution(nn.Parameter(found[1]), parameter, window, transposed=node.op == "ConvTranspose")
        case "BatchNormalization" if all(one is not None for one in found[1:5]):
            return BatchNorm([one for one in found[1:5] if one is not None], node.attribute("epsilon", 1e-5))
        case "Gemm" if found[1] is not None and found[1].ndim == 2 and _is_linear(node, found):
            weight = found[1] if node.attribute("transB", 0) else found[1].t()
            return _linear(weight, found[2] if len(found) > 2 else None)
        case "MatMul" if found[1] is not None and found[1].ndim == 2 and found[0] is None:
            return _linear(found[1].t(), found[2] if len(found) > 2 else None)
        case "Gather" if found[0] is not None and _is_table(node, found[0]) and found[1] is None:
            rows, width = found[0].shape
            return nn.Embedding(rows, width, _weight=found[0])
        case "LayerNormalization" if found[1] is not None and found[1].ndim == 1 and node.attribute("axis", -1) == -1:
            norm = nn.LayerNorm(len(found[1]), node.attribute("epsilon", 1e-5), bias=len(found) > 2)
            norm.weight = nn.Parameter(found[1])
            if len(found) > 2 and found[2] is not None:
                norm.bias = nn.Parameter(found[2])
            return norm
        case "PRelu" if found[1] is not None and found[1].squeeze().ndim <= 1:
            slope = nn.PReLU(found[1].numel())
            slope.weight = nn.Parameter(found[1].reshape(-1))
            return slope
        case "LSTM" | "GRU" | "RNN":
            return _recurrent(node, found)
    return None


def _is_table(node: Node, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and tensor.is_floating_point() and not node.attribute("axis", 0)


def _is_linear(node: Node, found: list[Tensor | None]) -> bool:
    plain = node.attribute("alpha", 1.0) == node.attribute("beta", 1.0) == 1.0 and not node.attribute("transA", 0)
    bias = found[2] if len(found) > 2 else None
    return plain and (len(found) < 3 or not node.reads[2] or (bias is not None and bias.squeeze().ndim <= 1))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.reshape(-1).expand(weight.shape[0]).contiguous())
    return layer


_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _recurrent(node: Node, found: list[Tensor | None]) -> Recurrent:
    weight, recurrent = found[1], found[2]
    if weight is None or recurrent is None:
        raise OnnxError("its weights are computed")
    directions, hidden = recurrent.shape[0], recurrent.shape[2]
    activations = [one.decode() if isinstance(one, bytes) else one for one in node.attribute("activations", [])]
    relu = node.op == "RNN" and activations == ["Relu"] * directions
    usual = not activations or activations == _USUAL[node.op] * directions
    if not (usual or relu) or node.attribute("clip") or node.attribute("layout") or node.attribute("input_forget"):
        raise OnnxError("its activations, clip or layout are not torch's")
    if node.op == "GRU" and not node.attribute("linear_before_reset", 0):
        raise OnnxError("linear_before_reset is 0: torch has the other form alone")
    if len(node.reads) > 7 and node.reads[7]:
        raise OnnxError("it has peepholes")
    kind: Any = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}[node.op]
    more = {"nonlinearity": "relu"} if relu else {}
    layer = kind(weight.shape[2], hidden, bidirectional=directions == 2, **more)
    bias = found[3] if len(found) > 3 and found[3] is not None else torch.zeros(directions, 2 * weight.shape[1])
    for direction in range(directions):
        end = "_reverse" if direction else ""
        both = bias[direction].chunk(2)
        parts = {
            "weight_ih": weight[direction],
            "weight_hh": recurrent[direction],
            "bias_ih": both[0],
            "bias_hh": both[1],
        }
        for name, part in parts.items():
            gates = part.chunk(len(_GATES[node.op]))
            ordered = torch.cat([gates[gate] for gate in _GATES[node.op]])
            getattr(layer, f"{name}_l0{end}").data = ordered
    return Recurrent(layer, reverse=node.attribute("direction", b"forward") in (b"reverse", "reverse"))
