"""Profiling: a planted fault is found at its layer, what is counted is right, and costs are measured."""

import base64
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from edgekit import lowering
from edgekit.base.memory import Memory
from edgekit.base.progress import Silent
from edgekit.bundles.profile import LoweringLeg, Noise, ValueProfile
from edgekit.data.preprocess import normalized
from edgekit.data.samples import Samples
from edgekit.data.trace import Recording, Trace
from edgekit.errors import RunError
from edgekit.execution.eager import Precision, run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.program import Captured, Quantized
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.bisecting.bisect import standing_out
from edgekit.pipeline.build import build_job
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling import classes, cost, departures, measure, noise, values
from edgekit.pipeline.profiling.cost import Runs, Subject
from edgekit.pipeline.profiling.owners import owned
from edgekit.pipeline.profiling.suspects import Suspects, all_layers, suspects
from edgekit.quantization import quantize
from edgekit.quantization.simulate import Simulation, simulate
from edgekit.spec import (
    Budget,
    Format,
    FormatSchemes,
    OutermostLayer,
    Preprocessing,
    QuantSpec,
    Ranges,
    Resize,
    Scheme,
    TensorSpec,
)
from edgekit.targets import load
from tests.programs.networks import IMAGE, TwoInTwoOut, faulty_source, images, small_job, small_source
from tests.programs.test_schemes import Layers, vectors

pytestmark = pytest.mark.slow
TARGET = load("linux-x86_64")
CALIBRATION, EVALUATION = images(128, seed=1), images(64, seed=2)
ALL = QuantSpec(first_layer=OutermostLayer.INT8, last_layer=OutermostLayer.INT8)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The small network, captured, quantized and lowered."""

    captured: Captured
    quantized: Quantized
    known: frozenset[str]
    """Paths of the layers."""
    onnx: bytes
    pte: bytes

    def leg(self, data: bytes) -> LoweringLeg:
        """Hold an .onnx against the program."""
        return departures.of_onnx("model.onnx", data, TARGET.cpu, self.quantized, EVALUATION, self.known)


@pytest.fixture(scope="module")
def stages() -> Stages:
    """Run the stages once."""
    captured = capture(small_source(), CALIBRATION)
    quantized = quantize(captured, Scheme.INT8, ALL, CALIBRATION)
    known = frozenset(layer.path for layer in all_layers(simulate(captured, ALL, CALIBRATION), captured))
    files = {format: lowering.lower(format, TARGET, quantized, None)[0].data for format in (Format.PTE, Format.ONNX)}
    return Stages(
        captured=captured,
        quantized=quantized,
        known=known,
        onnx=files[Format.ONNX],
        pte=files[Format.PTE],
    )


def perturbed(data: bytes, number: int) -> bytes:
    """Return an .onnx in which one weight of one layer is another: the smallest fault of a lowering."""
    model = onnx.load_model_from_string(data)
    made = {node.output[0]: node for node in model.graph.node}
    constants = {item.name: item for item in model.graph.initializer}
    weighted = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    weight = constants[made[weighted[number].input[1]].input[0]]
    array = numpy_helper.to_array(weight).copy()
    place = np.unravel_index(np.abs(array.astype(np.int16)).argmax(), array.shape)
    array[place] = int(array[place]) // 2
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return bytes(model.SerializeToString())


def test_a_whole_artifact_departs_nowhere(stages: Stages) -> None:
    """At most one step apart, and that seldom: what each place adds alone is rounding."""
    leg = stages.leg(stages.onnx)
    assert leg.first is None
    assert [one.path for one in leg.observed[-1:]] == ["classifier"]
    assert {"stem.0", "depthwise.0", "gate.0"} <= {one.path for one in leg.observed}
    assert all(one.own_sqnr_db is None or one.own_sqnr_db > 50 for one in leg.observed)


@pytest.mark.parametrize(("number", "path"), [(0, "stem.0"), (1, "depthwise.0"), (2, "gate.0"), (3, "classifier")])
def test_a_perturbed_artifact_departs_at_its_layer(stages: Stages, number: int, path: str) -> None:
    """The layers before are what they were; what each layer behind adds alone is still rounding."""
    leg = stages.leg(perturbed(stages.onnx, number))
    assert leg.first == path
    faulty = [one.path for one in leg.observed if one.own_sqnr_db is not None and one.own_sqnr_db < 45]
    assert set(faulty) == {path}


def test_of_large_networks_fewer_samples_are_compared(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner values are held in memory: how many there are bounds the samples, and those that are held at once."""
    assert departures.enough(stages.captured, EVALUATION) is EVALUATION
    monkeypatch.setattr(departures, "_VALUES", 0)
    assert len(departures.enough(stages.captured, EVALUATION)) == 8
    little = dataclasses.replace(stages.captured, memory=Memory(given=1))
    alone = dataclasses.replace(stages, quantized=dataclasses.replace(stages.quantized, captured=little))
    sizes = []
    batches = Samples.batches

    def noted(self: Samples, size: int, *, multiple: int = 1) -> Iterator[Samples]:
        sizes.append(size)
        return batches(self, size, multiple=multiple)

    monkeypatch.setattr(Samples, "batches", noted)
    assert alone.leg(stages.onnx).first is None
    assert alone.leg(perturbed(stages.onnx, 1)).first == "depthwise.0"
    assert stages.leg(stages.onnx).first is None
    assert sizes == [1, 1, 64]


def test_every_output_is_a_place() -> None:
    """Of two inputs and two outputs, each at the layer that gives it; a value that is no number is as far as can be."""
    torch.manual_seed(0)
    left, right = (TensorSpec(name=name, shape=("batch", size)) for name, size in (("left", 6), ("right", 4)))
    ends = tuple(TensorSpec(name=name, shape=("batch", size)) for name, size in (("scores", 3), ("embedding", 5)))
    source = source_from_module("two", TwoInTwoOut(), (left, right), ends, {"batch": 64})
    generator = np.random.default_rng(0)
    inputs = {spec.name: generator.normal(size=(64, int(spec.shape[1]))).astype(np.float32) for spec in (left, right)}
    samples = Samples(inputs=inputs)
    quantized = quantize(capture(source, samples), Scheme.INT8, ALL, samples)
    data = lowering.lower(Format.ONNX, TARGET, quantized, None)[0].data
    known = frozenset({"left", "right", "scores", "embedding"})
    leg = departures.of_onnx("model.onnx", data, TARGET.cpu, quantized, samples, known)
    assert leg.first is None
    assert [(one.name, one.path) for one in leg.observed[-2:]] == [("scores", "scores"), ("embedding", "embedding")]
    model = onnx.load_model_from_string(data)
    last = next(node for node in model.graph.node if "embedding" in node.output)
    last.output[0] = "inner"
    model.graph.node.append(onnx.helper.make_node("Log", ["inner"], ["embedding"]))
    broken = departures.of_onnx("model.onnx", model.SerializeToString(), TARGET.cpu, quantized, samples, known)
    assert broken.first == "embedding"
    assert broken.observed[-1].own_sqnr_db is not None
    assert broken.observed[-1].own_sqnr_db < -100


def test_a_pte_shows_its_outputs_alone(stages: Stages) -> None:
    """And says so."""
    quantized = run_quantized(stages.quantized, EVALUATION)
    moved = dataclasses.replace(quantized, outputs={"logits": quantized.array("logits") + 0.1})
    leg = departures.of_outputs("model.pte", quantized, moved, "outputs alone")
    (observed,) = leg.observed
    assert (observed.name, leg.first, leg.note) == ("logits", None, "outputs alone")
    assert observed.sqnr_db is not None
    (same,) = departures.of_outputs("model.pte", quantized, quantized, "").observed
    assert same.sqnr_db is None


def ranked(outlier: float) -> tuple[Simulation, Suspects]:
    """Return the network whose layer in the middle has outliers, profiled."""
    captured = capture(faulty_source(outlier), CALIBRATION)
    simulation = simulate(captured, QuantSpec(), CALIBRATION)
    return simulation, suspects(simulation, EVALUATION, 0.9, ())


def test_the_faulty_layer_is_named_and_the_healthy_one_is_not() -> None:
    """With the lines that keep it in float, and what that buys; bisection names it, too, and no healthy one."""
    simulation, found = ranked(100)
    suspect = standing_out(simulation, EVALUATION)
    assert suspect is not None
    assert suspect.path == "middle"
    assert found.sensitivities.ranking[0].layer.path == "middle"
    assert "middle" in found.paste[1]
    assert "Keeping middle" in found.note
    whole, healthy = ranked(1)
    assert standing_out(whole, EVALUATION) is None
    assert healthy.sensitivities.ranking[0].layer.path != "middle"
    assert not any("middle" in line for line in healthy.paste)


def test_nothing_is_named_that_may_not_stay_float() -> None:
    """The limit of the settings holds for the lines, too."""
    captured = capture(faulty_source(100), CALIBRATION)
    found = suspects(simulate(captured, QuantSpec(), CALIBRATION), EVALUATION, 0.01, ())
    assert (found.paste, found.note) == ((), "")


def one_value(ranges: Ranges, name: str, calibration: Samples = CALIBRATION) -> ValueProfile:
    """Return a value of the small network by name."""
    captured = capture(small_source(), calibration)
    found = values.profile(simulate(captured, ALL.model_copy(update={"ranges": ranges}), calibration))
    return next(one for layer in found for one in layer.values if one.name == name)


def test_every_value_is_counted_and_what_is_clipped_too() -> None:
    """Minimum and maximum clip nothing; the range of least error clips the tails of much noise."""
    many = images(4000, seed=1)
    whole, clipped = (one_value(ranges, "image", many) for ranges in (Ranges.MINMAX, Ranges.MSE))
    size = EVALUATION.array("image")[0].size
    assert whole.values == clipped.values == sum(whole.histogram.counts) == len(many) * size
    assert whole.saturated == 0
    data = many.array("image")
    outside = (data < clipped.range_lo - clipped.scale / 2) | (data > clipped.range_hi + clipped.scale / 2)
    assert clipped.saturated > 0
    assert abs(clipped.saturated - int(outside.sum())) <= 0.1 * outside.sum() + 2
    assert whole.histogram.lo <= data.min() <= whole.range_lo + whole.scale
    assert whole.histogram.hi >= data.max()


def test_the_weights_of_a_layer_have_a_histogram() -> None:
    """Every weight is in it, and by their largest none is clipped."""
    found = one_value(Ranges.MINMAX, "classifier.weight")
    assert (found.kind, found.values, sum(found.histogram.counts), found.saturated) == ("weight", 32, 32, 0)
    assert found.range_hi == pytest.approx(127 * found.scale)


def test_the_channels_of_a_weight_are_told_one_by_one() -> None:
    """Each with the ends and the step that it has in the program, from the narrowest to the widest; of many, some."""
    captured = capture(small_source(), CALIBRATION)
    plain = ALL.model_copy(update={"ranges": Ranges.MINMAX, "equalization": False, "adaptive_rounding": False})
    found = values.profile(simulate(captured, plain, CALIBRATION))
    (value,) = [one for layer in found for one in layer.values if one.name == "classifier.weight"]
    rows = captured.program.state_dict["classifier.weight"].detach().flatten(1)
    assert sorted(one.channel for one in value.channels) == list(range(len(rows)))
    for one in value.channels:
        row = rows[one.channel]
        ends = float(row.min()), float(row.max())
        assert (one.lo, one.hi) == pytest.approx(ends, rel=1e-4)
        assert 127 * one.scale == pytest.approx(max(ends[1], -ends[0]), rel=1e-4)
    widths = [one.hi - one.lo for one in value.channels]
    assert widths == sorted(widths)
    many = values.channels(torch.arange(800.0, dtype=torch.float64).reshape(100, 8) ** 2, torch.ones(100))
    assert [one.channel for one in (many[0], many[-1])] == [0, 99]
    assert 16 < len(many) < 64
    assert value.channels[0].scale != pytest.approx(value.scale)  # the step of the widest channel is not everyone's


def test_the_layers_and_their_bytes(stages: Stages) -> None:
    """Of the simulation all that is quantized; without one, those with weights."""
    simulation = simulate(stages.captured, QuantSpec(), CALIBRATION)
    with_it, without = (all_layers(one, stages.captured) for one in (simulation, None))
    weighted = {layer.path: layer.weights for layer in with_it if layer.weights}
    assert weighted == {"stem.0": 72, "depthwise.0": 72, "gate.0": 64, "classifier": 32}
    assert weighted == {layer.path: layer.weights for layer in without}


def answers(job: Job, change: int) -> tuple[Trace, Trace]:
    """Return a reference, and a candidate that answers some samples otherwise."""
    reference = run_float(job.source, job.evaluation)
    logits = reference.array("logits").copy()
    logits[:change] = -logits[:change]
    return reference, dataclasses.replace(reference, outputs={"logits": logits})


def test_the_answers_that_changed_are_shown() -> None:
    """How often each moved, per class, and with the picture that the model saw."""
    job = small_job()
    reference, candidate = answers(job, 10)
    (found,) = classes.profile("model.onnx", job, reference, candidate)
    assert found.changed_count == len(found.changed) == sum(count for _, _, count in found.moved) == 10
    assert sum(one.samples for one in found.classes) == len(job.evaluation)
    assert sum(round(one.samples * (1 - one.agreement)) for one in found.classes) == 10
    shares = [one.reference_share for one in found.changed]
    assert shares == sorted(shares, reverse=True)
    assert all(one.picture is None for one in found.changed)  # nobody says how pictures became inputs
    (same,) = classes.profile("model.onnx", job, reference, reference)
    assert (same.changed_count, same.moved, same.changed) == (0, (), ())
    assert all(one.accuracy == one.reference_accuracy for one in same.classes)


def test_the_picture_is_the_one_that_was_preprocessed() -> None:
    """To the byte."""
    steps = Preprocessing(color="grey", resize=Resize(height=8, width=8), mean=(0.3,), std=(0.4,))
    pixels = np.random.default_rng(0).integers(0, 256, size=(100, 8, 8), dtype=np.uint8)
    inputs = np.concatenate([normalized(picture, steps) for picture in pixels])
    plain = small_job()
    image = IMAGE.model_copy(update={"meaning": "image"})
    job = dataclasses.replace(
        plain,
        source=dataclasses.replace(plain.source, inputs=(image,)),
        evaluation=dataclasses.replace(plain.evaluation, inputs={"image": inputs}),
        preprocessing=steps,
    )
    reference, candidate = answers(job, 3)
    (found,) = classes.profile("model.onnx", job, reference, candidate)
    for one in found.changed:
        assert one.picture is not None
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(one.picture))))
        assert np.array_equal(shown, pixels[one.index])


@pytest.mark.parametrize("file", ["onnx", "pte"])
def test_costs_are_measured(stages: Stages, file: str) -> None:
    """Every run is in the histogram, and the shares of the operations make a whole."""
    subject = Subject(
        name=f"model.{file}",
        format=Format(file),
        precision="quantized",
        data=getattr(stages, file),
        delegated_fraction=1.0,
    )
    runs = Runs(warm_up=5, timed=40, profiled=10)
    found = cost.measure(subject, stages.captured.source.inputs, EVALUATION, runs)
    assert found.file_bytes == len(subject.data)
    assert sum(found.latency.histogram.counts) == found.latency.runs == 40
    assert 0 < found.latency.median_ms <= found.latency.p90_ms <= found.latency.p99_ms
    assert found.load_ms > 0
    assert 0 < found.peak_memory_bytes < 500e6
    assert len(found.operators) > 5
    # ETDump counts whole microseconds, and few operations of so small a network take one.
    seen = any(one.mean_ms for one in found.operators)
    assert seen or file == "pte"
    assert sum(one.share for one in found.operators) == pytest.approx(1 if seen else 0)
    assert "10 runs" in found.operators_note
    assert sum(one.calls for one in found.kinds) == len(found.operators)
    graph = stages.quantized.program.module(check_guards=False).graph
    told = owned(found.format, found.operators, graph, stages.known)
    assert [one.layer for one in told if one.layer] == ["stem.0", "depthwise.0", "gate.0", "classifier"]


def test_what_cannot_be_loaded_cannot_be_measured(stages: Stages) -> None:
    """The runtime's own words are told."""
    broken = Subject(
        name="model.onnx", format=Format.ONNX, precision="quantized", data=stages.onnx[:100], delegated_fraction=1.0
    )
    with pytest.raises(RunError, match=r"model\.onnx cannot be measured"):
        cost.measure(broken, stages.captured.source.inputs, EVALUATION, Runs(timed=1))


def noise_of(precision: Precision) -> Noise:
    """Return the noise of the small network in a precision."""
    source = small_source()
    reference, other = run_float(source, EVALUATION), run_float(source, EVALUATION, precision=precision)
    beside = Recording(outputs=other.outputs, origin=other.origin)
    (found,) = noise.profile(dataclasses.replace(reference, beside=(beside,)), source.outputs)
    return found


def test_the_noise_of_other_precisions() -> None:
    """bfloat16 is coarser than float16, and float32 is the reference itself."""
    coarse, fine, same = noise_of("bfloat16"), noise_of("float16"), noise_of("float32")
    assert (coarse.precision, fine.precision) == ("bfloat16", "float16")
    assert coarse.sqnr_db is not None
    assert fine.sqnr_db is not None
    assert 20 < coarse.sqnr_db < fine.sqnr_db - 6 < 90
    assert same.sqnr_db is None
    assert same.top1_agreement == 1.0


def test_another_precision_leaves_the_model_as_it_was() -> None:
    """Weights that went through bfloat16 and back would be others."""
    source = small_source()
    before = run_float(source, EVALUATION).outputs["logits"]
    run_float(source, EVALUATION, precision="bfloat16")
    assert np.array_equal(before, run_float(source, EVALUATION).outputs["logits"])


@pytest.mark.parametrize(
    ("schemes", "noted"),
    [
        (FormatSchemes(pte=Scheme.W4_DYNAMIC, onnx=Scheme.INT8_DYNAMIC), "not in 8da4w, int8-dynamic"),
        (FormatSchemes(pte=Scheme.FLOAT, onnx=Scheme.W8A16), "not in float, w8a16"),
    ],
)
def test_what_cannot_be_simulated_is_profiled_without_a_ranking(
    tmp_path: Path, schemes: FormatSchemes, noted: str
) -> None:
    """And the profile says why; a float artifact is not timed twice."""
    torch.manual_seed(0)
    vector = TensorSpec(name="x", shape=("batch", 64))
    classes_ = TensorSpec(name="logits", shape=("batch", 10), meaning="logits")
    job = Job(
        source=source_from_module("layers", Layers(), (vector,), (classes_,), {"batch": 64}),
        calibration=vectors(64, 1),
        evaluation=vectors(64, 2),
        baseline=None,
        quantization=QuantSpec(scheme=schemes, last_layer=OutermostLayer.INT8),
        budget=Budget(),
    )
    (built,) = build_job(job, (TARGET,), tmp_path, Silent()).bundles
    found = measure.profile(built.folder, lambda: job, Silent(), runs=Runs(warm_up=1, timed=10, profiled=5))
    assert (found.sensitivities, found.values, found.paste) == (None, (), ())
    assert any(noted in note for note in found.notes)
    assert all(leg.first is None for leg in found.lowering)
    float_ones = {one.artifact for one in found.costs if one.precision == "float32"}
    plain = {"model.pte"} if Scheme.FLOAT in (schemes.pte, schemes.onnx) else {"float32 .pte"}
    assert float_ones == plain | {"float32 .onnx"}
    assert [layer.weights for layer in found.layers if layer.weights]
