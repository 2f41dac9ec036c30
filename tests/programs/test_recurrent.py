"""Recurrent networks: loops in a .pte, one operator in an .onnx, and single steps with their state outside."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._decomp import decompositions
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses import FakeTensorMode

from edgekit.data.samples import Samples
from edgekit.errors import CaptureError, LowerError
from edgekit.lowering import pte
from edgekit.lowering.rewriting import has_recurrent_layers
from edgekit.model.capture import capture
from edgekit.model.graph import reads_integers
from edgekit.model.recurrence import traced_by_shape
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import Format, PteSettings, QuantSpec, Scheme, TensorSpec
from tests.programs.on_device import OnDevice, on_device, ratio

pytestmark = pytest.mark.slow
KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Layers(nn.Module):
    """A recurrent network and a linear layer behind its last step, or behind all of them, with the last state."""

    def __init__(self, kind: str, every: bool = False, **options: Any) -> None:
        super().__init__()
        self.first = bool(options.get("batch_first"))
        self.every = every
        self.layers = KINDS[kind](4, 8, **options)
        self.head = nn.Linear(16 if options.get("bidirectional") else 8, 3)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return scores of sequences (batch, 6, 4)."""
        steps, state = self.layers(x if self.first else x.transpose(0, 1))
        steps = steps if self.first else steps.transpose(0, 1)
        last = state[0] if isinstance(state, tuple) else state
        return (self.head(steps), last.transpose(0, 1)) if self.every else self.head(steps[:, -1])


FAMILY: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm", "batch_first": True},
    "gru": {"kind": "gru", "batch_first": True},
    "tanh": {"kind": "rnn", "batch_first": True},
    "relu": {"kind": "rnn", "nonlinearity": "relu"},
    "lstm, 2 layers, both directions, all steps": {
        "kind": "lstm", "num_layers": 2, "bidirectional": True, "every": True,
    },
    "gru, 3 layers, no bias, all steps": {
        "kind": "gru", "num_layers": 3, "bias": False, "batch_first": True, "every": True,
    },
    "gru, both directions": {"kind": "gru", "bidirectional": True, "batch_first": True},
    "tanh, 2 layers, both directions": {"kind": "rnn", "num_layers": 2, "bidirectional": True, "batch_first": True},
}  # fmt: skip


def check(found: OnDevice, at_least: float = 100) -> None:
    """Hold a file to the numbers of torch; the twin has the rows in the wrong order."""
    assert found.db > at_least
    assert found.wrong_db < 10


@pytest.mark.parametrize("name", FAMILY)
def test_layers_are_loops(name: str) -> None:
    """In float to the last digits, and nothing but the loop itself is outside of a delegate."""
    torch.manual_seed(0)
    found = on_device(Layers(**FAMILY[name]), (6, 4))
    check(found)
    assert found.artifact.not_delegated == ()
    loops = {"aten::copy_", "aten::select_copy.int_out", "aten::sym_size.int", "aten::flip.out"}
    assert {one for one in found.artifact.operators if not one.startswith("executorch_prim")} <= loops


@pytest.mark.parametrize("name", FAMILY)
def test_a_single_step_is_one_delegate(name: str) -> None:
    """A sequence of one step needs no loop."""
    torch.manual_seed(0)
    found = on_device(Layers(**FAMILY[name]), (1, 4))
    check(found)
    assert (found.artifact.operators, found.delegates) == ((), 1)


@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.INT8_DYNAMIC])
@pytest.mark.parametrize("name", ["lstm", "gru, both directions", "tanh, 2 layers, both directions"])
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_int8_around_them_is_what_the_program_says(name: str, format: Format, scheme: Scheme) -> None:
    """The steps compute in float, and the report says so; what is around them is rounded."""
    torch.manual_seed(0)
    found = on_device(Layers(**FAMILY[name]), (6, 4), scheme=scheme, format=format)
    check(found, min(30, ratio(found.reference[0], found.simulated[0]) - 1))
    assert any("Recurrent layers compute in float, with weights of 8 bits" in note for note in found.program.notes)
    assert has_recurrent_layers(found.program.program)


class Wide(nn.Module):
    """A recurrent network whose file is its weights, and nothing else that is rounded."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.layers = KINDS[kind](32, 96, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Return all steps of sequences (batch, 6, 32)."""
        steps: Tensor = self.layers(x)[0]
        return steps


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("lstm", {"num_layers": 2, "bidirectional": True}), ("gru", {}), ("rnn", {"nonlinearity": "relu", "bias": False})],
)
def test_weights_are_stored_in_8_bits(kind: str, options: dict[str, Any], format: Format) -> None:
    """A quarter of the float file; the file computes what the program does, to the last digits of float."""
    torch.manual_seed(0)
    model = Wide(kind, **options)
    stored = sum(one.numel() for one in model.parameters() if one.dim() == 2)
    found = on_device(model, (6, 32), scheme=Scheme.INT8, format=format)
    check(found, 35)
    assert min(map(ratio, found.simulated, found.answers)) > 90
    assert ratio(found.reference[0], found.simulated[0]) < 70  # the weights are rounded
    assert len(found.artifact.data) < 1.1 * stored + 12000 + 16 * stored // 32
    assert found.artifact.not_delegated == ()


class Columns(nn.Module):
    """A recurrent network over the columns of a picture, which do not lie one after the other."""

    def __init__(self, kind: str, way: str) -> None:
        super().__init__()
        self.way = way
        self.layers = KINDS[kind](32, 16, batch_first=way != "steps first")
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores of each column of (batch, 32, 1, 6), or of (batch, 32, 6, 6)."""
        match self.way:
            case "squeezed":
                columns = x.permute(0, 3, 1, 2).squeeze(3)
            case "pooled":
                columns = nn.functional.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), (32, 1)).squeeze(3)
            case "steps first":
                columns = x.squeeze(2).permute(2, 0, 1)
            case _:
                columns = x.flatten(2).transpose(1, 2)
        steps = self.layers(columns)[0]
        result: Tensor = self.head(steps.transpose(0, 1) if self.way == "steps first" else steps)
        return result


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("way", ["squeezed", "pooled", "steps first", "transposed"])
def test_sequences_that_do_not_lie_in_order(way: str, kind: str) -> None:
    """The columns of a picture: the delegate multiplies them as it does others."""
    torch.manual_seed(0)
    found = on_device(Columns(kind, way), (32, 6 if way == "pooled" else 1, 6), scheme=Scheme.INT8)
    check(found, 20)
    assert min(map(ratio, found.simulated, found.answers)) > 35
    assert found.artifact.not_delegated == ()


def test_a_layer_may_stay_float() -> None:
    """By its path, as any other; what else there is, is rounded."""
    torch.manual_seed(0)
    model = Layers(**FAMILY["lstm"])
    kept = on_device(model, (6, 4), scheme=Scheme.INT8_MIXED, float_layers=("layers",))
    assert not any(map(reads_integers, kept.program.program.graph.nodes))
    assert not any("Recurrent" in note for note in kept.program.notes)
    rounded = on_device(model, (6, 4), scheme=Scheme.INT8)
    assert any(map(reads_integers, rounded.program.program.graph.nodes))


@pytest.mark.parametrize(
    "name", ["gru", "relu", "lstm, 2 layers, both directions, all steps", "tanh, 2 layers, both directions"]
)
def test_any_number_of_sequences(name: str) -> None:
    """An .onnx takes any; the loop of a .pte takes one at a time, and its file says so."""
    torch.manual_seed(0)
    one = on_device(Layers(**FAMILY[name]), (6, 4), batch="batch")
    check(one)
    assert one.artifact.batch == 1
    many = on_device(Layers(**FAMILY[name]), (6, 4), batch="batch", format=Format.ONNX)
    check(many)
    assert many.artifact.batch is None
    assert {"LSTM", "GRU", "RNN"} & set(many.artifact.operators)


class Step(nn.Module):
    """One step, its state goes in and comes out: what an app that streams calls for each sample."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[kind](4, 8)
        self.kind = kind
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """Return scores and the states behind x (batch, 4)."""
        if self.kind == "lstm":
            state, memory = self.cell(x, (state, memory))
            return self.head(state), state, memory
        state = self.cell(x, state)
        return self.head(state), state, memory * 2


@pytest.mark.parametrize("scheme", [Scheme.FLOAT, Scheme.INT8_DYNAMIC])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_single_steps_take_any_number(kind: str, format: Format, scheme: Scheme) -> None:
    """One delegate, since no piece must be cut out of the gates."""
    torch.manual_seed(0)
    found = on_device(Step(kind), (4,), (8,), (8,), batch="batch", format=format, scheme=scheme)
    check(found, 100 if scheme is Scheme.FLOAT else 30)
    assert found.artifact.batch is None
    if format is Format.PTE:
        assert (found.artifact.operators, found.delegates) == ((), 1)


class Resumed(nn.Module):
    """A recurrent network that goes on from a state."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(4, 8, 2, batch_first=True)

    def forward(self, x: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """Return steps and states, the batch first."""
        steps, (state, memory) = self.layers(x, (state.transpose(0, 1), memory.transpose(0, 1)))
        return steps, state.transpose(0, 1), memory.transpose(0, 1)


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_layers_go_on_from_a_state(format: Format) -> None:
    """The state goes in and comes out, layer by layer."""
    torch.manual_seed(0)
    check(on_device(Resumed(), (6, 4), (2, 8), (2, 8), format=format))


@pytest.mark.parametrize("name", FAMILY)
def test_layers_are_traced_by_their_shapes(name: str) -> None:
    """What comes out has the shapes and the strides that computing every step gives; real tensors are computed."""
    torch.manual_seed(0)
    model = Layers(**FAMILY[name])
    layer, first = model.layers, model.first

    def traced(by_shape: bool) -> list[tuple[object, ...]]:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, enable_python_dispatcher():
            x = mode.from_tensor(torch.zeros(5, 3, 4))
            with traced_by_shape() if by_shape else nullcontext():
                steps, state = layer(x)
        found = (steps, *(state if isinstance(state, tuple) else (state,)))
        return [(one.shape, one.stride(), one.dtype) for one in found]

    assert traced(True) == traced(False)
    x = torch.randn(2, 6, 4) if first else torch.randn(6, 2, 4)
    with enable_python_dispatcher(), traced_by_shape(), torch.no_grad():
        inside = layer(x)[0]
    assert torch.allclose(inside, layer(x)[0], atol=1e-6)


def test_no_step_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """From capture to both files, so that a build does not take longer for more steps; the twin computes one."""

    def step(*_given: object, **_named: object) -> None:
        raise AssertionError("a step was computed")

    monkeypatch.setattr(decompositions, "lstm_cell", step)
    torch.manual_seed(0)
    model = Layers("lstm", batch_first=True, num_layers=2)
    for format in (Format.PTE, Format.ONNX):
        check(on_device(model, (300, 4), scheme=Scheme.INT8, format=format), 30)
    monkeypatch.setattr("edgekit.model.capture.traced_by_shape", nullcontext)
    with pytest.raises(CaptureError, match="a step was computed"):
        on_device(model, (300, 4))


def test_the_file_does_not_grow_with_the_length() -> None:
    """One step is written, however many there are."""
    torch.manual_seed(0)
    short, long = (on_device(Layers(**FAMILY["gru"]), (steps, 4)) for steps in (4, 64))
    assert len(long.artifact.data) < 1.05 * len(short.artifact.data)
    check(long)


class Projecting(nn.Module):
    """An LSTM whose state is projected to fewer numbers, which goes on from a state, or starts with none."""

    def __init__(self, given: bool) -> None:
        super().__init__()
        self.given = given
        self.layers = nn.LSTM(4, 8, 2, proj_size=3, bidirectional=True, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor, hidden: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores of sequences (batch, 6, 4), and the states behind them, of states (batch, 4, 3 and 8)."""
        states = hidden.transpose(0, 1).contiguous(), cells.transpose(0, 1).contiguous()
        steps, (last, cell) = self.layers(x, states) if self.given else self.layers(x)
        return self.head(steps), last.transpose(0, 1) + hidden, cell.transpose(0, 1) + cells


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("format", "given"), [(Format.PTE, True), (Format.ONNX, True), (Format.ONNX, False)])
def test_projected_states(format: Format, given: bool) -> None:
    """Neither runtime has them: the weights are multiplied, and a linear layer follows."""
    torch.manual_seed(0)
    check(on_device(Projecting(given), (6, 4), (4, 3), (4, 8), format=format), at_least=90)


def test_a_loop_of_any_length_is_refused_at_once() -> None:
    """A .pte's loops have a fixed number of steps; any number of sequences is another matter."""
    source = source_from_module(
        "words",
        Layers("gru", batch_first=True).eval(),
        (TensorSpec(name="x", shape=("batch", "time", 4)),),
        (TensorSpec(name="y", shape=("batch", 3)),),
        {"batch": 4, "time": 16},
    )
    samples = Samples(inputs={"x": np.ones((4, 6, 4), np.float32)})
    program = quantize(capture(source, samples), Scheme.FLOAT, QuantSpec(), samples)
    with pytest.raises(LowerError, match=r"gru \(layers.* fixed number of steps") as caught:
        pte.lower(program, PteSettings())
    assert "edgekit.streaming" in caught.value.hint


class Behind(nn.Module):
    """A cell behind a layer that computes with integers, as policies and decoders have it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 6), nn.Linear(8, 3)
        self.cell = nn.GRUCell(10, 8) if kind == "gru" else nn.LSTMCell(10, 8)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map (batch, 8) and (batch, 4) to (batch, 3)."""
        seen = torch.cat([self.first(x).relu(), y], 1)
        state = torch.zeros(len(x), 8)
        found = self.cell(seen, state) if isinstance(self.cell, nn.GRUCell) else self.cell(seen, (state, state))[0]
        last: Tensor = self.last(found)
        return last


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_cells_read_what_was_rounded(kind: str, format: Format) -> None:
    """The values are integers once more or not: the product of the cell takes them as they are."""
    torch.manual_seed(0)
    found = on_device(Behind(kind), (8,), (4,), scheme=Scheme.INT8, format=format)
    assert found.db > min(ratio(found.reference[0], found.simulated[0]) - 1, 28)
    assert found.wrong_db < 10
    if format is Format.PTE:
        assert (found.delegates, found.artifact.operators) == (1, ())
