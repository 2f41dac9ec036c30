"""Equalisation: scale channels so that all of them use the steps of the one scale that their tensor has."""

from collections import Counter
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute
from edgekit.quantization.channels import Channels, Kind, Reader, Tracked
from edgekit.quantization.tracking import measured, track

# How far ranges are evened out: the power that the ratio of two ranges is taken to. With 1, every channel would reach
# the end of the scale and have no room for what calibration did not see: that loses 1 dB on the MobileNetV2 of bench/.
_POWERS = tuple(step / 10 for step in range(8))
# A channel that hardly spoke during calibration may speak up later: it is scaled by no more than this.
_LARGEST_FACTOR = 16.0
# Values of a channel that calibration must have seen somewhere: the largest of fewer says too little. Scaled by it, a
# linear network on noise loses 5 dB with 128 values, 2 dB with 512, and gains 1 dB with 2048.
_LEAST_VALUES = 2048
_STEPS = 255
_WEIGHT_STEPS = 127


def equalize(module: fx.GraphModule, batches: Iterable[tuple[Tensor, ...]], kinds: frozenset[Kind]) -> int:
    """Scale channels in place; the network computes what it did, but for float rounding.

    Between two layers that is cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight
    Equalization and Bias Correction", https://arxiv.org/abs/1906.04721), between a layer norm and the linear layers
    behind it SmoothQuant (Xiao et al., https://arxiv.org/abs/2211.10438). With a scale for each output channel of a
    weight, rows cost nothing, and the range of a tensor is the burden; so here, too, a power says how much of it goes
    over to the weights that read the tensor: the one for which the predicted noise of these layers is least.

    Args:
        module: A captured float graph whose parameters are its own.
        batches: Calibration samples.
        kinds: Whose outputs are scaled.

    Returns:
        How many channels were scaled.
    """
    _describe_parameters(module)
    found = track(module.graph, kinds, _tied(module))
    if not found.readers:
        return 0
    statistics = _Statistics(module, measured(module.graph, found))
    with torch.no_grad():
        for batch in batches:
            statistics.run(*batch)
        factors = _choose(module, found, statistics)
        _apply(module, found, factors)
    module.recompile()
    return int((factors != 1).sum())


class _Statistics(fx.Interpreter):
    """Runs the graph and remembers largest magnitudes and mean squares, per channel, float64."""

    def __init__(self, module: fx.GraphModule, wanted: dict[fx.Node, Tracked]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.largest = {node: torch.zeros(len(tracked.channels)).double() for node, tracked in wanted.items()}
        self._sums = {node: torch.zeros(len(tracked.channels)).double() for node, tracked in wanted.items()}
        self.counts: Counter[fx.Node] = Counter()
        """Values seen of each channel."""

    def run_node(self, n: fx.Node) -> object:
        """Run a node, and note what came out."""
        value = super().run_node(n)
        if n in self.wanted and isinstance(value, Tensor):
            rows = value.movedim(self.wanted[n].axis, 0).flatten(1)
            self.largest[n] = torch.maximum(self.largest[n], rows.abs().amax(1).double())
            self._sums[n] += torch.square(rows).sum(1).double()
            self.counts[n] += rows.shape[1]
        return value

    def square(self, node: fx.Node) -> Tensor:
        """Return the mean square of each channel of a value."""
        return self._sums[node] / self.counts[node]


def _choose(module: fx.GraphModule, found: Channels, statistics: _Statistics) -> Tensor:
    """Return the factor of every channel, float64."""
    classes, held = found.classes()
    ranges = torch.zeros(len(classes), dtype=torch.float64)
    for node, tracked in statistics.wanted.items():
        ranges.scatter_reduce_(0, classes[tracked.channels], statistics.largest[node], "amax")
    most = torch.full_like(ranges, _LARGEST_FACTOR)
    for node, high in found.clamps:
        reach = high / ranges[classes[found.values[node].channels]].clamp(min=torch.finfo(torch.float32).tiny)
        most.scatter_reduce_(0, classes[found.values[node].channels], reach, "amin")
    free = ~held[classes] & (ranges[classes] > 0)
    groups = _groups(found, classes, list(statistics.wanted.values()))
    factors = torch.ones_like(ranges)
    for group in sorted(set(groups.tolist())):
        members = groups == group
        readers = [reader for reader in found.readers if groups[reader.channels[0]] == group]
        scaled = members & free
        seen = [statistics.counts[node] for node, tracked in statistics.wanted.items() if members[tracked.channels[0]]]
        if not readers or not scaled.any() or max(seen) < _LEAST_VALUES:
            continue
        ratios = ranges[classes[members]].max() / ranges[classes[scaled]]
        noises = [(reader, _noise(module, reader, statistics)) for reader in readers]
        tried = []
        for power in _POWERS:
            candidate = torch.ones_like(ranges)
            candidate[scaled] = torch.minimum(ratios**power, most[classes[scaled]]).clamp(min=1)
            noise = sum(noise_of(candidate[reader.channels]) for reader, noise_of in noises)
            tried.append((noise, candidate))
        best = min(tried, key=lambda pair: pair[0])[1]
        factors[scaled] = best[scaled]
    return factors


def _groups(found: Channels, classes: Tensor, values: list[Tracked]) -> Tensor:
    """Return a number for every channel, the same for those that share a tensor and so a scale, or a class."""
    groups = classes.clone()
    while True:
        before = groups.clone()
        for tracked in values:
            groups[tracked.channels] = groups[tracked.channels].min()
        groups = torch.full_like(groups, len(groups)).scatter_reduce(0, classes, groups, "amin")[classes]
        if torch.equal(groups, before):
            return groups


def _noise(module: fx.GraphModule, reader: Reader, statistics: _Statistics) -> Callable[[Tensor], float]:
    """Return what predicts, from the factors of its channels, the noise of a layer's output in relation to its signal.

    A rounded activation is off by its step / sqrt(12), times the weight that reads it; a rounded weight by its own
    step / sqrt(12), times the activation. The noise powers add up; inputs are taken for uncorrelated.
    """
    weight = attribute(module, reader.weight).double()
    weight = weight.reshape(reader.groups, len(weight) // reader.groups, weight.shape[1], -1)
    shape = (reader.groups, 1, -1, 1)
    square = statistics.square(reader.data).view(shape)
    signal = (torch.square(weight) * square).sum().clamp(min=torch.finfo(torch.float32).tiny)

    def noise(factors: Tensor) -> float:
        scale = factors.view(shape)
        scaled = weight / scale
        step = (statistics.largest[reader.data] * factors).max() / _STEPS
        weight_steps = scaled.abs().amax((2, 3), keepdim=True) / _WEIGHT_STEPS
        activations = step**2 * torch.square(scaled).sum()
        weights = (weight_steps**2 * square * scale**2).sum() * weight.shape[3]
        return float((activations + weights) / signal)

    return noise


def _apply(module: fx.GraphModule, found: Channels, factors: Tensor) -> None:
    for writer in found.writers:
        for node in writer.parameters:
            rows = attribute(module, node)
            rows *= factors[writer.channels].to(rows.dtype).view(-1, *[1] * (rows.ndim - 1))
        if writer.gate is not None and (factors[writer.channels] != 1).any():
            _scale_gate(module, writer.gate, factors[writer.channels].float().view(1, -1, 1, 1))
    for reader in found.readers:
        weight = attribute(module, reader.weight)
        grouped = weight.view(reader.groups, -1, *weight.shape[1:])
        grouped /= factors[reader.channels].to(weight.dtype).view(reader.groups, 1, -1, *[1] * (weight.ndim - 2))


def _scale_gate(module: fx.GraphModule, gate: fx.Node, factor: Tensor) -> None:
    name = f"scale_of_{gate.name}"
    module.register_buffer(name, factor)
    with module.graph.inserting_after(gate):
        constant = module.graph.get_attr(name)
    with module.graph.inserting_after(constant):
        product = module.graph.call_function(torch.ops.aten.mul.Tensor, (gate, constant))
    constant.meta["val"], product.meta = factor, dict(gate.meta)
    gate.replace_all_uses_with(product, delete_user_cb=lambda user: user is not product)


def _describe_parameters(module: fx.GraphModule) -> None:
    for node in module.graph.nodes:
        if node.op == "get_attr":
            node.meta["val"] = attribute(module, node)


def _tied(module: fx.GraphModule) -> frozenset[fx.Node]:
    """Return the parameters with more than one use, under whichever names."""
    nodes = [node for node in module.graph.nodes if node.op == "get_attr"]
    uses: Counter[int] = Counter()
    for node in nodes:
        uses[attribute(module, node).data_ptr()] += len(node.users)
    return frozenset(node for node in nodes if uses[attribute(module, node).data_ptr()] > 1)
