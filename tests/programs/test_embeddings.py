"""Tables of embeddings: integers in every scheme, read alike in both formats, and kept where that would be wrong."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.data.samples import Samples
from edgekit.drift.metrics import sqnr_db
from edgekit.errors import QuantizeError
from edgekit.execution.artifact import open_artifact
from edgekit.execution.eager import run_float, run_quantized
from edgekit.lowering import onnx, pte
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.graph import is_quantize, is_table_read
from edgekit.model.program import Captured, Quantized
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.profiling.values import profile
from edgekit.quantization import quantize
from edgekit.quantization.sensitivity import sensitivities
from edgekit.quantization.simulate import simulate
from edgekit.spec import Cpu, Embeddings, OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec

ROWS, WIDTH, LENGTH = 1000, 64, 6
Read = Callable[["Words", Tensor], Tensor]
Answers = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Words(nn.Module):
    """A table that is read in one of many ways, and two layers behind it."""

    def __init__(self, read: Read, **options: bool | float) -> None:
        super().__init__()
        self.table = nn.Embedding(ROWS, WIDTH, **options)  # type: ignore[arg-type]
        self.places, self.kinds, self.rare = nn.Embedding(256, WIDTH), nn.Embedding(8, WIDTH), nn.Embedding(ROWS, 20)
        self.layer, self.last = nn.Linear(WIDTH, 32), nn.Linear(32, 5)
        self.out = nn.Linear(WIDTH, ROWS, bias=False)
        self.register_buffer("few", torch.arange(LENGTH))
        self.read = read

    def forward(self, ids: Tensor) -> Tensor:
        """Return (batch, 5) of ids (batch, 6)."""
        x = self.layer(self.read(self, ids))
        result: Tensor = self.last(torch.relu(x if x.dim() == 2 else x.mean(1)))
        return result


def _tied(net: Words, ids: Tensor) -> Tensor:
    x: Tensor = net.table(ids)
    return x + functional.linear(x, net.table.weight)[..., :WIDTH]


QUANTIZED: dict[str, tuple[Read, dict[str, bool | float]]] = {
    "plain": (lambda net, ids: net.table(ids), {}),
    "sparse": (lambda net, ids: net.table(ids), {"sparse": True}),
    "padding": (lambda net, ids: net.table(ids), {"padding_idx": 3}),
    "frequency": (lambda net, ids: net.table(ids), {"scale_grad_by_freq": True}),
    "largest norm": (lambda net, ids: net.table(ids), {"max_norm": 2.0}),
    "int32": (lambda net, ids: net.table(ids.int()), {}),
    "vector of ids": (lambda net, ids: net.table(ids[:, 0]), {}),
    "three dimensions": (lambda net, ids: net.table(ids.view(-1, 2, LENGTH // 2)).sum(1), {}),
    "function": (lambda net, ids: functional.embedding(ids, net.table.weight), {}),
    "indexed": (lambda net, ids: net.table.weight[ids], {}),
    "selected": (lambda net, ids: torch.index_select(net.table.weight, 0, ids[:, 1]), {}),
    "twice": (lambda net, ids: net.table(ids[:, :3]) * net.table(ids[:, 3:]), {}),
    "two tables": (lambda net, ids: net.table(ids) + net.places((ids > 9).int().cumsum(1)), {}),
    "tied": (_tied, {}),
    "bag": (lambda net, ids: functional.embedding_bag(ids, net.table.weight), {}),
    "bag without padding": (lambda net, ids: functional.embedding_bag(ids, net.table.weight, padding_idx=1), {}),
    "shares of a bag": (
        lambda net, ids: functional.embedding_bag(
            ids, net.table.weight, mode="sum", per_sample_weights=(ids % 7).float() / 7
        ),
        {},
    ),
    "largest of a bag": (lambda net, ids: functional.embedding_bag(ids, net.table.weight, mode="max"), {}),
}
FLOAT: dict[str, Read] = {
    "as a matrix": lambda net, ids: (net.table.weight[:WIDTH] @ net.table(ids).transpose(1, 2)).transpose(1, 2),
    "in constant places": lambda net, ids: net.table(net.few)[None] * ids[:, :, None].float(),
}


OTHERS: dict[str, Read] = {
    "uneven": lambda net, ids: functional.pad(net.rare(ids), (0, WIDTH - 20)),
    "small": lambda net, ids: net.table(ids) + net.kinds(ids % 8),
}


@functools.cache
def captured(name: str) -> Captured:
    """Capture one of the networks; a table that is not read is none of its own."""
    torch.manual_seed(0)
    read, options = QUANTIZED.get(name) or ((FLOAT | OTHERS)[name], {})
    net = Words(read, **options).eval()
    with torch.no_grad():
        net.table.weight *= torch.linspace(0.2, 2, ROWS)[:, None]  # rows of different lengths
    ids = TensorSpec(name="ids", shape=("batch", LENGTH), dtype="int64")
    source = source_from_module("net", net, (ids,), (TensorSpec(name="out", shape=("batch", 5)),), {"batch": 64})
    return capture(source, samples(64, 1))


def samples(count: int, seed: int) -> Samples:
    """Return seeded ids."""
    return Samples(inputs={"ids": np.random.default_rng(seed).integers(0, ROWS, (count, LENGTH))})


def tables_alone(
    name: str, embeddings: Embeddings = Embeddings.INT8, scheme: Scheme = Scheme.INT8_DYNAMIC
) -> Quantized:
    """Quantize the tables of a network, and nothing else that it has to compute."""
    spec = QuantSpec(embeddings=embeddings, float_layers=("layer", "last"), bias_correction=False)
    return quantize(captured(name), Scheme.INT8_DYNAMIC, spec, samples(64, 1))


def ratio(program: Captured, found: Answers) -> float:
    """Return the SQNR of answers for the evaluation samples in dB, of what varies."""
    reference = run_float(program.source, samples(60, 2)).array("out").astype(np.float64)
    return apart(reference - reference.mean(0), found - reference.mean(0))


def apart(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return the SQNR of the second against the first in dB; infinity where they are equal."""
    value = sqnr_db(one.astype(np.float64), other.astype(np.float64))
    return float("inf") if value is None else value


def answers(program: Quantized) -> Answers:
    """Return what a program gives for the evaluation samples."""
    found: Answers = run_quantized(program, samples(60, 2)).array("out")
    return found


def reads(program: Quantized) -> int:
    """Return how often the program reads rows of integers."""
    return sum(map(is_table_read, program.program.graph.nodes))


@pytest.mark.parametrize("name", QUANTIZED)
def test_rows_lose_little(name: str) -> None:
    """8 bits and a scale for each row, against 4 in groups; and a row that is wrong shows."""
    eight, four = (tables_alone(name, bits) for bits in (Embeddings.INT8, Embeddings.INT4))
    assert reads(eight) == reads(four) == (2 if name in ("twice", "two tables") else 1)
    assert ratio(captured(name), answers(eight)) > 34
    assert 12 < ratio(captured(name), answers(four)) < ratio(captured(name), answers(eight)) - 12
    (rows,) = [value for key, value in eight.program.state_dict.items() if key.endswith("table_weight_integers")]
    rows[100:150] = rows[100:150].flip(1)  # 5% of the rows
    assert ratio(captured(name), answers(eight)) < 30


def test_a_small_table_stays_float() -> None:
    """It has less than a hundredth of the weights: the large one beside it is stored as integers."""
    program = tables_alone("small")
    assert reads(program) == 1
    assert any(key.endswith("kinds.weight") for key in program.program.state_dict)


@pytest.mark.parametrize("name", FLOAT)
def test_what_is_more_than_a_table_stays_float(name: str) -> None:
    """A matrix that is multiplied with, rows that are known beforehand, and a table that is hardly worth it."""
    with pytest.raises(QuantizeError, match="Nothing in net was quantized"):
        tables_alone(name)


def test_tables_stay_float_where_they_are_told_to() -> None:
    """By the setting, or by name; the bytes are counted as they are."""
    spec = QuantSpec(scheme=Scheme.INT8_DYNAMIC)
    programs = [
        quantize(captured("plain"), Scheme.INT8_DYNAMIC, spec.model_copy(update=more), samples(64, 1))
        for more in (
            {},
            {"embeddings": Embeddings.INT4},
            {"embeddings": Embeddings.FLOAT},
            {"float_layers": ("table",)},
        )
    ]
    eight, four, asked, named = (program.weight_bytes for program in programs)
    assert [reads(program) for program in programs] == [1, 1, 0, 0]
    assert programs[3].float_layers == ("table",)
    assert asked == named
    assert eight == asked - 3 * ROWS * WIDTH
    assert four == asked - int(ROWS * WIDTH * (4 - 4.5 / 8))


def test_static_schemes_count_tables_as_they_are_stored() -> None:
    """A byte each is what all weights are to take; less with 4 bits, more where tables stay float."""
    sizes = {
        bits: quantize(captured("plain"), Scheme.INT8, QuantSpec(embeddings=bits), samples(64, 1)).weight_bytes
        for bits in Embeddings
    }
    assert sizes[Embeddings.FLOAT] == sizes[Embeddings.INT8] + 3 * ROWS * WIDTH
    assert sizes[Embeddings.INT4] == sizes[Embeddings.INT8] - int(ROWS * WIDTH * 3.5 / 8)


def test_rows_that_a_layer_reads_are_rounded_once() -> None:
    """They lie on the steps that a layer or a sum rounds them to; where nothing in integers reads them, on their own.

    A row too long for those steps keeps its own.
    """
    for name, once in (("plain", True), ("vector of ids", True), ("two tables", True), ("three dimensions", False)):
        program = quantize(captured(name), Scheme.INT8, QuantSpec(), samples(64, 1))
        held = {key: value for key, value in program.program.state_dict.items() if key.endswith("table_weight_scales")}
        (scales,) = held.values()
        assert (len(scales.unique()) < ROWS / 2) == once, name
        if once:
            steps = {node.args[1] for node in program.program.graph.nodes if is_quantize(node)}
            assert float(scales.min()) in steps


def test_rows_that_groups_do_not_divide_have_8_bits() -> None:
    """And a note says which: 20 values are no multiple of 32."""
    program = tables_alone("uneven", Embeddings.INT4)
    assert program.notes == ("Tables of embeddings have 8 bits, since groups of 32 do not divide their rows: rare.",)
    assert ratio(captured("uneven"), answers(program)) > 34
    assert not tables_alone("plain", Embeddings.INT4).notes


@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.INT8_DYNAMIC, Scheme.W8A16, Scheme.W4_DYNAMIC])
def test_every_scheme_takes_tables(scheme: Scheme) -> None:
    """With the layers that it quantizes beside them."""
    program = quantize(captured("plain"), scheme, QuantSpec(scheme=scheme), samples(64, 1))
    assert reads(program) == 1
    assert ratio(captured("plain"), answers(program)) > 15


def test_a_table_is_a_layer_that_can_be_blamed() -> None:
    """The simulation switches it, as it does any other: with 4 bits it does the most harm."""
    simulation = simulate(captured("plain"), QuantSpec(embeddings=Embeddings.INT4), samples(64, 1))
    assert simulation.layers["table"].weights == ROWS * WIDTH
    assert simulation.layers["table"].kind == "embedding"
    found = sensitivities(simulation, samples(60, 2))
    assert found.ranking[0].layer.path == "table"
    assert found.ranking[0].gain_db is not None
    assert found.ranking[0].gain_db > 3
    (table,) = [layer for layer in profile(simulation) if layer.path == "table"]
    assert (table.values[0].kind, table.values[0].values) == ("weight", ROWS * WIDTH)


def lowered(program: Quantized) -> list[Artifact]:
    """Lower a program to both formats."""
    return [pte.lower(program, PteSettings()), onnx.lower(program, OnnxSettings())]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [Embeddings.INT8, Embeddings.INT4])
@pytest.mark.parametrize("name", QUANTIZED)
def test_both_runtimes_read_the_same_rows(name: str, bits: Embeddings) -> None:
    """To the rounding of floats, where nothing else is quantized; other rows would show."""
    program = tables_alone(name, bits)
    expected, source = answers(program), program.captured.source
    least = 20 if name == "tied" else 100  # it has a layer that is quantized, and by each format in its own way
    for artifact in lowered(program):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        found = np.asarray(opened.run(samples(60, 2), artifact.batch or 4)["out"])
        assert apart(expected, found) > least
        assert apart(expected, np.roll(found, 1, 0)) < 20


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.INT8_DYNAMIC])
def test_a_file_holds_a_table_once_and_in_integers(scheme: Scheme) -> None:
    """Two reads of one table are no second table; the same file with the table in float is twice as large or more."""
    sizes = {}
    for bits in Embeddings:
        spec = QuantSpec(scheme=scheme, embeddings=bits)
        sizes[bits] = [len(one.data) for one in lowered(quantize(captured("twice"), scheme, spec, samples(64, 1)))]
    for eight, four, whole in zip(*(sizes[bits] for bits in Embeddings), strict=True):
        assert ROWS * (3 * WIDTH - 4) - 6_000 < whole - eight < ROWS * (3 * WIDTH - 4)
        assert ROWS * (WIDTH * 3.5 / 8 - 4) - 6_000 < eight - four < ROWS * WIDTH / 2


class Rows(nn.Module):
    """Nothing but a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(ROWS, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        """Return rows."""
        found: Tensor = self.table(ids)
        return found


@pytest.mark.slow
def test_tables_alone_are_something_that_is_quantized() -> None:
    """A network of nothing but a table is built in both formats."""
    torch.manual_seed(0)
    ids = TensorSpec(name="ids", shape=("batch", LENGTH), dtype="int64")
    out = TensorSpec(name="out", shape=("batch", LENGTH, WIDTH))
    source = source_from_module("net", Rows(), (ids,), (out,), {"batch": 64})
    program = quantize(capture(source, samples(64, 1)), Scheme.INT8, QuantSpec(), samples(64, 1))
    expected = run_quantized(program, samples(60, 2)).array("out")
    for artifact in lowered(program):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        assert np.array_equal(opened.run(samples(60, 2), 4)["out"], expected)
    with pytest.raises(QuantizeError, match="Nothing in net was quantized"):
        quantize(program.captured, Scheme.INT8, QuantSpec(embeddings=Embeddings.FLOAT), samples(64, 1))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [Embeddings.INT8, Embeddings.INT4])
def test_sequences_may_vary_in_length(bits: Embeddings) -> None:
    """With a batch that varies, too: two sizes that no reshape can infer at once."""
    torch.manual_seed(0)
    ids = TensorSpec(name="ids", shape=("batch", "length"), dtype="int64")
    out = TensorSpec(name="out", shape=("batch", "length", WIDTH))
    source = source_from_module("net", Rows(), (ids,), (out,), {"batch": 64, "length": 20})
    program = quantize(capture(source, samples(64, 1)), Scheme.INT8, QuantSpec(embeddings=bits), samples(64, 1))
    for artifact in lowered(program):
        opened = open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
        for length in (3, 17):
            some = Samples(inputs={"ids": np.random.default_rng(length).integers(0, ROWS, (8, length))})
            expected = run_quantized(program, some).outputs["out"]
            assert np.array_equal(opened.run(some, artifact.batch or 4)["out"], expected)
            assert not np.array_equal(expected, np.roll(expected, 1, 1))
