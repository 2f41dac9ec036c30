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
from edgekit.quantization.portions import numbers
from edgekit.quantization.simulate import Outputs, Simulation, run, sweep

_SEED = 0
# Layers are compared on as many samples as make about so many numbers in all, activations and weights counted once for
# each layer: a minute's work.
_WORK = 2**34
_FEW, _MANY = 16, 256
# Layers of which it is measured what they gain by staying float; of the others it is predicted, up to 10 dB.
_MEASURED = 16
_LEAST_REST = 0.1
# Those of them that gain most are measured again, on all samples.
_AGAIN = 3
# Runs on all samples whose outputs are held at once.
_RUNS = 4


def sensitivities(simulation: Simulation, samples: Samples) -> Sensitivities:
    """Quantize each layer alone, and all but each, and rank the layers by what they cost.

    A sweep costs half a forward pass a layer, and the biases of all but one layer cost two more halves. So in large
    networks layers are compared on few samples, see `comparable`, and of all but one layer those that cost most alone
    are measured, the best of these once more on all samples. For the others errors are taken to be independent: what a
    layer gains is its own.

    Args:
        simulation: From `simulate`.
        samples: Evaluation samples; true values, if there are any, give the change of the task's metric. See `rows`.
    """
    everything, paths = simulation.without(()), tuple(simulation.layers)
    few = samples.spread(comparable(simulation))

    def drift(reference: Outputs, outputs: Outputs, fed: Samples) -> dict[str, Metrics]:
        return quick_metrics(simulation.captured.source.outputs, reference, outputs, fed)

    whole, quantized = run(simulation, samples, paths), run(simulation, samples)
    before = sqnr(whole, quantized)
    plans = {path: simulation.alone(path) for path in paths}
    floats, only = sweep(simulation, few, simulation.without(paths), plans, len(few))
    alone = {path: sqnr(floats, outputs) for path, outputs in only.items()}
    ranked = sorted(paths, key=lambda path: math.inf if (ratio := alone[path]) is None else ratio)
    plans = {path: simulation.without([path]) for path in ranked[:_MEASURED]}
    rounded, all_but = sweep(simulation, few, everything, plans, len(few))
    start = sqnr(floats, rounded)
    gains = {path: gain(start, sqnr(floats, outputs)) for path, outputs in all_but.items()}
    if few is not samples:  # the best of many are the luckiest, too
        best = sorted(gains, key=lambda path: -math.inf if (more := gains[path]) is None else -more)[:_AGAIN]
        gains |= {path: gain(before, sqnr(whole, run(simulation, samples, [path]))) for path in best}

    def of(path: str) -> Sensitivity:
        measured = path in all_but
        more = gains[path] if measured else _predicted(start, alone[path])
        return Sensitivity(
            layer=simulation.layers[path],
            only=drift(floats, only[path], few),
            all_but=drift(floats, all_but[path], few) if measured else {},
            only_sqnr_db=alone[path],
            all_but_sqnr_db=None if before is None or more is None else before + more,
            gain_db=more,
            measured=measured,
        )

    return Sensitivities(
        samples=len(samples),
        compared=len(few),
        all_int8=drift(whole, quantized, samples),
        all_int8_sqnr_db=before,
        ranking=tuple(map(of, ranked)),
    )


def _predicted(before: float | None, alone: float | None) -> float:
    """Return the gain, in dB, of a layer whose error is a part of the whole, and independent of the rest."""
    if before is None or alone is None:
        return 0.0
    return -10 * math.log10(max(1 - 10 ** ((before - alone) / 10), _LEAST_REST))


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
        simulation: The larger outputs it has, the fewer samples are held.
        count: Number of samples that there are.
        most: The largest number wanted.
    """
    wanted = min(count, most, _held(simulation, _RUNS))
    return np.sort(np.random.default_rng(_SEED).permutation(count)[:wanted])


def comparable(simulation: Simulation) -> int:
    """Return how many samples many plans are compared on: of small networks many, 16 of large ones.

    The outputs of all plans are held at once, which may leave fewer.
    """
    one = sum(numbers(simulation.captured).values()) + simulation.weights
    wanted = int(_WORK / max(one * len(simulation.layers), 1))
    return min(max(_FEW, min(_MANY, wanted)), _held(simulation, len(simulation.layers) + 1))


def _held(simulation: Simulation, runs: int) -> int:
    """Return of how many samples the outputs of so many runs may be held."""
    outputs = simulation.captured.program.graph.output_node().all_input_nodes
    # Without the symbolic sizes what is left is one sample's.
    sizes = [[size for size in node.meta["val"].shape if isinstance(size, int)] for node in outputs]
    return max(1, simulation.captured.memory.answers // (4 * sum(map(math.prod, sizes)) * runs))
