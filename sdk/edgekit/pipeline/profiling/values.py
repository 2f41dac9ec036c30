"""Histograms of what is rounded, with the ranges that were chosen over them and what lies outside."""

import math

import torch
from torch import Tensor, fx

from edgekit.bundles.cost import Histogram
from edgekit.bundles.profile import ChannelRange, LayerValues, ValueProfile
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.quantization.simulate import Simulation

_BINS = 64
# Channels of a weight that are shown: of hundreds of layers, so that the page stays small.
_CHANNELS = 32


def profile(simulation: Simulation) -> tuple[LayerValues, ...]:
    """Return what each layer rounds with everything in int8: what it reads, its weights and what it gives.

    Args:
        simulation: From `simulate`.
    """
    graph, plan = simulation.graph, simulation.without(())
    rounded = {observer for readers in plan.rounded.values() for observer in readers}
    given = {graph.sources[observer]: observer for observer in rounded}
    found = []
    for path, nodes in simulation.nodes.items():
        seen: dict[fx.Node, fx.Node] = {}
        for node in nodes:
            for source in node.all_input_nodes:
                if source in plan.rounded.get(node, ()):
                    seen.setdefault(graph.sources[source], source)
            if node in given:
                seen.setdefault(node, given[node])
        values = tuple(_value(simulation, source, observer) for source, observer in seen.items())
        found.append(LayerValues(path=path, values=values))
    return tuple(found)


def _value(simulation: Simulation, source: fx.Node, node: fx.Node) -> ValueProfile:
    observer = simulation.graph.observers[node]
    if isinstance(observer, PerChannelWeightObserver):
        return _weight(str(source.target), simulation.parameters.mended[str(source.target)], observer)
    return _activation(source.name, observer)


def _activation(name: str, observer: HistogramObserver) -> ValueProfile:
    """What falls in a bin counts as the bin's centre, so that what lies just outside of the range may be missed."""
    scale, zero_point = observer.parameters_chosen
    low, high = ((end - zero_point) * scale for end in (observer.quant_min, observer.quant_max))
    centres, counts = observer.histogram()
    outside = (centres < low - scale / 2) | (centres > high + scale / 2)
    return ValueProfile(
        name=name,
        kind="activation",
        histogram=_fewer_bins(observer.counts, -observer.reach, observer.reach),
        range_lo=low,
        range_hi=high,
        scale=scale,
        values=int(counts.sum()),
        saturated=int(counts[outside].sum()),
    )


def _weight(name: str, weight: Tensor, observer: PerChannelWeightObserver) -> ValueProfile:
    scales, _ = observer.calculate_qparams()
    rows = weight.detach().movedim(observer.ch_axis, 0).flatten(1).double()
    steps = rows / observer.spread(rows).double()
    outside = (steps < observer.quant_min - 0.5) | (steps > observer.quant_max + 0.5)
    widest = float(scales.max())
    ends = [float(end) for end in torch.aminmax(rows)]
    reach = max(ends[1] - ends[0], torch.finfo(torch.float32).tiny)
    counts = torch.histc(rows, _BINS, ends[0], ends[0] + reach)
    return ValueProfile(
        name=name,
        kind="weight",
        histogram=Histogram(lo=ends[0], hi=ends[0] + reach, counts=tuple(int(count) for count in counts)),
        range_lo=observer.quant_min * widest,
        range_hi=observer.quant_max * widest,
        scale=widest,
        values=rows.numel(),
        saturated=int(outside.sum()),
        channels=channels(rows, scales.double()),
    )


def channels(rows: Tensor, scales: Tensor) -> tuple[ChannelRange, ...]:
    """Return the ends and the step of each row, from the narrowest to the widest; of many, some of them.

    Args:
        rows: The weights, float64 of shape (channels, weights of each).
        scales: The steps, of shape (channels,) or (channels, groups).
    """
    steps = scales.reshape(len(rows), -1).amax(1)
    order = (rows.amax(1) - rows.amin(1)).argsort(stable=True)
    if len(order) > _CHANNELS:
        order = order[torch.linspace(0, len(order) - 1, _CHANNELS).round().long()]
    return tuple(
        ChannelRange(channel=at, lo=_short(rows[at].min()), hi=_short(rows[at].max()), scale=_short(steps[at]))
        for at in order.tolist()
    )


def _short(value: Tensor) -> float:
    """Return a number for a picture: five digits of it."""
    return float(f"{value.item():.5g}")


def _fewer_bins(counts: Tensor, low: float, high: float) -> Histogram:
    """Leave out the empty bins at both ends, and join the others until there are few enough."""
    width = (high - low) / len(counts)
    filled = torch.nonzero(counts)[:, 0]
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, 0)
    joined = math.ceil((last + 1 - first) / _BINS)
    kept = counts[first : last + 1]
    padded = torch.nn.functional.pad(kept, (0, -len(kept) % joined)).view(-1, joined).sum(1)
    lo = low + width * first
    return Histogram(lo=lo, hi=lo + width * joined * len(padded), counts=tuple(int(count) for count in padded))
