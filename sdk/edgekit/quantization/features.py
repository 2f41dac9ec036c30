"""Inputs whose features differ by orders of magnitude, or lie far from zero: raw sensors, tables, pressures, Kelvin.

One step for a whole tensor is then larger than what some features vary by. Such an input is scaled in float, feature by
feature, to what was seen of each, and rounded afterwards; where a layer reads it at once, its weights take the
opposite, which changes nothing else: ``W x + b = (W s) (x - m) / s + (b + W m)``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from edgekit.data.samples import Samples
from edgekit.model.constants import EXACT, reads_exact
from edgekit.model.program import Source
from edgekit.quantization.attributes import attribute

_aten = torch.ops.aten
# Values that vary over fewer steps of their range than this are not worth rounding.
_LEAST_STEPS = 16
_STEPS = 255
_AT_ONCE = 64
# A feature that was never seen to vary may vary by so much of the input's range before it is cut off.
_STILL = 2.0**-16
# The least range of a feature, as a share of the input's: what varies less than that float32 hardly tells apart.
_LEAST_SHARE = 2.0**-40


@dataclass(frozen=True, kw_only=True)
class _Span:
    """What was seen of each feature of an input, float64 of shape (features,)."""

    low: Tensor
    high: Tensor

    @property
    def whole(self) -> float:
        """The range that holds all features, and zero, as the range of a tensor does."""
        return max(self.high.max().item(), 0.0) - min(self.low.min().item(), 0.0)

    @property
    def is_uneven(self) -> bool:
        """Whether some feature varies, and over too few steps of the whole range."""
        width = self.high - self.low
        varying = width[width > 0]
        return bool(len(varying)) and _are_few(varying.min().item(), self.whole)


def is_distant(low: float, high: float) -> bool:
    """Whether values between two ends vary over a few of the steps between zero and the further end."""
    return _are_few(high - low, max(high, 0.0) - min(low, 0.0))


def scale_features(module: fx.GraphModule, source: Source, calibration: Samples) -> tuple[str, ...]:
    """Scale the features of inputs that linear layers read, in place, where they differ too much for one step.

    Args:
        module: A captured float graph each of whose layers has parameters of its own.
        source: The model, for the names of its inputs.
        calibration: Samples that are typical of what the model will see.

    Returns:
        The names of all inputs, as the graph has them, whose first operations must not be rounded.
    """
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    axes = {spec.name: axis for spec, node in zip(source.inputs, inputs, strict=True) if (axis := _axis(node))}
    if not axes:
        return ()
    spans = _seen(calibration, axes)
    uneven = []
    for spec, node in zip(source.inputs, inputs, strict=True):
        span = spans.get(spec.name)
        if span is None or not span.is_uneven:
            continue
        uneven.append(node.name)
        if layers := [user for user in node.users if user.target is _aten.linear.default and user.args[0] is node]:
            _scale(module, node, layers, span)
    if uneven:
        module.recompile()
    return tuple(uneven)


def note(graph: fx.Graph) -> str | None:
    """Name the inputs that are scaled before they are rounded; None: there are none."""
    names = [
        str(source.name)
        for node in graph.nodes
        if node.target is _aten.sub.Tensor and reads_exact(node)
        for source in node.all_input_nodes
        if source.op == "placeholder"
    ]
    if not names:
        return None
    return (
        f"The features of {', '.join(names)} differ too much for one step: each is scaled in float to what calibration "
        "has seen of it, and rounded then."
    )


def _are_few(width: float, whole: float) -> bool:
    """Whether what varies has too few of the steps of a whole range; what does not vary needs none."""
    return 0 < width * _STEPS < _LEAST_STEPS * whole


def _axis(node: fx.Node) -> int | None:
    """Return the dimension of the features of an input: the last for a linear layer, else that of channels.

    None for pictures, whose channels are alike, and for what is no float.
    """
    value = node.meta["val"]
    if not value.is_floating_point() or value.dim() not in (2, 3) or not node.users:
        return None
    by_last = any(user.target is _aten.linear.default for user in node.users)
    return value.dim() - 1 if by_last else 1


def _seen(calibration: Samples, axes: dict[str, int]) -> dict[str, _Span]:
    """Return the spans of the features of some inputs, in one pass."""
    spans: dict[str, _Span] = {}
    for part in calibration.batches(_AT_ONCE):
        for name, axis in axes.items():
            values = torch.from_numpy(part.array(name)).double()
            values = values.movedim(axis, -1).flatten(0, -2)
            values = values[torch.isfinite(values).all(-1)]
            if not len(values):
                continue
            low, high = values.amin(0), values.amax(0)
            if (before := spans.get(name)) is not None:
                if before.low.shape != low.shape:  # a length that varies is no dimension of features
                    continue
                low, high = torch.minimum(before.low, low), torch.maximum(before.high, high)
            spans[name] = _Span(low=low, high=high)
    return spans


def _scale(module: fx.GraphModule, node: fx.Node, layers: list[fx.Node], span: _Span) -> None:
    """Put the scaling behind an input, and its opposite in the weights of the linear layers that read it."""
    middle = (span.low + span.high) / 2
    width = span.high - span.low
    reach = torch.where(width > 0, width / 2, span.whole * _STILL).clamp(min=span.whole * _LEAST_SHARE)
    middle, reach = middle.float().double(), (1 / (1 / reach).float()).double()  # what the constants hold
    with module.graph.inserting_before(layers[0]):
        constants = [
            _buffer(module, node, f"{EXACT}{node.name}_{what}", values)
            for what, values in (("middle", middle), ("scale", 1 / reach))
        ]
        centred = module.graph.call_function(_aten.sub.Tensor, (node, constants[0]))
        scaled = module.graph.call_function(_aten.mul.Tensor, (centred, constants[1]))
    for added in (centred, scaled):
        added.meta = {key: value for key, value in layers[0].meta.items() if key != "val"} | {"val": node.meta["val"]}
    for layer in layers:
        weight, bias = layer.args[1], layer.args[2] if len(layer.args) > 2 else None
        assert isinstance(weight, fx.Node)
        held = attribute(module, weight).double()
        moved = held @ middle
        if isinstance(bias, fx.Node):
            moved = moved + attribute(module, bias).double()
        with module.graph.inserting_before(layer):
            layer.args = (
                scaled,
                _parameter(module, layer, f"{layer.name}_weight_of_scaled", held * reach),
                _parameter(module, layer, f"{layer.name}_bias_of_scaled", moved),
            )
    module.graph.eliminate_dead_code()


def _buffer(module: fx.GraphModule, like: fx.Node, name: str, values: Tensor) -> fx.Node:
    module.register_buffer(name, values.float())
    return _read(module, like, name, values)


def _parameter(module: fx.GraphModule, like: fx.Node, name: str, values: Tensor) -> fx.Node:
    module.register_parameter(name, nn.Parameter(values.float().contiguous(), requires_grad=False))
    return _read(module, like, name, values)


def _read(module: fx.GraphModule, like: fx.Node, name: str, values: Tensor) -> fx.Node:
    node = module.graph.get_attr(name)
    node.meta = {"val": like.meta["val"].new_empty(values.shape)}
    return node
