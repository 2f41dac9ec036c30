"""Which layers cost most: both sweeps, what keeping the worst of them in float would buy, and the lines for it."""

from dataclasses import dataclass

from edgekit.bundles.profile import LayerValues
from edgekit.data.samples import Samples
from edgekit.model.layers import Layer, Sensitivities, lines
from edgekit.model.program import Captured
from edgekit.pipeline.profiling import values
from edgekit.quantization.functions import WEIGHTED
from edgekit.quantization.grouping import describe, group
from edgekit.quantization.sensitivity import rows, sensitivities, sqnr
from edgekit.quantization.simulate import Simulation, run

# What a layer must gain alone to be worth its bytes, and how many are named at most.
_WORTH_DB = 0.5
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """What simulation tells of the layers."""

    sensitivities: Sensitivities
    values: tuple[LayerValues, ...]
    paste: tuple[str, ...]
    note: str
    """What the lines would buy."""


def suspects(simulation: Simulation, evaluation: Samples, most_share: float, kept: tuple[str, ...]) -> Suspects:
    """Rank the layers of a simulation.

    Args:
        simulation: From `simulate`.
        evaluation: The evaluation samples; some are drawn from them.
        most_share: The largest share of the weights that may stay float.
        kept: Layers that the settings keep in float already.
    """
    samples = evaluation.rows(rows(simulation, len(evaluation)))
    found = sensitivities(simulation, samples)
    worst = _worst(simulation, found, most_share)
    note = ""
    if worst:
        floats = run(simulation, samples, simulation.layers)
        after = sqnr(floats, run(simulation, samples, worst))
        extra = sum(simulation.layers[path].extra_bytes for path in worst)
        note = (
            f"Keeping {', '.join(worst)} in float takes {extra / 1000:,.1f} kB more and brings the SQNR from "
            f"{_ratio(found.all_int8_sqnr_db)} to {_ratio(after)} in simulation."
        )
    return Suspects(
        sensitivities=found,
        values=values.profile(simulation),
        paste=lines((*kept, *worst)) if worst else (),
        note=note,
    )


def all_layers(simulation: Simulation | None, captured: Captured) -> tuple[Layer, ...]:
    """Return the layers in the order of the graph: all that are quantized, and those that have weights."""
    if simulation is None:
        groups = group(captured.program.graph)
        marked = {path for path, nodes in groups.items() if any(node.target in WEIGHTED for node in nodes)}
    else:
        groups = group(simulation.graph.order[0].graph)
        weighted = {path for path, nodes in groups.items() if any(node.target in WEIGHTED for node in nodes)}
        marked = weighted | simulation.layers.keys()
    return tuple(describe(path, nodes) for path, nodes in groups.items() if path in marked)


def _worst(simulation: Simulation, found: Sensitivities, most_share: float) -> tuple[str, ...]:
    """Return the layers that gain most alone, as many as may stay float."""
    gaining = [one for one in found.ranking if one.gain_db is None or one.gain_db >= _WORTH_DB]
    gaining.sort(key=lambda one: float("-inf") if one.gain_db is None else -one.gain_db)
    weights = simulation.kept_weights
    worst: list[str] = []
    for one in gaining:
        if len(worst) < _NAMED and weights + one.layer.weights <= most_share * simulation.weights:
            weights += one.layer.weights
            worst.append(one.layer.path)
    return tuple(worst)


def _ratio(value: float | None) -> str:
    return "identical" if value is None else f"{value:.1f} dB"
