"""Choice of the layers that fallback keeps in float, made in simulation.

Each step keeps one of those that are blamed: of the candidates that take away at least half as much of the remaining
noise as the best one does, the one with the fewest bytes. Candidates are the layers that do harm alone and, where none
of those helps much by itself, the layers that round the same value, together: each of them would leave it rounded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import fx

from edgekit.data.samples import Samples
from edgekit.model.graph import is_compute
from edgekit.model.layers import Kept, Outcome, Sensitivities
from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.sensitivity import gain, sqnr
from edgekit.quantization.simulate import Outputs, Simulation, run, sweep

# Of the best candidate's reduction of the noise.
_BLAMED = 0.5
# Of the remaining noise: a layer that does less alone is no candidate, one that takes away less is not worth its bytes.
_SUSPECT = 0.03
_WORTH = 0.05
# Of the remaining noise: if the best single layer takes away less, layers are tried together.
_ALONE = 0.2


@dataclass(frozen=True, kw_only=True)
class Search:
    """What layers are chosen by, and how much they may cost."""

    simulation: Simulation
    samples: Samples
    """Few, see `comparable`: every step runs every candidate on them."""
    judged: Samples
    """More: each step runs once on them."""
    sensitivities: Sensitivities
    most_weights: int
    """Weights that may stay float, those that the settings keep included."""
    most_bytes: int
    """Bytes that all layers together may add to an artifact."""

    def affords(self, paths: frozenset[str]) -> bool:
        """Whether layers may stay float together."""
        layers = [self.simulation.layers[path] for path in paths]
        weights = self.simulation.kept_weights + sum(layer.weights for layer in layers)
        return weights <= self.most_weights and sum(layer.extra_bytes for layer in layers) <= self.most_bytes


def keep(search: Search, kept: tuple[Kept, ...], enough: Callable[[Outputs], bool]) -> tuple[tuple[Kept, ...], Outcome]:
    """Keep more layers in float, at least one if there is one to keep, until it is enough.

    Args:
        search: What to choose by.
        kept: The layers kept so far.
        enough: Says of the outputs for the judged samples whether the budget is kept.

    Returns:
        All layers, and why there are no more.
    """
    simulation = search.simulation
    floats = run(simulation, search.judged, simulation.layers)
    before = sqnr(floats, run(simulation, search.judged, [one.layer.path for one in kept]))
    while True:
        choice, outcome = _next(search, frozenset(one.layer.path for one in kept))
        if not choice:
            return kept, outcome
        outputs = floats
        for path in sorted(choice, key=list(simulation.layers).index):
            outputs = run(simulation, search.judged, [*(one.layer.path for one in kept), path])
            after = sqnr(floats, outputs)
            kept = (*kept, Kept(layer=simulation.layers[path], sqnr_db=after, gain_db=gain(before, after)))
            before = after
        if enough(outputs):
            return kept, "met"


def _next(search: Search, kept: frozenset[str]) -> tuple[frozenset[str], Outcome]:
    """Return the layers to keep next, or none and why."""
    simulation = search.simulation
    base, few = simulation.without(kept), len(search.samples)
    floats = run(simulation, search.samples, simulation.layers)
    remaining = noise(floats, run(simulation, search.samples, kept, few))

    def reductions(candidates: Iterable[frozenset[str]]) -> dict[frozenset[str], float]:
        plans = {",".join(sorted(more)): (more, simulation.without(kept | more)) for more in candidates}
        _, outputs = sweep(simulation, search.samples, base, {name: plan for name, (_, plan) in plans.items()}, few)
        return {plans[name][0]: remaining - noise(floats, found) for name, found in outputs.items()}

    harm = {
        one.layer.path: 10 ** (-one.only_sqnr_db / 10)
        for one in search.sensitivities.ranking
        if one.only_sqnr_db is not None and one.layer.path not in kept
    }
    suspects = {path for path, alone in harm.items() if alone >= _SUSPECT * remaining}
    single = {frozenset([path]) for path in suspects}
    together = {more for owners in owners_of_values(simulation) if (more := owners - kept) & suspects and len(more) > 1}
    affordable = {more for more in single | together if search.affords(kept | more)}
    found = reductions(more for more in affordable if len(more) == 1)
    if max(found.values(), default=0.0) < _ALONE * remaining:
        found |= reductions(more for more in affordable if len(more) > 1)
    best = max(found.values(), default=0.0)
    if not best > _WORTH * remaining:
        return frozenset(), "no gain" if affordable == single | together else "limit"
    blamed = [more for more, reduction in found.items() if reduction >= _BLAMED * best]

    def cost(more: frozenset[str]) -> tuple[int, int, float, list[str]]:
        return sum(simulation.layers[p].extra_bytes for p in more), len(more), -found[more], sorted(more)

    return min(blamed, key=cost), "met"


def noise(reference: Outputs, outputs: Outputs) -> float:
    """Return the squared error as a share of the squared reference, added over the outputs."""
    return sum(
        float(np.square(values.astype(np.float64) - outputs[name]).sum())
        / max(float(np.square(values.astype(np.float64)).sum()), float(np.finfo(np.float32).tiny))
        for name, values in reference.items()
    )


def owners_of_values(simulation: Simulation) -> set[frozenset[str]]:
    """Return the sets of layers that round the same value: the one that gives it and those that read it."""
    layer_of = {node: path for path, nodes in simulation.nodes.items() for node in nodes}
    sources = simulation.graph.sources
    owners: dict[fx.Node, set[str]] = {}
    for node, path in layer_of.items():
        if node.meta[ANNOTATION].output_qspec is not None:
            owners.setdefault(node, set()).add(path)
        for source in node.all_input_nodes:
            if source in sources and sources[source].op != "get_attr":
                owners.setdefault(_giver(sources[source], sources), set()).add(path)
    return {frozenset(paths) for paths in owners.values()}


def _giver(node: fx.Node, sources: Mapping[fx.Node, fx.Node]) -> fx.Node:
    """Return the node that computed a value which others only moved."""
    while node.op == "call_function" and not is_compute(node) and len(node.all_input_nodes) == 1:
        before = node.all_input_nodes[0]
        node = sources.get(before, before)
    return node
