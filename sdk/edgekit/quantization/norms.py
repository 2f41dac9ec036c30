"""Batch norms that no convolution takes into its weights become layers that are quantized as any other.

In eval mode a batch norm multiplies each channel and adds to it. Behind a convolution torchao folds it into the
weights. Elsewhere (behind an activation, a sum, a concatenation: DenseNet and pre-activation networks) it would stay in
float between two roundings, and torchao would trace patterns of its own for as long as one is left, 20 s of CPU time.
"""

import torch
from torch import Tensor, fx, nn

from edgekit.quantization.attributes import attribute

_aten = torch.ops.aten
_FOLDED_BY_TORCHAO = {
    _aten.conv1d.default, _aten.conv1d.padding, _aten.conv2d.default, _aten.conv2d.padding, _aten.conv3d.default,
    _aten.conv3d.padding, _aten.conv_transpose1d.default, _aten.conv_transpose2d.input,
}  # fmt: skip
_DEPTHWISE = {3: _aten.conv1d.default, 4: _aten.conv2d.default}


def replace_norms(module: fx.GraphModule) -> int:
    """Write batch norms that nothing is folded into as linear layers, depthwise convolutions, or products and sums.

    Args:
        module: A captured float graph whose parameters are its own, each read by one layer; changed in place.

    Returns:
        How many were replaced.
    """
    replaced = 0
    for node in list(module.graph.nodes):
        if node.target is _aten.batch_norm.default and not node.args[5]:  # in eval mode
            before = node.args[0]
            alone = len(before.users) == 1
            if before.target in _FOLDED_BY_TORCHAO and alone:
                continue
            if before.target is _aten.linear.default and alone and _fold(module, before, node):
                result = before
            else:
                result = _layer(module, node)
            node.replace_all_uses_with(result)
            module.graph.erase_node(node)
            replaced += 1
    if replaced:
        module.graph.eliminate_dead_code()
        module.recompile()
    return replaced


def _factors(module: fx.GraphModule, node: fx.Node) -> tuple[Tensor, Tensor]:
    """Return what each channel is multiplied with and what is added, float32 of shape (channels,)."""
    _, gain, offset, mean, variance, _, _, eps, *_ = node.args
    average, spread = _tensor(module, mean), _tensor(module, variance)
    assert average is not None
    assert spread is not None
    assert isinstance(eps, float)
    scale = torch.rsqrt(spread.double() + eps)
    if (values := _tensor(module, gain)) is not None:
        scale = scale * values.double()
    shift = -average.double() * scale
    if (values := _tensor(module, offset)) is not None:
        shift = shift + values.double()
    return scale.float(), shift.float()


def _fold(module: fx.GraphModule, linear: fx.Node, node: fx.Node) -> bool:
    """Take a batch norm into the linear layer before it, if its channels are the layer's outputs."""
    weight = linear.args[1]
    if not isinstance(weight, fx.Node) or weight.op != "get_attr" or len(linear.meta["val"].shape) != 2:
        return False
    scale, shift = _factors(module, node)
    bias = _tensor(module, linear.args[2]) if len(linear.args) > 2 else None
    wide = attribute(module, weight) * scale[:, None]
    moved = shift if bias is None else bias * scale + shift
    linear.args = (
        linear.args[0],
        _constant(module, linear, f"{linear.name}_weight_normed", wide),
        _constant(module, linear, f"{linear.name}_bias_normed", moved),
    )
    return True


def _layer(module: fx.GraphModule, node: fx.Node) -> fx.Node:
    """Return what computes a batch norm by itself."""
    data, (scale, shift) = node.args[0], _factors(module, node)
    assert isinstance(data, fx.Node)
    rank, channels = len(node.meta["val"].shape), len(scale)
    graph = module.graph
    if rank in _DEPTHWISE:
        ones = [1] * (rank - 2)
        weight = _constant(module, node, f"{node.name}_weight", scale.reshape(channels, 1, *ones))
        bias = _constant(module, node, f"{node.name}_bias", shift)
        with graph.inserting_before(node):
            zeros = [0] * (rank - 2)
            result = graph.call_function(_DEPTHWISE[rank], (data, weight, bias, ones, zeros, ones, channels))
        result.meta = dict(node.meta)
        return result
    shape = (1, channels, *[1] * (rank - 2))
    gain = _constant(module, node, f"{node.name}_gain", scale.reshape(shape))
    offset = _constant(module, node, f"{node.name}_offset", shift.reshape(shape))
    with graph.inserting_before(node):
        product = graph.call_function(_aten.mul.Tensor, (data, gain))
        result = graph.call_function(_aten.add.Tensor, (product, offset))
    product.meta, result.meta = dict(node.meta), dict(node.meta)
    return result


def _tensor(module: fx.GraphModule, node: object) -> Tensor | None:
    return attribute(module, node) if isinstance(node, fx.Node) else None


def _constant(module: fx.GraphModule, before: fx.Node, name: str, values: Tensor) -> fx.Node:
    while hasattr(module, name):
        name += "_"
    module.register_parameter(name, nn.Parameter(values.contiguous(), requires_grad=False))
    with module.graph.inserting_before(before):
        node = module.graph.get_attr(name)
    node.meta = {"val": before.meta["val"].new_empty(values.shape)}
    return node
