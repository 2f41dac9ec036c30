"""Where an artifact first departs from the quantized program, value by value, see ``observing``."""

from dataclasses import replace

import onnx

from edgekit.bundles.profile import Departure, LoweringLeg
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.metrics import sqnr_db
from edgekit.model.program import Captured, Quantized
from edgekit.pipeline.profiling.observing import TIPPED, Observed, compare, values
from edgekit.pipeline.profiling.places import Place, Tap, layers_of, spots
from edgekit.pipeline.profiling.tapped import Opener, here, tapped
from edgekit.spec import Cpu

# Samples that are compared: as many as have about so many inner values, within these bounds.
_VALUES = 2**28
_LEAST, _MOST = 8, 64


def observe(
    file: str,
    data: bytes,
    cpu: Cpu,
    quantized: Quantized,
    samples: Samples,
    taps: tuple[Tap, ...] = (),
    *,
    opener: Opener | None = None,
    allowed: float = TIPPED,
) -> Observed:
    """Compare an .onnx with the quantized program, at every place where both round and at the outputs.

    The integers behind each QuantizeLinear are made outputs of a copy of the model; that leaves the fused kernels of
    ONNX Runtime as they are. Float values that are tapped, too, keep what lies around them from being fused.

    Args:
        file: The artifact's file.
        data: Its bytes.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program.
        samples: What to feed both.
        taps: Float values to look at, too; of nodes of the graph that every such call makes of the program.
        opener: Loads copies of the file with more outputs; into this process unless given.
        allowed: Share of the values of a place that may be a step away.

    Raises:
        RunError: If ONNX Runtime cannot run the copy.
    """
    module = quantized.program.module(check_guards=False)
    model = onnx.load_model_from_string(data)
    found, missing = spots(model, module.graph)
    order = {node.name: number for number, node in enumerate(module.graph.nodes)}
    places: tuple[Place, ...] = tuple(sorted((*found, *taps), key=lambda place: order[place.node.name]))
    source = quantized.captured.source
    run = tapped(file, model, [place.output for place in places], opener or here(cpu, source), source)
    note = _note(len(found), missing, len(samples))
    observed = compare(module, places, run, quantized, samples, note, allowed=allowed)
    return replace(observed, note=note + _next_step(observed))


def of_onnx(
    file: str, data: bytes, cpu: Cpu, quantized: Quantized, samples: Samples, known: frozenset[str]
) -> LoweringLeg:
    """Say where an .onnx first departs from the quantized program, see `observe`.

    Args:
        file: The artifact's file.
        data: Its bytes.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program.
        samples: What to feed both.
        known: Paths of the layers; see `layers_of`.

    Raises:
        RunError: If ONNX Runtime cannot run the copy.
    """
    return leg(file, observe(file, data, cpu, quantized, samples), known)


def leg(file: str, observed: Observed, known: frozenset[str]) -> LoweringLeg:
    """Return what was observed as the numbers of a profile.

    Args:
        file: The artifact's file.
        observed: What was seen.
        known: Paths of the layers; see `layers_of`.
    """
    layers = layers_of(observed.module.graph, known)
    paths = [layers.get(one.node.name, "") for one in observed.seen]
    return LoweringLeg(
        artifact=file,
        observed=tuple(one.sums.departure(one.name, path) for one, path in zip(observed.seen, paths, strict=True)),
        first=None if (first := observed.first) is None else paths[observed.seen.index(first)] or first.name,
        note=observed.note,
    )


def enough(captured: Captured, samples: Samples) -> Samples:
    """Return as many of the samples, evenly spread, as give each place values enough to tell: of large networks few."""
    return samples.spread(int(min(_MOST, max(_LEAST, _VALUES // values(captured)))))


def of_outputs(file: str, quantized: Trace, candidate: Trace, note: str) -> LoweringLeg:
    """Compare the outputs alone, where a runtime shows nothing else.

    Args:
        file: The artifact's file.
        quantized: What the quantized program gave.
        candidate: What the artifact gave for the same samples.
        note: Why there is no more.
    """
    observed = []
    for name, array in quantized.outputs.items():
        ratio = sqnr_db(array, candidate.outputs[name])
        observed.append(Departure(name=name, path="", sqnr_db=ratio))
    return LoweringLeg(artifact=file, observed=tuple(observed), first=None, note=note)


def _next_step(observed: Observed) -> str:
    """Say where most values are a step away, if these are more than kernels and program tell apart by rounding."""
    shares = {one.name: one.sums.tipped / max(one.sums.count, 1) for one in observed.seen if not one.sums.departs}
    most = max(shares, key=lambda name: shares[name], default="")
    if shares.get(most, 0.0) <= TIPPED:
        return ""
    places = sum(share > TIPPED for share in shares.values())
    return (
        f" At {places} of them more than {TIPPED:.0%} of the values are one step away, most at {most}: "
        f"{100 * shares[most]:.1f} %."
    )


def _note(count: int, missing: int, samples: int) -> str:
    seen = f"Seen at {count} places where the program rounds and at the outputs, on {samples} samples."
    left = f" {missing} more places have no counterpart in the file." if missing else ""
    return seen + left
