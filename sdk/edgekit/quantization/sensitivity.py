"""Sensitivity: what quantization costs each layer, measured in simulation by both of the usual sweeps."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.drift.meaning import quick_metrics
from edgekit.drift.metrics import Metrics, sqnr_db
from edgekit.model.layers import Sensitivities, Sensitivity
from edgekit.quantization.simulate import Outputs, Simulation, sweep

_SEED = 0


def sensitivities(simulation: Simulation, samples: Samples) -> Sensitivities:
    """Quantize each layer alone, and all but each, and rank the layers by what they cost.

    Args:
        simulation: From `simulate`.
        samples: Evaluation samples; true values, if there are any, give the change of the task's metric. See `rows`.
    """
    everything = simulation.without(())
    floats, only = sweep(
        simulation,
        samples,
        simulation.without(simulation.layers),
        {path: simulation.alone(path) for path in simulation.layers},
    )
    quantized, all_but = sweep(
        simulation, samples, everything, {path: simulation.without([path]) for path in simulation.layers}
    )

    def drift(outputs: Outputs) -> dict[str, Metrics]:
        return quick_metrics(simulation.captured.source.outputs, floats, outputs, samples)

    before = sqnr(floats, quantized)
    found = [
        Sensitivity(
            layer=layer,
            only=drift(only[path]),
            all_but=drift(all_but[path]),
            only_sqnr_db=sqnr(floats, only[path]),
            all_but_sqnr_db=(after := sqnr(floats, all_but[path])),
            gain_db=gain(before, after),
        )
        for path, layer in simulation.layers.items()
    ]
    found.sort(key=lambda one: math.inf if one.only_sqnr_db is None else one.only_sqnr_db)
    return Sensitivities(samples=len(samples), all_int8=drift(quantized), all_int8_sqnr_db=before, ranking=tuple(found))


def sqnr(reference: Mapping[str, Rows], outputs: Mapping[str, Rows]) -> float | None:
    """Return the least SQNR over the outputs in dB; None if all are identical."""
    ratios = (sqnr_db(values, outputs[name]) for name, values in reference.items())
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def gain(before: float | None, after: float | None) -> float | None:
    """Return the difference in dB; None if nothing is left to gain."""
    if before is None:
        return 0.0
    return None if after is None else after - before


def rows(simulation: Simulation, count: int, most: int = 256) -> npt.NDArray[np.int64]:
    """Return which of the evaluation samples to measure on: the same ones each time, in order, drawn at random.

    Args:
        simulation: The more layers and the larger outputs it has, the fewer samples a sweep can hold.
        count: Number of samples that there are.
        most: The largest number wanted.
    """
    outputs = simulation.captured.program.graph.output_node().all_input_nodes
    # Without the symbolic sizes what is left is one sample's.
    sizes = [[size for size in node.meta["val"].shape if isinstance(size, int)] for node in outputs]
    each = 4 * sum(map(math.prod, sizes)) * (len(simulation.layers) + 1)
    wanted = min(count, most, max(1, simulation.captured.memory.answers // each))
    return np.sort(np.random.default_rng(_SEED).permutation(count)[:wanted])
