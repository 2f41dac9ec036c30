"""Every scheme in every format that holds it: real artifacts in real runtimes, held against the float model."""

from collections import Counter
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from torch import Tensor, nn
from torch.export import export
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from torchao.utils import unwrap_tensor_subclass

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import LowerError, QuantizeError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.proof import prove
from edgekit.execution.steady import steady_batch
from edgekit.lowering import onnx as lower_onnx
from edgekit.lowering import pte as lower_pte
from edgekit.lowering.onnx.export import _optimized
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.program import Quantized, Source
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.quantization.dynamic import DynamicObserver, PerChannelGroupWeightObserver
from edgekit.quantization.observers import HistogramObserver
from edgekit.spec import (
    Cpu,
    Format,
    OnnxSettings,
    OutermostLayer,
    PteSettings,
    QuantSpec,
    Ranges,
    Scheme,
    TensorSpec,
)
from edgekit.spec.schemes import obstacle
from tests.programs.networks import IMAGE, Unquantizable, images, small_source

SPEC = QuantSpec(last_layer=OutermostLayer.INT8)
# What a scheme keeps of the linear networks below, in dB, at least; float is computed in another order.
LEAST = {
    Scheme.INT8: 30.0,
    Scheme.INT8_DYNAMIC: 38.0,
    Scheme.W8A16: 39.0,
    Scheme.W4_DYNAMIC: 20.0,
    Scheme.FLOAT: 100.0,
}
# What stays float in int8-mixed is chosen by name or by a search, see test_float_layers and test_fallback.
SCHEMES = [scheme for scheme in Scheme if scheme is not Scheme.INT8_MIXED]
PAIRS = [
    (scheme, format) for scheme in SCHEMES for format in (Format.PTE, Format.ONNX) if obstacle(scheme, format) is None
]


class Layers(nn.Module):
    """Linear layers with and without a bias, and three that read the same values, as in attention."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 96)
        self.heads = nn.ModuleList([nn.Linear(96, 32), nn.Linear(96, 32, bias=False), nn.Linear(96, 32)])
        self.last = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., 10) of (..., 64)."""
        x = torch.relu(self.first(x))
        a, b, c = (head(x) for head in self.heads)
        result: Tensor = self.last(torch.tanh(a) * b + c)
        return result


def vectors(count: int, seed: int, steps: tuple[int, ...] = ()) -> Samples:
    """Return seeded noise of shape (count, *steps, 64)."""
    values = np.random.default_rng(seed).normal(size=(count, *steps, 64))
    return Samples(inputs={"x": values.astype(np.float32)})


@cache
def layers_source(steps: tuple[int, ...] = (), *, wrong: bool = False) -> Source:
    """Return the linear network with seeded weights; a wrong one has one layer's weights turned around."""
    torch.manual_seed(0)
    model = Layers()
    if wrong:
        with torch.no_grad():
            model.first.weight.copy_(model.first.weight.flip(0))
    return source_from_module(
        "layers",
        model,
        (TensorSpec(name="x", shape=("batch", *steps, 64)),),
        (TensorSpec(name="y", shape=("batch", *steps, 10)),),
        {"batch": 64},
    )


@cache
def program(scheme: Scheme, steps: tuple[int, ...] = (), *, wrong: bool = False) -> Quantized:
    """Return the linear network, quantized; with few samples, equalised channels would clip what they did not see."""
    calibration = vectors(2048, 1, steps)
    return quantize(capture(layers_source(steps, wrong=wrong), calibration), scheme, SPEC, calibration)


def lowered(quantized: Quantized, format: Format) -> Artifact:
    """Return the artifact of a program."""
    if format is Format.PTE:
        return lower_pte.lower(quantized, PteSettings())
    return lower_onnx.lower(quantized, OnnxSettings())


def ran(artifact: Artifact, source: Source, samples: Samples) -> Array:
    """Run an artifact as the pipeline does, check its batches, and return its output."""
    opened = runs.open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
    batch = steady_batch(artifact.format, artifact.scheme, (1, 16, 64))
    trace = runs.trace(opened, Cpu.ARM64, samples, batch=batch, model="", scheme=artifact.scheme)
    prove(artifact, source, samples, Cpu.ARM64, lambda _: {})
    return trace.array(source.outputs[0].name)


def ratio(reference: Array, candidate: Array) -> float:
    """Return the SQNR in dB; endless for equal outputs."""
    found = sqnr_db(reference.astype(np.float64), candidate.astype(np.float64))
    return float("inf") if found is None else found


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(), (7,)], ids=["2d", "3d"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_quantized_program_is_near_the_float_one(scheme: Scheme, steps: tuple[int, ...]) -> None:
    """Each scheme keeps what it should, and says what it is; a program of other weights is told apart."""
    evaluation = vectors(100, 2, steps)
    reference = run_float(layers_source(steps), evaluation).array("y")
    trace = run_quantized(program(scheme, steps), evaluation)
    assert ratio(reference, trace.array("y")) > LEAST[scheme]
    assert trace.origin.dtype == ("float32" if scheme is Scheme.FLOAT else scheme)
    twin = run_quantized(program(scheme, steps, wrong=True), evaluation)
    assert ratio(reference, twin.array("y")) < 10


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(), (7,)], ids=["2d", "3d"])
@pytest.mark.parametrize(("scheme", "format"), PAIRS)
def test_an_artifact_computes_what_the_model_does(scheme: Scheme, format: Format, steps: tuple[int, ...]) -> None:
    """At batches of 1, 16 and 64; an artifact of other weights is measured as wrong."""
    source, evaluation = layers_source(steps), vectors(100, 2, steps)
    reference = run_float(source, evaluation).array("y")
    artifact = lowered(program(scheme, steps), format)
    found = ran(artifact, source, evaluation)
    assert ratio(reference, found) > LEAST[scheme]
    simulated = run_quantized(program(scheme, steps), evaluation).array("y")
    # XNNPACK rounds each row as the program does; ONNX gives a sequence one range, and w8a16's MatMul one a block.
    exact = scheme is not Scheme.INT8 and (format is Format.PTE or not steps)
    assert ratio(simulated, found) > (70 if exact else 38)
    assert artifact.scheme is scheme
    assert artifact.delegated_fraction == 1
    if scheme is Scheme.FLOAT:
        assert artifact.int8_fraction == 0
    if not steps:
        twin = lowered(program(scheme, wrong=True), format)
        assert ratio(reference, ran(twin, source, evaluation)) < 10


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "format"), PAIRS)
def test_convolutions_go_through_every_scheme(scheme: Scheme, format: Format) -> None:
    """They are quantized by the static schemes and stay float in the others, which take the linear layer alone."""
    calibration, evaluation = images(128, seed=1), images(100, seed=2)
    source = small_source()
    captured = capture(source, calibration)
    if scheme is Scheme.W4_DYNAMIC:
        with pytest.raises(QuantizeError, match="with a multiple of 32 inputs"):  # it has 8
            quantize(captured, scheme, SPEC, calibration)
        return
    artifact = lowered(quantize(captured, scheme, SPEC, calibration), format)
    reference = run_float(source, evaluation).array("logits")
    least = {Scheme.INT8: 25, Scheme.W8A16: 38, Scheme.INT8_DYNAMIC: 35, Scheme.FLOAT: 100}[scheme]
    assert ratio(reference, ran(artifact, source, evaluation)) > least
    assert (artifact.int8_fraction > 0) == (scheme in (Scheme.INT8, Scheme.INT8_DYNAMIC))


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "format"), PAIRS)
def test_the_same_program_gives_the_same_bytes(scheme: Scheme, format: Format) -> None:
    """Quantized and lowered again, every scheme gives the same file, and no other scheme's."""
    calibration = vectors(2048, 1)
    again = quantize(capture(layers_source(), calibration), scheme, SPEC, calibration)
    first = lowered(program(scheme), format)
    assert lowered(again, format).sha256 == first.sha256
    other = Scheme.INT8 if scheme is Scheme.FLOAT else Scheme.FLOAT
    assert lowered(program(other), format).sha256 != first.sha256


@pytest.mark.slow
def test_onnx_runtime_fuses_dynamic_layers() -> None:
    """Each layer is one kernel, bias included; those that read the same values share one quantization of them."""
    for kind in ("int8", "uint8"):
        for steps in ((), (7,)):
            settings = OnnxSettings.model_validate({"weights": kind})
            artifact = lower_onnx.lower(program(Scheme.INT8_DYNAMIC, steps), settings)
            written = Counter(node.op_type for node in onnx.load_from_string(artifact.data).graph.node)
            assert written["MatMulInteger"] == 5
            assert not {"MatMul", "Gemm", "DequantizeLinear"} & written.keys()
            fused = Counter(node.op_type for node in _optimized(artifact.data).node)
            assert (fused["DynamicQuantizeMatMul"], fused["MatMulIntegerToFloat"]) == (2, 3)
            assert fused["DynamicQuantizeLinear"] == 1
            assert fused["Add"] == 1  # the network's own; the biases are inside
            assert 0.5 < artifact.int8_fraction < 1


def test_the_same_weights_are_in_both_formats() -> None:
    """What ONNX multiplies with are the integers and scales of the quantized program."""
    quantized = program(Scheme.INT8_DYNAMIC)
    state = [tensor.detach().numpy() for tensor in quantized.program.state_dict.values()]
    stored = [tensor for tensor in state if tensor.dtype == np.int8 and tensor.ndim == 2]
    model = onnx.load_from_string(lower_onnx.lower(quantized, OnnxSettings()).data)
    found = [onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer]
    weights = [array for array in found if array.dtype == np.int8]
    assert len(weights) == len(stored) == 5
    assert all(any(np.array_equal(one.T, other) for other in stored) for one in weights)


@pytest.mark.slow
def test_wide_activations_need_the_operator_set_that_has_them() -> None:
    """16-bit activations with or without a sign are the same values; nothing is stored in 32 bits but biases."""
    evaluation, traces = vectors(50, 2), []
    for kind, number in (("uint8", onnx.TensorProto.UINT16), ("int8", onnx.TensorProto.INT16)):
        settings = OnnxSettings.model_validate({"activations": kind})
        artifact = lower_onnx.lower(program(Scheme.W8A16), settings)
        model = onnx.load_from_string(artifact.data)
        assert model.opset_import[0].version >= 21
        zeros = {entry.name: entry.data_type for entry in model.graph.initializer}
        quantize_nodes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        assert quantize_nodes
        assert {zeros[node.input[2]] for node in quantize_nodes} == {number}
        traces.append(ran(artifact, layers_source(), evaluation))
    assert ratio(*traces) > 80


@pytest.mark.slow
def test_wide_activations_keep_more() -> None:
    """What 16 bits are for: with the same weights, the activations no longer count."""
    calibration, evaluation = images(128, seed=1), images(100, seed=2)
    captured = capture(small_source(), calibration)
    reference = run_float(captured.source, evaluation).array("logits")
    narrow, wide = (
        ratio(reference, run_quantized(quantize(captured, scheme, SPEC, calibration), evaluation).array("logits"))
        for scheme in (Scheme.INT8, Scheme.W8A16)
    )
    assert wide > narrow + 6


def test_with_16_bits_the_range_goes_beyond_what_was_seen() -> None:
    """Steps are there in plenty: values a little larger than calibration's do not clip, unless it was asked for."""
    kept = {}
    for ranges in (Ranges.MSE, Ranges.MINMAX):
        observer = HistogramObserver(torch.int16, -32768, 32767, torch.per_tensor_affine, ranges=ranges)
        observer(torch.linspace(-1, 1, 1000))
        kept[ranges] = observer.quantize(torch.tensor([1.5, 0.3]))
    assert torch.allclose(kept[Ranges.MSE], torch.tensor([1.5, 0.3]), atol=1e-4)
    assert kept[Ranges.MINMAX][0].item() == pytest.approx(1.0, abs=1e-3)


def test_a_small_activation_has_all_of_16_bits() -> None:
    """The least scale of 8 bits would take most of the steps away."""
    observer = HistogramObserver(torch.int16, -32768, 32767, torch.per_tensor_affine)
    values = torch.linspace(-0.01, 0.01, 999)
    observer(values)
    assert ratio(values.numpy(), observer.quantize(values).numpy()) > 80


@pytest.mark.slow
def test_rows_do_not_know_each_other_in_a_pte() -> None:
    """A dynamic .pte gives each row the same answer in any company; an .onnx quantizes the batch with one range."""
    quantized, samples = program(Scheme.INT8_DYNAMIC), vectors(64, 2)
    source = quantized.captured.source
    loud = Samples(inputs={"x": samples.inputs["x"] * np.where(np.arange(64) == 0, 50, 1)[:, None].astype(np.float32)})
    for format in (Format.PTE, Format.ONNX):
        artifact = lowered(quantized, format)
        opened = runs.open_artifact(format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        alone, together = (opened.run(loud, batch)["y"][1:] for batch in (1, 64))
        if format is Format.PTE:
            assert np.array_equal(alone, together)
        else:
            assert ratio(alone, together) < 30
        assert steady_batch(format, Scheme.INT8_DYNAMIC, (1, 64)) == (64 if format is Format.PTE else 1)
        assert steady_batch(format, Scheme.INT8, (1, 64)) == 64
        assert steady_batch(format, Scheme.INT8_DYNAMIC, (8,)) == 8  # what a model fixes


def test_a_dynamic_observer_rounds_row_by_row() -> None:
    """A row's steps are a 255th of its own range; zero is one of them."""
    x = torch.tensor([[0.0, 1.0, 0.5], [0.0, 100.0, 51.0]])
    rounded = DynamicObserver(torch.int8).quantize(x)
    assert torch.allclose(rounded[0], x[0], atol=0.5 / 255)
    assert torch.allclose(rounded[1], x[1], atol=50 / 255)
    assert (rounded[:, 0] == 0).all()
    assert rounded[1, 2] != x[1, 2]


def test_groups_have_scales_of_their_own() -> None:
    """An outlier coarsens its group alone; the integers have four bits and the scales are bfloat16's."""
    weight = torch.rand(4, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    weight[0, 0] = 10
    observer = PerChannelGroupWeightObserver(torch.int8, -8, 7, torch.per_channel_symmetric, 0, group_size=32)
    observer(weight)
    scale, zero = observer.calculate_qparams()
    assert scale.shape == zero.shape == (4, 2)
    assert scale[0, 0] > 10 * scale[0, 1]
    assert torch.equal(scale, scale.bfloat16().float())
    steps = observer.quantize(weight) / observer.spread(weight)
    assert (steps.min().item(), steps.max().item()) >= (-8, -7)
    assert torch.allclose(steps, steps.round(), atol=1e-5)
    assert (observer.quantize(weight) - weight)[1:].abs().max() < scale[1:].max()


def test_layers_that_groups_do_not_divide_stay_float_and_are_named() -> None:
    """The report says which; the others are quantized. Dynamic int8 takes them all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 64), nn.ReLU(), nn.Linear(64, 8))
    tensors = TensorSpec(name="input", shape=("batch", 50)), TensorSpec(name="out", shape=("batch", 8))
    source = source_from_module("uneven", model, tensors[:1], tensors[1:], {"batch": 64})
    samples = Samples(inputs={"input": np.random.default_rng(0).normal(size=(64, 50)).astype(np.float32)})
    captured = capture(source, samples)
    quantized = quantize(captured, Scheme.W4_DYNAMIC, SPEC, samples)
    assert quantized.notes == ("8da4w leaves in float, since groups of 32 do not divide their inputs: 0.",)
    assert sum(map(graph.is_quantize, quantized.program.graph.nodes)) == 1
    assert quantized.weight_bytes == source.float_bytes - int(64 * 8 * (4 - 4.5 / 8))
    wide = quantize(captured, Scheme.W4_DYNAMIC, SPEC.model_copy(update={"group_size": 64}), samples)
    assert wide.weight_bytes == source.float_bytes - int(64 * 8 * (4 - 4.25 / 8))
    assert quantize(captured, Scheme.INT8_DYNAMIC, SPEC, samples).notes == ()
    with pytest.raises(QuantizeError, match="with a multiple of 128 inputs"):
        quantize(captured, Scheme.W4_DYNAMIC, SPEC.model_copy(update={"group_size": 128}), samples)


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme is not Scheme.FLOAT])
def test_nothing_quantized_is_an_error_of_every_scheme_but_float(scheme: Scheme) -> None:
    """A float program passes for nothing else; where it was asked for, it is what it says."""
    output = TensorSpec(name="out", shape=("batch", 1, 8, 8))
    source = source_from_module("float", Unquantizable(), (IMAGE,), (output,), {"batch": 64})
    samples = images(32, seed=0)
    captured = capture(source, samples)
    with pytest.raises(QuantizeError, match=f"Nothing in float.*{scheme} scheme"):
        quantize(captured, scheme, QuantSpec(), samples)
    plain = quantize(captured, Scheme.FLOAT, QuantSpec(), samples)
    assert plain.program is captured.program
    assert plain.weight_bytes == source.float_bytes


@pytest.mark.slow
def test_a_float_program_may_not_pass_for_another() -> None:
    """Lowering looks at what the runtime would do, not at the name; 4 bits have no form in ONNX."""
    plain = program(Scheme.FLOAT)
    for scheme in (Scheme.INT8, Scheme.INT8_DYNAMIC, Scheme.W8A16, Scheme.W4_DYNAMIC):
        named = Quantized(
            captured=plain.captured, scheme=scheme, program=plain.program, calibration_sha256="", weight_bytes=0
        )
        with pytest.raises(LowerError, match=r"cannot be lowered as 8da4w|would run nothing"):
            lower_onnx.lower(named, OnnxSettings())
    with pytest.raises(LowerError, match="cannot be lowered as w8a16: XNNPACK has no kernels"):
        lower_pte.lower(program(Scheme.W8A16), PteSettings())


@pytest.mark.slow
@pytest.mark.parametrize("strict", [True, False])
def test_weight_only_linear_layers_are_still_wrong(strict: bool) -> None:
    """The reason why int8-weight-only is refused. If this fails, upstream has mended it: lift the refusal in `spec`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 96)).eval()
    x = torch.randn(8, 64)
    expected = model(x).detach().numpy()
    quantize_(model, Int8WeightOnlyConfig())
    assert ratio(expected, model(x).detach().numpy()) > 30  # in torch it is right
    exported = export(unwrap_tensor_subclass(model), (x,), strict=strict)  # type: ignore[no-untyped-call]
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    executable = edge.to_executorch()
    data = executable.buffer  # the runtime does not copy it
    method = Runtime.get().load_program(data).load_method("forward")
    assert method is not None
    found = method.execute([x])[0].numpy()
    outside = {operator.name for operator in executable.executorch_program.execution_plan[0].operators}
    if strict:  # all is delegated, there is no error, and nothing is left of the answer
        assert not outside
        assert ratio(expected, found) < 0
    else:  # the answer is right, and the products are left to portable kernels
        assert "aten::mm" in outside
        assert ratio(expected, found) > 30


class Normed(nn.Module):
    """A layer norm that makes some channels a hundred times larger, as those of large transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.first = nn.Linear(64, 64)
        self.last = nn.Linear(64, 10)
        with torch.no_grad():
            self.norm.weight[:2] = 100
            self.first.weight[:, :2] /= 100

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., 10) of (..., 64)."""
        result: Tensor = self.last(torch.relu(self.first(self.norm(x))))
        return result


def test_dynamic_layers_behind_a_norm_are_smoothed() -> None:
    """Outliers widen the range of every row; the weights have room for them."""
    torch.manual_seed(0)
    tensors = TensorSpec(name="x", shape=("batch", 64)), TensorSpec(name="y", shape=("batch", 10))
    source = source_from_module("normed", Normed(), tensors[:1], tensors[1:], {"batch": 64})
    calibration, evaluation = vectors(2048, 1), vectors(100, 2)
    captured, reference = capture(source, calibration), run_float(source, evaluation).array("y")
    found = {}
    for smooth in (True, False):
        spec = SPEC.model_copy(update={"smooth_quant": smooth})
        quantized = quantize(captured, Scheme.INT8_DYNAMIC, spec, calibration)
        found[smooth] = ratio(reference, run_quantized(quantized, evaluation).array("y"))
    assert found[True] > found[False] + 10
