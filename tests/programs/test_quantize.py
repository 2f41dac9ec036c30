"""The steps of the quantizer: each does what its paper says, and gains on a network built to need it."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torchao.quantization.pt2e.utils import _fuse_conv_bn_

from edgekit.data.rows import whole
from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.capture import capture
from edgekit.model.graph import is_dequantize, is_quantize, operation
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import observers, quantize
from edgekit.quantization.attributes import attribute
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.quantization.placement import Placement
from edgekit.quantization.ranges import affine_parameters, quantization_error, shares
from edgekit.quantization.rounding import gather, patches, round_adaptively
from edgekit.quantization.static import prepare
from edgekit.spec import (
    Cpu,
    OnnxSettings,
    OutermostLayer,
    PteSettings,
    QuantSpec,
    Ranges,
    Scheme,
    TensorSpec,
)
from tests.programs.networks import IMAGE, Small, images, small_source

PLAIN = QuantSpec(
    ranges=Ranges.MINMAX,
    adaptive_rounding=False,
    bias_correction=False,
    equalization=False,
    smooth_quant=False,
    first_layer=OutermostLayer.INT8,
    last_layer=OutermostLayer.INT8,
)


def observer(ranges: Ranges) -> HistogramObserver:
    """Return an activation observer for int8."""
    return HistogramObserver(torch.int8, -128, 127, torch.per_tensor_affine, ranges=ranges)


def weights(ranges: Ranges) -> PerChannelWeightObserver:
    """Return a weight observer for int8."""
    return PerChannelWeightObserver(torch.int8, -127, 127, torch.per_channel_symmetric, 0, ranges=ranges)


def brute_force(values: Tensor, counts: Tensor, lo: float, hi: float) -> float:
    """Return the least error on a histogram, one candidate and one bin at a time, in plain Python."""
    best = float("inf")
    for low_share, high_share in zip(*(ends.tolist() for ends in shares(both=lo < 0 < hi)), strict=True):
        low, high = lo * low_share, hi * high_share
        scale = max((high - low) / 255, 2**-16)
        zero = min(127, max(-128, -128 - round(low / scale)))
        error = 0.0
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            step = min(127, max(-128, round(value / scale) + zero))
            error += count * ((step - zero) * scale - value) ** 2
        best = min(best, error)
    return best


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, -1.0]))
def test_the_search_is_exact_on_the_histogram(seed: int, shift: float) -> None:
    """The vectorised search finds what a brute-force search finds, for both kinds of ranges."""
    values = torch.randn(60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 3 * shift
    values = values.clamp(min=0) if shift > 0 else values.clamp(max=0) if shift < 0 else values
    counts = torch.randint(1, 50, (60,), generator=torch.Generator().manual_seed(seed)).double()
    lo, hi = min(values.min().item(), 0.0), max(values.max().item(), 0.0)
    lows, highs = shares(both=lo < 0 < hi)
    parameters = affine_parameters(lo * lows, hi * highs, -128, 127, 2**-16)
    errors = quantization_error(values, counts, parameters, -128, 127)
    assert errors.min().item() == pytest.approx(brute_force(values, counts, lo, hi), rel=1e-9)


def test_an_outlier_is_clipped_by_mse_and_kept_by_minmax() -> None:
    """One value a hundred times the rest: the rest matters more."""
    values = torch.cat([torch.linspace(-1, 1, 2_000_000), torch.tensor([5.0])])
    scales = {}
    for rule in Ranges:
        one = observer(rule)
        one(values)
        scales[rule] = one.parameters_chosen[0]
    assert scales[Ranges.MSE] < 0.8 * scales[Ranges.MINMAX]
    assert scales[Ranges.PERCENTILE] < 0.5 * scales[Ranges.MINMAX]
    assert scales[Ranges.MINMAX] == pytest.approx(6 / 255)


@pytest.mark.parametrize(("louder", "kept"), [(1.0, False), (3.0, True)])
def test_a_range_serves_the_samples_that_it_was_not_chosen_by(louder: float, kept: bool) -> None:
    """One value in 400,000 is cut off, unless the other fold has many of them: what was seen is what may come."""
    values = torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    one = observer(Ranges.MSE)
    one(torch.cat([values, torch.tensor([12.0])]))
    one.begin_fold()
    one(torch.cat([louder * values.flip(0), torch.tensor([12.0])]))
    scale, zero_point = one.parameters_chosen
    assert ((127 - zero_point) * scale > 8) is kept


def test_an_empty_fold_is_none() -> None:
    """Folds that nothing came in change nothing."""
    values = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    one, other = observer(Ranges.MSE), observer(Ranges.MSE)
    for _ in range(3):
        other.begin_fold()
    one(values)
    other(values)
    other.begin_fold()
    assert one.parameters_chosen == other.parameters_chosen


def test_the_error_is_measured_behind_the_function_that_reads_the_values() -> None:
    """Hard-swish is zero below -3: no steps are spent there. Without it they are."""
    values = torch.cat([torch.linspace(-9, 3, 50_000)])
    plain, aware = observer(Ranges.MSE), observer(Ranges.MSE)
    aware.after = nn.functional.hardswish
    plain(values)
    aware(values)
    assert aware.parameters_chosen[0] < 0.7 * plain.parameters_chosen[0]


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=6))
def test_a_histogram_that_grows_loses_no_count(reaches: list[float]) -> None:
    """Batches of any reach in any order: every value is counted, and the extremes are exact."""
    one = observer(Ranges.MSE)
    for reach in reaches:
        one(torch.linspace(-reach, reach / 2, 11))
    _, counts = one.histogram()
    assert counts.sum().item() == 11 * len(reaches)
    assert one.lo == pytest.approx(-max(reaches))
    assert one.hi == pytest.approx(max(reaches) / 2)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.integers(-30, 30))
def test_values_are_counted_as_torch_counts_them(values: list[float], power: int) -> None:
    """Bin by bin, with the edges, and the ends themselves."""
    tensor = torch.tensor([*values, 1.0, -1.0]) * 2.0**power
    one = observer(Ranges.MSE)
    one(tensor.view(-1, 1))
    assert torch.equal(one.counts, torch.histc(tensor, len(one.counts), -one.reach, one.reach).double())


@pytest.mark.parametrize("value", [0.0, 1e-45, -1e-38, 1.0, -3e38])
def test_a_constant_is_counted(value: float) -> None:
    """Zeros, the smallest and nearly the largest number."""
    one = observer(Ranges.MSE)
    one(torch.full((7,), value))
    assert one.counts.sum().item() == 7
    scale, zero_point = one.parameters_chosen
    assert abs(((0 if value == 0 else -128 if value < 0 else 127) - zero_point) * scale - value) <= abs(value) + 2**-8


def test_weight_scales_have_the_least_error_per_channel() -> None:
    """A channel with an outlier is clipped, one without is not; min-max clips none."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(2, 4000, generator=generator) * 2 - 1
    weight[0, 0] = 1.3
    best, largest = weights(Ranges.MSE), weights(Ranges.MINMAX)
    best(weight)
    largest(weight)
    scales, plain = best.calculate_qparams()[0], largest.calculate_qparams()[0]
    assert scales[0] < plain[0]
    assert torch.square(best.quantize(weight) - weight).sum() < torch.square(largest.quantize(weight) - weight).sum()


def test_weight_scales_do_not_depend_on_how_many_are_searched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that is too large for one go is searched in parts, channel by channel if need be."""
    weight = torch.randn(7, 50, generator=torch.Generator().manual_seed(0))
    whole = weights(Ranges.MSE)
    whole(weight)
    for limit in (1, 120):
        monkeypatch.setattr(observers, "_WEIGHTS_AT_ONCE", limit)
        parts = weights(Ranges.MSE)
        parts(weight)
        assert torch.equal(parts.calculate_qparams()[0], whole.calculate_qparams()[0])


def ratio(quantized: Quantized, evaluation: Samples) -> float:
    """Return how far a quantized program is from its float model, in dB; the least over its outputs."""
    reference = run_float(quantized.captured.source, evaluation).outputs
    found = run_quantized(quantized, evaluation).outputs
    ratios = [sqnr_db(reference[name], found[name]) for name in reference]
    return min(one for one in ratios if one is not None)


class Shifted(nn.Module):
    """Convolutions whose weights all lie a little below half a step: rounding takes them all away."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 4)
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.weight.fill_(0.0045)
                layer.weight[:, 0, 1, 1] = 1.27  # a step is 0.01

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        x = torch.relu(self.second(torch.relu(self.first(image))))
        logits: Tensor = self.last(x.mean((2, 3), keepdim=True).flatten(1))
        return logits


class Correlated(nn.Module):
    """A linear layer whose inputs say nearly the same: rounding errors add up, unless they are paired."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 32)
        self.last = nn.Linear(32, 4)
        with torch.no_grad():
            self.layer.weight.uniform_(-0.004, 0.004)
            self.layer.weight[:, 0] = 1.0  # one large weight makes the steps of all others coarse

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 64)."""
        logits: Tensor = self.last(torch.relu(self.layer(image)))
        return logits


def test_bias_correction_gains_where_rounding_moves_the_mean() -> None:
    """Weights that all round the same way shift the mean of every output; the bias takes it up."""
    torch.manual_seed(0)
    output = TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("shifted", Shifted(), (IMAGE,), (output,), {"batch": 64})
    calibration = Samples(inputs={"image": np.abs(images(128, 1).inputs["image"])})
    evaluation = Samples(inputs={"image": np.abs(images(100, 2).inputs["image"])})
    captured = capture(source, calibration)
    plain = quantize(captured, Scheme.INT8, PLAIN, calibration)
    mended = quantize(captured, Scheme.INT8, PLAIN.model_copy(update={"bias_correction": True}), calibration)
    assert ratio(mended, evaluation) > ratio(plain, evaluation) + 1


def test_adaptive_rounding_gains_where_inputs_are_correlated() -> None:
    """Neighbours make up for each other's rounding, which the nearest step cannot do."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)

    def samples(count: int) -> Samples:
        common = generator.normal(size=(count, 1))
        own = generator.normal(size=(count, 64)) * 0.05
        values = (common + own).astype(np.float32)
        values[:, 0] *= 0.1
        return Samples(inputs={"image": values})

    calibration, evaluation = samples(256), samples(200)
    tensor, output = TensorSpec(name="image", shape=("batch", 64)), TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("correlated", Correlated(), (tensor,), (output,), {"batch": 256})
    captured = capture(source, calibration)
    plain = quantize(captured, Scheme.INT8, PLAIN, calibration)
    adaptive = quantize(captured, Scheme.INT8, PLAIN.model_copy(update={"adaptive_rounding": True}), calibration)
    assert ratio(adaptive, evaluation) > ratio(plain, evaluation) + 3


def test_floats_between_float_functions_are_not_rounded() -> None:
    """The product of hard-swish and its gate has no rounding on either side; a last layer of 2% stays float."""
    calibration = images(64, seed=1)
    quantized = quantize(capture(small_source(), calibration), Scheme.INT8, QuantSpec(), calibration)
    (product,) = [node for node in quantized.program.graph.nodes if operation(node) == "mul"]
    assert {operation(source) for source in product.all_input_nodes} == {"hardswish", "hardsigmoid"}
    (linear,) = [node for node in quantized.program.graph.nodes if operation(node) == "linear"]
    # 32 of 168 weights are no bargain: it is quantized, and so is its output.
    assert all(is_quantize(user) for user in linear.users)
    asked = quantize(
        capture(small_source(), calibration), Scheme.INT8, QuantSpec(last_layer=OutermostLayer.FLOAT), calibration
    )
    (linear,) = [node for node in asked.program.graph.nodes if operation(node) == "linear"]
    assert {user.op for user in linear.users} == {"output"}


class Gated(nn.Module):
    """A gate that is nearly always shut or open: what its layer gets wrong there does no harm."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate, self.last = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)
        with torch.no_grad():
            self.gate.weight.mul_(40)
            self.gate.weight[:, 0] = 60.0  # makes the steps of all others coarse

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 16)."""
        logits: Tensor = self.last(
            nn.functional.hardswish(self.body(image)) * nn.functional.hardsigmoid(self.gate(image))
        )
        return logits


def vectors(count: int, seed: int) -> Samples:
    """Return seeded noise, its first element small and never negative."""
    values = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    values[:, 0] = np.abs(values[:, 0]) * 0.01
    return Samples(inputs={"image": values})


def test_biases_take_up_what_passes_the_function_behind_them() -> None:
    """Behind a gate that saturates, the mean error of the layer says nothing about the mean error of the gate."""
    torch.manual_seed(0)
    tensor, output = TensorSpec(name="image", shape=("batch", 16)), TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("gated", Gated(), (tensor,), (output,), {"batch": 64})
    calibration, evaluation = vectors(512, 1), vectors(400, 2)
    captured = capture(source, calibration)
    spec = PLAIN.model_copy(update={"last_layer": OutermostLayer.FLOAT})
    plain = quantize(captured, Scheme.INT8, spec, calibration)
    mended = quantize(captured, Scheme.INT8, spec.model_copy(update={"bias_correction": True}), calibration)
    assert ratio(mended, evaluation) > ratio(plain, evaluation)


class Deep(nn.Module):
    """A small first and a small last layer around large ones, with a residual sum that only a layer norm reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 32, 3, padding=1)
        self.second, self.third = nn.Conv1d(32, 64, 3, padding=1), nn.Conv1d(64, 64, 3, padding=1)
        self.norm = nn.LayerNorm(64)
        self.last = nn.Linear(64, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 16)."""
        x = torch.relu(self.second(torch.relu(self.first(image))))
        x = x + self.third(x)
        logits: Tensor = self.last(self.norm(x.transpose(1, 2)).mean(1))
        return logits


def deep(**settings: OutermostLayer) -> Quantized:
    """Quantize the deep network."""
    torch.manual_seed(0)
    tensor, output = TensorSpec(name="image", shape=("batch", 1, 16)), TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("deep", Deep(), (tensor,), (output,), {"batch": 64})
    calibration = Samples(inputs={"image": np.random.default_rng(0).normal(size=(64, 1, 16)).astype(np.float32)})
    return quantize(capture(source, calibration), Scheme.INT8, QuantSpec.model_validate(settings), calibration)


def layers_in_int8(quantized: Quantized) -> list[bool]:
    """Return for each weighted layer whether it reads quantized values."""
    layers = [node for node in quantized.program.graph.nodes if operation(node) in ("conv1d", "linear")]
    return [all(map(is_dequantize, node.all_input_nodes[:2])) for node in layers]


def test_the_outermost_layers_stay_float_where_that_is_cheap() -> None:
    """96 of 18,784 weights first, 256 last; asked to, they are quantized."""
    assert layers_in_int8(deep()) == [False, True, True, False]
    assert layers_in_int8(deep(first_layer=OutermostLayer.INT8)) == [True, True, True, False]
    assert layers_in_int8(deep(last_layer=OutermostLayer.INT8)) == [False, True, True, True]


class Pooled(nn.Module):
    """A mean in front of a small last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 64, 3, padding=1), nn.Conv1d(64, 64, 3, padding=1)
        self.last = nn.Linear(64, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 16)."""
        logits: Tensor = self.last(torch.relu(self.second(torch.relu(self.first(image)))).mean(2))
        return logits


@pytest.mark.parametrize(
    ("last", "rounded"), [(OutermostLayer.AUTO, False), (OutermostLayer.INT8, True)], ids=["float", "int8"]
)
def test_a_mean_is_rounded_only_for_a_layer_in_int8(last: OutermostLayer, rounded: bool) -> None:
    """The mean in front of a last layer that stays float is not rounded, and its own input still is."""
    torch.manual_seed(0)
    tensor, output = TensorSpec(name="image", shape=("batch", 1, 16)), TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("pooled", Pooled(), (tensor,), (output,), {"batch": 64})
    calibration = Samples(inputs={"image": np.random.default_rng(0).normal(size=(64, 1, 16)).astype(np.float32)})
    captured = capture(source, calibration)
    program = quantize(captured, Scheme.INT8, QuantSpec(last_layer=last), calibration).program
    (mean,) = [node for node in program.graph.nodes if operation(node) == "mean"]
    assert any(map(is_quantize, mean.users)) is rounded
    assert all(map(is_dequantize, mean.all_input_nodes))


def test_an_expensive_first_layer_is_quantized() -> None:
    """A first layer with half of the weights is none to keep; asked to, it stays float."""
    calibration = images(64, seed=1)
    captured = capture(small_source(), calibration)

    def first(spec: QuantSpec) -> bool:
        graph = quantize(captured, Scheme.INT8, spec, calibration).program.graph
        return is_dequantize(next(node for node in graph.nodes if operation(node) == "conv2d").all_input_nodes[0])

    assert first(QuantSpec())
    assert not first(QuantSpec(first_layer=OutermostLayer.FLOAT))


@pytest.mark.slow
def test_a_float_first_layer_runs_in_both_runtimes() -> None:
    """Also a 1-D convolution, which ExecuTorch's own pass would write as a file that does not load."""
    quantized = deep()
    source = quantized.captured.source
    samples = Samples(inputs={"image": np.random.default_rng(1).normal(size=(50, 1, 16)).astype(np.float32)})
    reference = run_quantized(quantized, samples).array("logits").astype(np.float64)
    for artifact in (pte.lower(quantized, PteSettings()), onnx.lower(quantized, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        found = sqnr_db(reference, whole(opened.run(samples, 50)["logits"]).astype(np.float64))
        assert found is None or found > 40
        wrong = whole(opened.run(samples.rows(slice(None, None, -1)), 50)["logits"]).astype(np.float64)
        other = sqnr_db(reference, wrong)
        assert other is not None
        assert other < 20


@pytest.mark.parametrize(("adaptive", "bias"), list(itertools.product([False, True], repeat=2)))
def test_every_combination_leaves_the_captured_program_unchanged(adaptive: bool, bias: bool) -> None:
    """Weights and biases are mended in a copy."""
    calibration = images(64, seed=1)
    captured = capture(small_source(), calibration)
    before = {name: tensor.clone() for name, tensor in captured.program.state_dict.items()}
    quantize(captured, Scheme.INT8, QuantSpec(adaptive_rounding=adaptive, bias_correction=bias), calibration)
    assert all(torch.equal(tensor, before[name]) for name, tensor in captured.program.state_dict.items())


class AllPatterns(Placement):
    """Placement that also looks for what is only there in training, as the stock quantizer does."""

    def _skip_batch_norms(self, model: fx.GraphModule) -> None:
        pass


class LoneNorm(nn.Module):
    """Batch norms that cannot be folded: behind a ReLU, and behind a convolution with a second reader."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, image: Tensor) -> Tensor:
        """Return features (batch, 4, 6, 6) of an image (batch, 1, 8, 8)."""
        x = self.second(self.norms[0](torch.relu(self.first(image))))
        y: Tensor = torch.relu(self.norms[1](x)) + x
        return y


def annotations(program: ExportedProgram, quantizer: Placement) -> dict[str, str]:
    """Return what a quantizer writes on the nodes of a program, as text."""
    module = program.module(check_guards=False)
    _fuse_conv_bn_(module)  # as prepare_pt2e does first
    module = quantizer.annotate(quantizer.transform_for_annotation(module))
    return {node.name: repr(node.meta.get("quantization_annotation")) for node in module.graph.nodes}


@pytest.mark.slow
@pytest.mark.parametrize("model", [Small(), LoneNorm()], ids=["folded", "not folded"])
def test_the_patterns_left_out_would_not_have_matched(model: nn.Module) -> None:
    """With and without them the same nodes get the same annotations; most of them get one."""
    inputs = (torch.randn(16, 1, 8, 8),)
    program = torch.export.export(model.eval(), inputs)
    found = annotations(program, Placement(Scheme.INT8, QuantSpec(), "net"))
    assert found == annotations(program, AllPatterns(Scheme.INT8, QuantSpec(), "net"))
    assert len([text for text in found.values() if "HistogramObserver" in text]) >= 2


def test_a_convolution_with_its_batch_norm_is_still_looked_for() -> None:
    """A graph in which they were not folded is annotated with all patterns; one where they were, without."""
    program = torch.export.export(LoneNorm().eval(), (torch.randn(16, 1, 8, 8),))
    module, quantizer = program.module(check_guards=False), Placement(Scheme.INT8, QuantSpec(), "net")
    quantizer._skip_batch_norms(module)
    assert any(pattern.is_qat for pattern in quantizer.SUPPORTED_PATTERNS)
    _fuse_conv_bn_(module)
    quantizer._skip_batch_norms(module)
    assert not any(pattern.is_qat for pattern in quantizer.SUPPORTED_PATTERNS)


class Units(nn.Module):
    """A network whose answers have the unit of its inputs."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 16, 5), nn.Conv1d(16, 16, 3)
        self.last = nn.Linear(16, 4)
        with torch.no_grad():
            for layer in (self.first, self.second, self.last):
                layer.get_parameter("bias").mul_(unit)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 16)."""
        logits: Tensor = self.last(torch.relu(self.second(torch.relu(self.first(image)))).mean(2))
        return logits


def signals(count: int, seed: int, unit: float) -> Samples:
    """Return seeded noise in a unit."""
    values = np.random.default_rng(seed).normal(size=(count, 1, 16)) * unit
    return Samples(inputs={"image": values.astype(np.float32)})


def in_units(unit: float) -> Quantized:
    """Quantize the network for a unit."""
    torch.manual_seed(0)
    tensor, output = TensorSpec(name="image", shape=("batch", 1, 16)), TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("units", Units(unit), (tensor,), (output,), {"batch": 64})
    calibration = signals(256, 1, unit)
    return quantize(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)


@pytest.mark.parametrize("power", [-27, -20, 27])
def test_a_unit_does_not_matter(power: int) -> None:
    """Volts or microvolts: the same to the last bit for powers of two, from 1e-8 to 1e8."""
    unit = 2.0**power
    plain, other = (ratio(in_units(one), signals(100, 2, one)) for one in (1.0, unit))
    assert plain > 35
    assert other == pytest.approx(plain, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-8, 1e-6, 1e8])
def test_both_runtimes_take_any_unit(unit: float) -> None:
    """No kernel's multiplier vanishes."""
    quantized, samples = in_units(unit), signals(100, 2, unit)
    source = quantized.captured.source
    reference = run_float(source, samples).array("logits").astype(np.float64)
    for artifact in (pte.lower(quantized, PteSettings()), onnx.lower(quantized, OnnxSettings())):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        found = sqnr_db(reference, whole(opened.run(samples, 50)["logits"]).astype(np.float64))
        assert found is not None
        assert found > 35
        wrong = sqnr_db(
            reference, whole(opened.run(samples.rows(slice(None, None, -1)), 50)["logits"]).astype(np.float64)
        )
        assert wrong is not None
        assert wrong < 20


class Loud(nn.Module):
    """Channels without weights, or with hardly any, and biases that are far larger than what is added to them."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.first.weight[0] = 0
            self.first.weight[1] *= 1e-12
            self.first.get_parameter("bias")[:2] = bias

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4) of (batch, 1, 8, 8)."""
        logits: Tensor = self.last(torch.relu(self.first(image))).mean((2, 3))
        return logits


@pytest.mark.parametrize("bias", [0.0, 1.0, -1.0, 30.0])
def test_a_bias_fits_its_steps(bias: float) -> None:
    """A channel without weights takes a scale from its bias: int32 would overflow in steps of the least scale."""
    torch.manual_seed(0)
    output = TensorSpec(name="logits", shape=("batch", 4))
    source = source_from_module("loud", Loud(bias), (IMAGE,), (output,), {"batch": 64})
    calibration = images(64, seed=1)
    module = prepare(capture(source, calibration), Scheme.INT8, QuantSpec(), calibration)[0]
    (layer,) = [node for node in module.graph.nodes if node.target is torch.ops.aten.conv2d.default][:1]
    data, weight = (module.get_submodule(str(node.target)) for node in layer.all_input_nodes[:2])
    assert isinstance(data, HistogramObserver)
    assert isinstance(weight, PerChannelWeightObserver)
    assert weight.scale is not None
    steps = layer_bias(module, layer).abs() / (weight.scale * data.parameters_chosen[0])
    assert steps.max() <= 2**30 * (1 + 1e-6)
    assert (weight.scale > 0).all()


def layer_bias(module: fx.GraphModule, layer: fx.Node) -> Tensor:
    """Return the bias that a layer reads."""
    (bias,) = [node for node in layer.all_input_nodes if node.op == "get_attr"]
    return attribute(module, bias)


def rounded_layer(width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return weights, their scales, correlated inputs, and the weights rounded for them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, width, generator=generator)
    inputs = torch.randn(1, 1024, width, generator=generator) + torch.randn(1, 1024, 1, generator=generator)
    scale = weight.abs().amax(1, keepdim=True) / 127
    return weight, scale, inputs, round_adaptively(weight, scale, inputs, (-127, 127))


def noise_of(weight: Tensor, rounded: Tensor, inputs: Tensor) -> float:
    """Return the energy of what rounding changes in a layer's outputs, about their mean."""
    change = (inputs - inputs.mean(1, keepdim=True)) @ (weight - rounded).T
    return float(change.square().sum())


@pytest.mark.parametrize("width", [64, 1536, 1537, 4000])
def test_parts_make_up_for_each_other(width: int) -> None:
    """A layer of many inputs is rounded in parts, and still far better than to the nearest step."""
    weight, scale, inputs, rounded = rounded_layer(width)
    plain = torch.round(weight / scale).clamp(-127, 127) * scale
    assert noise_of(weight, rounded, inputs) < 0.6 * noise_of(weight, plain, inputs)
    steps = rounded / scale
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("width", [1500, 4000, 8192])
def test_rounding_grows_with_the_width_and_not_with_its_cube(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """8192 inputs took 35 s of CPU time for 16 outputs, and 1.6 GiB: what is inverted must have a bound."""
    inverted: list[int] = []
    cholesky = torch.linalg.cholesky

    def noted(moments: Tensor, **options: bool) -> Tensor:
        inverted.append(moments.shape[-1])
        result: Tensor = cholesky(moments, **options)
        return result

    monkeypatch.setattr(torch.linalg, "cholesky", noted)
    rounded_layer(width)
    assert max(inverted) <= 1536
    assert sum(inverted) <= 2 * width + 2  # once for its inverse, and once for the factor of that


@pytest.mark.parametrize("reach", [1e-7, 1.0, 3e6])
def test_what_is_held_in_half_precision_keeps_eleven_bits(reach: float) -> None:
    """Whatever the unit of the values is; what lies far outside of the range stays finite."""
    seen = observer(Ranges.MINMAX)
    values = torch.randn(4096, generator=torch.Generator().manual_seed(0)) * reach
    seen(values)
    back = seen.from_half(seen.to_half(values))
    assert ((back - values).norm() / values.norm()).item() < 2**-11
    assert torch.isfinite(seen.from_half(seen.to_half(values * 1e6))).all()


@pytest.mark.parametrize("groups", [1, 4])
def test_patches_of_parts_lie_together(groups: int) -> None:
    """As they are taken part by part, also when the last one is smaller and gives more of each sample."""
    graph = fx.Graph()
    data, weight = torch.randn(70, 4, 40, 40), torch.randn(8, 4 // groups, 3, 3)
    target = torch.ops.aten.conv2d.default
    node = graph.call_function(target, (None, None, None, [1, 1], [1, 1], [1, 1], groups))
    parts = [*torch.split(data, 32)]
    assert len(parts[-1]) < len(parts[0])
    most = 16384 // len(parts)
    wanted = torch.cat([patches(node, part, weight, most) for part in parts], 1)
    assert torch.equal(gather(node, iter(parts), len(parts), weight), wanted)
    assert wanted.shape[0] == groups
