"""A file is proved as an app would use it: what the proof finds, and that it depends on no number of samples."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.data.rows import Array, Rows
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.errors import RunError, SourceError
from edgekit.execution.eager import run_float, run_quantized
from edgekit.execution.orders import at_length, few, orders, tried
from edgekit.execution.proof import Tolerance, hold_against_program, prove, quantization_db
from edgekit.lowering import onnx, pte
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Cpu, Dimension, Format, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec
from edgekit.spec.tensors import fixed_batch
from tests.programs.networks import quantized


def noise(count: int, *shape: int, seed: int = 5) -> Samples:
    """Return seeded noise for an input named x."""
    return Samples(inputs={"x": np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)})


def proved(artifact: Artifact, program: Quantized, samples: Samples, costs: Mapping[str, float] | None = None) -> None:
    """Prove an artifact with its program."""

    def compute(part: Samples) -> Mapping[str, Rows]:
        return run_quantized(program, part).outputs

    prove(artifact, program.captured.source, samples, Cpu.ARM64, compute, costs)


def lowered(program: Quantized, format: Format) -> Artifact:
    """Return the artifact of a program."""
    return pte.lower(program, PteSettings()) if format is Format.PTE else onnx.lower(program, OnnxSettings())


class Pooled(nn.Module):
    """A classifier with a global average pool."""

    def __init__(self, mix: bool = False) -> None:
        super().__init__()
        self.convolution, self.linear, self.mix = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), mix

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, 4) of x (batch, 3, 8, 8); samples are mixed where asked for."""
        y = nn.functional.adaptive_avg_pool2d(torch.relu(self.convolution(x)), 1).flatten(1)
        if self.mix:
            y = y - y.mean(0, keepdim=True)
        logits: Tensor = self.linear(y)
        return logits


@pytest.mark.slow
@pytest.mark.parametrize("samples", [2, 8, 16, 40, 64])
def test_a_growing_batch_is_found_with_any_number_of_samples(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """XNNPACK's own mean of integers passes the batches that fit into what was planned first, and no others."""
    torch.manual_seed(0)
    program = quantized(Pooled(), {"x": (3, 8, 8)}, {"y": (4,)})
    proved(lowered(program, Format.PTE), program, noise(samples, 3, 8, 8))
    monkeypatch.setattr(pte, "pool_means", lambda _: None)
    with pytest.raises(RunError, match=r"model.pte gives other answers at batch \d+ after .* y is off"):
        proved(lowered(program, Format.PTE), program, noise(samples, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_a_model_that_mixes_samples_is_found(format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sample gets must not depend on its neighbours."""
    monkeypatch.setattr(pte, "can_narrow", lambda _: False)
    torch.manual_seed(0)
    program = quantized(Pooled(mix=True), {"x": (3, 8, 8)}, {"y": (4,)})
    with pytest.raises(RunError, match="gives other answers at batch"):
        proved(lowered(program, format), program, noise(16, 3, 8, 8))
    with pytest.raises(RunError, match="gives other answers at batch"):  # nor does it where quantization cost all
        proved(lowered(program, format), program, noise(16, 3, 8, 8), {"y": -10.0})


class Means(nn.Module):
    """A layer behind the mean of many tokens, which hardly varies from sample to sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 16) of x (batch, 64, 16)."""
        result: Tensor = self.last(self.first(x).mean(1))
        return result


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("seed", range(3))
def test_steps_that_tip_are_no_fault_where_they_are_wide(format: Format, seed: int) -> None:
    """Behind a mean one step is a large part of what varies: float sums of another order tip some."""
    torch.manual_seed(seed)
    program, samples = quantized(Means(), {"x": (64, 16)}, {"y": (16,)}), noise(16, 64, 16)
    proved(lowered(program, format), program, samples, {"y": 20.0})


def test_the_cost_of_quantization_is_that_of_what_varies() -> None:
    """In decibels; integers and outputs that are equal have none."""
    expected = rows(100, 101, 99, 100)
    model: dict[str, Rows] = {"y": expected, "same": expected, "classes": np.arange(4)}
    found = quantization_db({**model, "y": expected + np.float32(0.1), "classes": np.arange(4)[::-1]}, model)
    assert found.keys() == {"y"}
    assert found["y"] == pytest.approx(10 * np.log10((100 / 16) ** 2 / 0.01), abs=0.5)


class Lengths(nn.Module):
    """Features of signals of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv1d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, length, 4) of x (batch, 3, length)."""
        result: Tensor = self.linear(torch.relu(self.convolution(x)).transpose(1, 2))
        return result


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.FLOAT])
def test_lengths_grow_and_shrink(format: Format, scheme: Scheme) -> None:
    """A dimension that is no batch is tried at its least, its most and in between, on one load."""
    torch.manual_seed(0)
    inputs = (TensorSpec(name="x", shape=(1, 3, "length")),)
    outputs = (TensorSpec(name="y", shape=(1, "length", 4)),)
    source = source_from_module("model", Lengths().eval(), inputs, outputs, {"length": 40})
    samples = noise(20, 3, 24)
    program = quantize(capture(source, samples), scheme, QuantSpec(bias_correction=False), samples)
    artifact = lowered(program, format)
    proved(artifact, program, noise(5, 3, 24))

    def fixed(part: Samples) -> Mapping[str, Rows]:
        raise SourceError(f"It takes length 24 alone, not {part.inputs['x'].shape[-1]}.", hint="")

    with pytest.raises(RunError, match="none of the sizes that were tried for length, length 10 for"):
        prove(artifact, source, noise(5, 3, 24), Cpu.ARM64, fixed)


def test_orders_grow_from_the_least_and_from_the_middle() -> None:
    """They shrink and repeat, too, and stay within the sizes that there are."""
    first, second = orders(Dimension(min=1, max=64))
    assert first == (1, 16, 64, 16, 33, 1)
    assert second[:2] == (16, 64)
    assert tried(Dimension(min=1, max=64)) == (1, 16, 17, 33, 64)
    assert orders(Dimension(min=4, max=4)) == ((4, 4, 4),)
    for most in range(2, 70):
        assert {1, most} <= set(tried(Dimension(min=1, max=most)))
        assert all(1 <= size <= most for size in tried(Dimension(min=1, max=most)))


def test_the_same_samples_fill_batches_however_many_there_are() -> None:
    """The verdict must not change with the size of the evaluation set."""
    many = noise(64, 3)
    for count in (8, 16, 40):
        part = few(many.rows(slice(0, count)), Dimension(min=1, max=64))
        assert np.array_equal(part.inputs["x"], many.inputs["x"][:8])
    assert len(few(many.rows(slice(0, 3)), Dimension(min=5, max=5))) == 10


def test_samples_are_cut_off_and_repeated_along_a_dimension() -> None:
    """The batch is left as it is."""
    inputs = (TensorSpec(name="x", shape=("batch", 3, "length")),)
    samples = noise(4, 3, 5)
    assert at_length(samples, inputs, {"length": 2}).inputs["x"].shape == (4, 3, 2)
    longer = at_length(samples, inputs, {"length": 12, "batch": 9}).array("x")
    assert longer.shape == (4, 3, 12)
    assert np.array_equal(longer[..., 5:10], longer[..., :5])


def test_a_fixed_batch_is_filled() -> None:
    """The last call gets rows again, which do not count."""
    inputs = (TensorSpec(name="x", shape=(4, 3)),)
    assert (fixed_batch(inputs), fixed_batch((TensorSpec(name="x", shape=("batch", 3)),))) == (4, None)
    samples = noise(10, 3)
    found = [batch.array("x") for batch in samples.batches(4, multiple=4)]
    assert [len(part) for part in found] == [4, 4, 4]
    assert np.array_equal(found[2], samples.array("x")[[8, 9, 0, 1]])
    assert [len(batch) for batch in samples.batches(8)] == [8, 2]
    assert [len(batch) for batch in samples.batches(8, multiple=4)] == [8, 4]
    assert [len(batch) for batch in samples.rows(slice(3)).batches(8, multiple=8)] == [8]


def rows(*values: float) -> Array:
    """Return answers of shape (rows, 8)."""
    return np.repeat(np.array(values, np.float32)[:, None], 8, axis=1)


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (rows(1, -1, 2, -2), rows(1, -1, 2, -2), True),
        (rows(1, -1, 2, -2), rows(1.01, -1, 2, -2), True),
        (rows(*range(-32, 32)), rows(*range(-32, 31), 25), False),  # one row of many
        (rows(100, 100.5, 99.5, 100), rows(99.85, 100.65, 99.35, 100.15), True),  # half a step of what hardly varies
        (rows(100, 100.5, 99.5, 100), rows(90, 110, 95, 105), False),
        (rows(1, -1), rows(1, np.nan), False),
        (rows(1, -np.inf), rows(1, -np.inf), True),
        (rows(1, -1), rows(1, -1)[:, :4], False),
    ],
    ids=["equal", "rounded", "one row", "constant", "constant but wrong", "nan", "infinite", "shape"],
)
def test_tolerance(expected: Array, got: Array, same: bool) -> None:
    """Rounding is allowed, a wrong row is not, however small its share."""
    assert (Tolerance(ratio_db=30).excess(expected, got) is None) == same


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_integers_are_judged_by_agreement(dtype: type) -> None:
    """A class that tips is one value, whatever its number."""
    expected: Array = np.arange(100).astype(dtype)
    tipped = expected.copy()
    tipped[50] = not tipped[50] if dtype is np.bool_ else 999_999
    tolerance = Tolerance(ratio_db=30)
    assert tolerance.excess(expected, tipped) is None
    wrong = ~expected if dtype is np.bool_ else expected[::-1]
    assert "differs in" in str(tolerance.excess(expected, np.asarray(wrong)))


def test_places_of_equal_values_may_be_others() -> None:
    """Rounding makes scores equal, and each runtime finds another one first: no further from the program than that is.

    The twin differs in more places than rounding cost.
    """
    source = quantized(nn.Linear(4, 3), {"input": (4,)}, {"y": (3,)}).captured.source
    model = run_float(source, Samples(inputs={"input": noise(20, 4).array("x")}))

    def found(*places: int) -> Trace:
        index = np.arange(100).reshape(20, 5)
        index.flat[list(places)] = -1
        return dataclasses.replace(model, outputs={"places": index})

    program = found(*range(10))
    hold_against_program("model.onnx", found(*range(5, 15)), program, found())
    with pytest.raises(RunError, match="differs in 20% of its values"):
        hold_against_program("model.onnx", found(*range(20, 30)), program, found())


def test_a_few_rows_may_choose_otherwise() -> None:
    """Of experts that are nearly alike another one is taken: two rows of twenty, and no more than an eighth of them."""
    source = quantized(nn.Linear(4, 3), {"input": (4,)}, {"y": (3,)}).captured.source
    model = run_float(source, Samples(inputs={"input": noise(20, 4).array("x")}))
    right = model.array("y")

    def found(*rows: int, value: float = 9.0) -> Trace:
        other = right + 1e-3
        other[list(rows)] = value
        return dataclasses.replace(model, outputs={"y": other})

    program = found()
    hold_against_program("model.onnx", found(3, 8), program, model)
    with pytest.raises(RunError, match="computes something else"):
        hold_against_program("model.onnx", found(3, 8, 9), program, model)
    with pytest.raises(RunError, match="computes something else"):
        hold_against_program("model.onnx", found(3, value=float("nan")), program, model)
