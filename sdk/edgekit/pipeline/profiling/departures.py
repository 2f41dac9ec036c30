"""Where an artifact first departs from the quantized program, value by value.

Two things are measured at each place where the program rounds. The SQNR against the program says how far the two have
come apart by then: values that lie between two steps fall to either side, and a deep network spreads that until little
can be told from it. So the program is run a second time, and goes on from the artifact's own values at each place: what
differs then was done by the artifact between the places before and this one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import fx

from edgekit.bundles.profile import Departure, LoweringLeg
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import RunError
from edgekit.execution import onnx as runtime
from edgekit.model.program import Captured, Quantized, Source, named_outputs
from edgekit.pipeline.profiling.places import Doubles, Spot, giver, layers_of, spots
from edgekit.quantization.portions import numbers
from edgekit.spec import Cpu

# Kernels and program round what lies between two steps to either: one value in 400 in the sample. More of them, or
# values that are more than a step apart, are another computation.
_TIPPED, _FAR = 0.02, 0.001
# Float outputs differ by the order of sums alone, at 100 dB and more.
_FLOAT_DB = 60.0
# Samples that are compared: as many as have about so many inner values, within these bounds.
_VALUES = 2**28
_LEAST, _MOST = 8, 64


@dataclass(kw_only=True)
class _Sums:
    """What was seen at one place so far."""

    signal: float = 0.0
    noise: float = 0.0
    own: float = 0.0
    tipped: int = 0
    far: int = 0
    count: int = 0
    rounds: bool = True

    def add(self, program: Doubles, artifact: Doubles, led: Doubles, step: float | None) -> None:
        """Count the values of one batch: the program's, the artifact's, and the program's led by the artifact's.

        Where a value is rounded, ``step`` is how far two neighbours are apart; a float value has none.
        """
        self.rounds = step is not None
        self.signal += float(np.square(program).sum())
        self.noise += float(np.square(program - artifact).sum())
        self.own += float(np.square(led - artifact).sum())
        self.count += artifact.size
        if step is not None:
            steps = np.abs(led - artifact) / step
            self.tipped += int((steps > 0.5).sum())
            self.far += int((steps > 1.5).sum())

    @property
    def departs(self) -> bool:
        """Whether what the artifact did here is more than rounding."""
        if self.rounds:
            return self.tipped > _TIPPED * self.count or self.far > _FAR * self.count
        own = _decibel(self.signal, self.own)
        return own is not None and own < _FLOAT_DB

    def departure(self, name: str, path: str) -> Departure:
        """Return the numbers of the place."""
        own = _decibel(self.signal, self.own)
        return Departure(name=name, path=path, sqnr_db=_decibel(self.signal, self.noise), own_sqnr_db=own)


def of_onnx(
    file: str, data: bytes, cpu: Cpu, quantized: Quantized, samples: Samples, known: frozenset[str]
) -> LoweringLeg:
    """Compare an .onnx with the quantized program, at every place where both round and at the outputs.

    The integers behind each QuantizeLinear are made outputs of a copy of the model; that leaves the fused kernels of
    ONNX Runtime as they are.

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
    module = quantized.program.module(check_guards=False)
    model = onnx.load_model_from_string(data)
    found, missing = spots(model, module.graph)
    layers = layers_of(module.graph, known)
    session = runtime.load(_with_outputs(model, found), cpu).session
    source = quantized.captured.source
    givers = {spot.node.name: giver(spot.node) for spot in found}
    ends = zip(source.outputs, _ends(module.graph), strict=True)
    givers |= {spec.name: giver(node) for spec, node in ends}
    sums = {name: _Sums() for name in givers}
    for part in samples.batches(source.batch or _at_once(quantized.captured), multiple=source.batch or 1):
        artifact = _run(session, part, file)
        values = {spot.node.name: spot.of_artifact(artifact[spot.output]) for spot in found}
        alone, led = (_walk(module, found, source, part, given) for given in ({}, values))
        for spot in found:
            name = spot.node.name
            sums[name].add(alone[name], values[name], led[name], spot.step)
        for spec in source.outputs:
            ours = artifact[spec.name].astype(np.float64)
            sums[spec.name].add(alone[spec.name], ours, led[spec.name], None)
    observed = []
    outputs = {spec.name for spec in source.outputs}
    for key, node in givers.items():
        name = key if key in outputs else node.name
        observed.append(sums[key].departure(name, layers.get(node.name, "")))
    departing = (seen.path or seen.name for key, seen in zip(givers, observed, strict=True) if sums[key].departs)
    return LoweringLeg(
        artifact=file,
        observed=tuple(observed),
        first=next(departing, None),
        note=_note(len(found), missing, len(samples)),
    )


def enough(captured: Captured, samples: Samples) -> Samples:
    """Return as many of the samples, evenly spread, as give each place values enough to tell: of large networks few."""
    return samples.spread(int(min(_MOST, max(_LEAST, _VALUES // _values(captured)))))


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


def _values(captured: Captured) -> float:
    """Return how many numbers a network computes for one sample."""
    return max(1.0, sum(numbers(captured).values()))


def _at_once(captured: Captured) -> int:
    """Return how many samples to compare at once: all their inner values are held, of both and of the program led."""
    return max(1, min(captured.rows, int(captured.memory.streams / (3 * 8 * _values(captured)))))


def _with_outputs(model: onnx.ModelProto, found: tuple[Spot, ...]) -> bytes:
    types = {item.name: item.data_type for item in model.graph.initializer}
    zero_points = {node.output[0]: node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for spot in found:
        value = model.graph.output.add()
        value.name, value.type.tensor_type.elem_type = spot.output, types[zero_points[spot.output]]
    return bytes(model.SerializeToString())


def _run(session: ort.InferenceSession, part: Samples, file: str) -> dict[str, Array]:
    names = [value.name for value in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, {name: part.array(name) for name in part.inputs}), strict=True))
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        raise RunError(f"ONNX Runtime fails on {file} with its inner values as outputs: {error}") from error


def _walk(
    module: fx.GraphModule, places: tuple[Spot, ...], source: Source, part: Samples, given: Mapping[str, Doubles]
) -> dict[str, Doubles]:
    """Run the program; return what it computed at each place by node, and its outputs by name."""
    walk = _Led(module, places, given)
    with torch.inference_mode():
        result = walk.run(*(torch.from_numpy(part.array(spec.name)) for spec in source.inputs))
    named = named_outputs(source.name, result, source.outputs)
    return walk.seen | {name: tensor.double().numpy() for name, tensor in named.items()}


class _Led(fx.Interpreter):
    """Runs the program, and at places goes on from the values that are given for them."""

    def __init__(self, module: fx.GraphModule, places: tuple[Spot, ...], given: Mapping[str, Doubles]) -> None:
        super().__init__(module)
        self._places = {spot.node.name: spot for spot in places}
        self._given = given
        self.seen: dict[str, Doubles] = {}
        """What the program computed at each place."""

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node."""
        value = super().run_node(n)
        spot = self._places.get(n.name)
        if spot is None:
            return value
        self.seen[n.name] = spot.of_program(value)
        return spot.as_program(self._given[n.name], value) if n.name in self._given else value


def _ends(program: fx.Graph) -> tuple[fx.Node, ...]:
    """Return the nodes that give the outputs, in order; one may give several."""
    (returned,) = program.output_node().args
    # The types of an fx node's arguments are wide: an exported module returns a flat sequence.
    return tuple(returned)  # type: ignore[arg-type]


def _decibel(signal: float, noise: float) -> float | None:
    if noise == 0:
        return None
    if not math.isfinite(noise):
        noise = float(np.finfo(np.float32).max)  # NaN or infinity: as far away as can be said
    return 10 * math.log10(max(signal, float(np.finfo(np.float32).tiny)) / noise)


def _note(count: int, missing: int, samples: int) -> str:
    seen = f"Seen at {count} places where the program rounds and at the outputs, on {samples} samples."
    left = f" {missing} more places have no counterpart in the file." if missing else ""
    return seen + left
