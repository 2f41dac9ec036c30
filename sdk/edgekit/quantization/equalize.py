"""Equalisation: scale channels so that all of them use the steps of the one scale that their tensor has."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations

import torch
from torch import Tensor, fx

from edgekit.quantization.attributes import attribute, is_tensor
from edgekit.quantization.channels import Channels, Kind, Reader, Tracked, components
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


def equalize(module: fx.GraphModule, folds: Sequence[Iterable[tuple[Tensor, ...]]], kinds: frozenset[Kind]) -> int:
    """Scale channels in place; the network computes what it did, but for float rounding.

    Between two layers that is cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight
    Equalization and Bias Correction", https://arxiv.org/abs/1906.04721), between a layer norm and the linear layers
    behind it SmoothQuant (Xiao et al., https://arxiv.org/abs/2211.10438). With a scale for each output channel of a
    weight, rows cost nothing, and the range of a tensor is the burden; so here, too, a power says how much of it goes
    over to the weights that read the tensor: the one for which the predicted noise of these layers is least. It is
    predicted for the samples of one fold with the factors that another one gives; where it never gets less, nothing is
    scaled. Three photographs, say, leave channels silent that a fourth one wakes.

    Args:
        module: A captured float graph whose parameters are its own, each with one use, see `uses.separate`.
        folds: Calibration samples, in parts that differ; see `folds.halves`.
        kinds: Whose outputs are scaled.

    Returns:
        How many channels were scaled.
    """
    _describe_parameters(module)
    found = track(module.graph, kinds)
    if not found.readers:
        return 0
    statistics = _Statistics(module, measured(module.graph, found), len(folds))
    with torch.no_grad():
        for statistics.fold, batches in enumerate(folds):
            for batch in batches:
                statistics.run(*batch)
        factors = _choose(module, found, statistics)
        _apply(module, found, factors)
    module.recompile()
    return int((factors != 1).sum())


class _Statistics(fx.Interpreter):
    """Runs the graph and remembers largest magnitudes and mean squares, per fold and channel, float64."""

    def __init__(self, module: fx.GraphModule, wanted: dict[fx.Node, Tracked], folds: int) -> None:
        super().__init__(module)
        self.wanted, self.folds, self.fold = wanted, folds, 0
        self.largest = {node: torch.zeros(folds, len(tracked.channels)).double() for node, tracked in wanted.items()}
        self._sums = {node: torch.zeros(folds, len(tracked.channels)).double() for node, tracked in wanted.items()}
        self._counts: dict[fx.Node, Counter[int]] = {node: Counter() for node in wanted}

    def run_node(self, n: fx.Node) -> object:
        """Run a node, and note what came out."""
        value = super().run_node(n)
        if n in self.wanted and isinstance(value, Tensor):
            axes = [axis for axis in range(value.ndim) if axis != self.wanted[n].axis]
            largest, length = (torch.linalg.vector_norm(value, order, axes).double() for order in (math.inf, 2))
            self.largest[n][self.fold] = torch.maximum(self.largest[n][self.fold], largest)
            self._sums[n][self.fold] += torch.square(length)
            self._counts[n][self.fold] += value.numel() // len(largest)
        return value

    def count(self, node: fx.Node) -> int:
        """Return how many values of each channel were seen."""
        return self._counts[node].total()

    def square(self, node: fx.Node, fold: int) -> Tensor:
        """Return the mean square of each channel of a value."""
        return self._sums[node][fold] / max(1, self._counts[node][fold])


def _choose(module: fx.GraphModule, found: Channels, statistics: _Statistics) -> Tensor:
    """Return the factor of every channel, float64."""
    classes, held = found.classes()
    ranges = torch.zeros(statistics.folds, len(classes), dtype=torch.float64)
    for node, tracked in statistics.wanted.items():
        places = classes[tracked.channels].expand(statistics.folds, -1)
        ranges.scatter_reduce_(1, places, statistics.largest[node], "amax")
    ranges = torch.where(torch.isfinite(ranges), ranges, 0)  # channels that reach infinity stay as they are
    free = ~held[classes] & (ranges.amax(0)[classes] > 0)
    groups = _groups(classes, statistics.wanted.values())
    seen: Counter[int] = Counter()
    for node, tracked in statistics.wanted.items():
        group = int(groups[tracked.channels[0]])
        seen[group] = max(seen[group], statistics.count(node))
    readers: dict[int, list[Reader]] = {}
    for reader in found.readers:
        readers.setdefault(int(groups[reader.channels[0]]), []).append(reader)
    order = torch.argsort(groups, stable=True)  # the members of a group lie together
    numbers = torch.tensor(list(readers))
    starts, ends = (torch.searchsorted(groups[order], numbers, right=right).tolist() for right in (False, True))
    factors = torch.ones(len(classes), dtype=torch.float64)
    places = torch.empty_like(order)
    # What one fold would have done to another, and with a single one to itself.
    trials = list(permutations(range(statistics.folds), 2)) or [(0, 0)]
    for group, start, end in zip(readers, starts, ends, strict=True):
        members = order[start:end]
        places[members] = torch.arange(len(members))
        scaled = free[members]
        if not scaled.any() or seen[group] < _LEAST_VALUES:
            continue
        own = ranges[:, classes[members]]
        noise = torch.zeros(len(_POWERS), dtype=torch.float64)
        for fit, judge in trials:
            candidates = _candidates(own[fit], scaled)
            for reader in readers[group]:
                of_reader = candidates[:, places[reader.channels]]
                noise += _noise(module, reader, statistics, of_reader, judge)
        factors[members] = _candidates(own.amax(0), scaled)[int(noise.argmin())]
    return factors


def _candidates(ranges: Tensor, scaled: Tensor) -> Tensor:
    """Return the factors that each power gives, float64 of shape (powers, channels).

    Args:
        ranges: The largest magnitude of each channel, float64 of shape (channels,).
        scaled: Which of them may be scaled.
    """
    ratios = ranges.max() / ranges.clamp(min=torch.finfo(torch.float32).tiny)
    candidates = (ratios ** torch.tensor(_POWERS)[:, None]).clamp(1, _LARGEST_FACTOR)
    candidates[:, ~scaled] = 1
    return candidates


def _groups(classes: Tensor, values: Iterable[Tracked]) -> Tensor:
    """Return a number for every channel, the same for those that share a tensor and so a scale, or a class."""
    pairs = [(tracked.channels, tracked.channels[:1].expand_as(tracked.channels)) for tracked in values]
    return components(len(classes), [(torch.arange(len(classes)), classes), *pairs])


def _noise(module: fx.GraphModule, reader: Reader, statistics: _Statistics, factors: Tensor, fold: int) -> Tensor:
    """Return the predicted noise of a layer's output in relation to its signal for each choice of factors.

    A rounded activation is off by its step / sqrt(12), times the weight that reads it; a rounded weight by its own
    step / sqrt(12), times the activation. The noise powers add up; inputs are taken for uncorrelated.

    Args:
        module: The graph.
        reader: The layer.
        statistics: What it reads.
        factors: Those of its input channels, float64 of shape (choices, channels).
        fold: The samples whose signal and noise are meant; the range holds those of all folds.

    Returns:
        Noise by signal, float64 of shape (choices,).
    """
    weight = attribute(module, reader.weight)
    weight = weight.reshape(reader.groups, len(weight) // reader.groups, weight.shape[1], -1)
    square = statistics.square(reader.data, fold).view(reader.groups, -1)
    energies = torch.linalg.vector_norm(weight, 2, (1, 3), dtype=torch.float64).square()  # (groups, inputs)
    largest = torch.linalg.vector_norm(weight, math.inf, 3)  # (groups, outputs, inputs)
    signal = (energies * square).sum().clamp(min=torch.finfo(torch.float32).tiny)
    steps = (statistics.largest[reader.data].amax(0) * factors).amax(1) / _STEPS
    activations = steps.square() * (energies.view(-1) / factors.square()).sum(1)
    weights = torch.zeros_like(activations)
    for number, choice in enumerate(factors.view(len(factors), reader.groups, -1)):
        weight_steps = (largest / choice[:, None].float()).amax(2) / _WEIGHT_STEPS
        power = weight_steps.double().square().sum(1)  # of all outputs of a group
        weights[number] = (power * (square * choice.square()).sum(1)).sum() * weight.shape[3]
    noise: Tensor = (activations + weights) / signal
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
        if node.op == "get_attr" and is_tensor(module, node):
            node.meta["val"] = attribute(module, node)
