"""TorchScript as a model, traced and scripted: the same numbers and layers, any batch, and faults with their line."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.errors import EdgeKitError, SourceError
from edgekit.model import programs
from edgekit.model.capture import capture
from edgekit.model.source import samples_of
from edgekit.spec import TensorSpec
from tests.programs.networks import Small, Tokens, TwoInTwoOut, WellNamed, images
from tests.programs.test_exported import quantized_db, with_bomb

trace: Any = torch.jit.trace  # without type information
PICTURES = torch.from_numpy(images(64, 0).inputs["image"])


class Branches(nn.Module):
    """Conditions, loops, lists, a buffer, a constant, a function of torch, and dropout that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.norm = nn.LayerNorm(8)
        self.register_buffer("scale", torch.full((8,), 0.5))
        self.rounds = 2
        self.activation = nn.Hardswish()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, 8)."""
        if self.training:
            x = functional.dropout(x)
        for layer in self.layers:
            x = functional.gelu(layer(x))
        for index in range(self.rounds):
            x = self.activation(x) * self.scale + float(index)
        if x.dim() != 2:
            raise RuntimeError("two dimensions")
        parts: list[Tensor] = []
        for part in x.chunk(2, -1):
            parts.append(part + torch.ones(4))  # noqa: PERF401 - a list that grows is what is tested
        features: Tensor = self.norm(self.drop(torch.cat(parts, -1)).view(x.size(0), -1))
        return features


class Recurrent(nn.Module):
    """A GRU, whose weights TorchScript keeps in a list, and a head tied to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 6, num_layers=2, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return scores by name."""
        states, _ = self.gru(x)
        return {"scores": self.head(states[:, -1])}


class Shapes(nn.Module):
    """Arithmetic on sizes, as traces have it: numbers that are written as tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, 16)."""
        batch, channels, height, width = x.shape
        grown = functional.interpolate(x, size=(height * 2 // 2, width), mode="nearest")
        return grown.reshape(batch, channels, height // 2, 2, width // 2, 2).flatten(2)[:, :, :16]


class Transposed(nn.Module):
    """Convolutions of one and two dimensions, with and without transposition."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 4, 2, stride=2, bias=False)
        self.line = nn.Conv1d(4, 4, 3, padding=1, groups=2)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 4, 256)."""
        lines: Tensor = self.line(self.up(image).flatten(2))
        return lines


CASES: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
    (Small(), (PICTURES[:3],)),
    (Tokens(), (torch.randn(3, 6, 8),)),
    (TwoInTwoOut(), (torch.randn(3, 6), torch.randn(3, 4))),
    (Branches(), (torch.randn(3, 8),)),
    (Recurrent(), (torch.randn(3, 5, 8),)),
    (Shapes(), (torch.randn(3, 2, 8, 8),)),
    (Transposed(), (PICTURES[:3],)),
    (WellNamed(), (torch.randn(3, 8),)),
]


def tensors(result: Any) -> list[Tensor]:
    """Return what a model returned as a list."""
    if isinstance(result, Tensor):
        return [result]
    return list(result.values() if isinstance(result, dict) else result)


def written(model: nn.Module, example: tuple[Tensor, ...], form: str, folder: Path, *, train: bool = False) -> Path:
    """Save a network as TorchScript."""
    model = model.train(train)
    script = torch.jit.script(model) if form == "scripted" else trace(model, example, strict=False)
    torch.jit.save(script, folder / "net.pt")
    return folder / "net.pt"


@pytest.mark.parametrize("form", ["traced", "scripted"])
@pytest.mark.parametrize(("model", "example"), CASES, ids=[type(model).__name__ for model, _ in CASES])
def test_a_script_computes_what_the_module_does(
    model: nn.Module, example: tuple[Tensor, ...], form: str, tmp_path: Path
) -> None:
    """For the traced batch and for another, before and after capture with a batch that varies."""
    if isinstance(model, Tokens) and form == "scripted":
        pytest.skip("torch.jit.script does not take its generator")
    path = written(model, example, form, tmp_path)
    source = programs.source_of(None, path, example)
    more = tuple(torch.cat([one, one + 0.1]) for one in example)
    with torch.no_grad():
        for given in (example, more):
            for found, wanted in zip(tensors(source.model(*given)), tensors(model.eval()(*given)), strict=True):
                assert torch.allclose(found, wanted, atol=1e-5)
        captured = capture(source, samples_of([more], source, what="samples"))
        for found, wanted in zip(tensors(captured.program.module()(*more)), tensors(model(*more)), strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)
    assert captured.any_batch


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_a_script_is_quantized_as_the_module_is(form: str, tmp_path: Path) -> None:
    """Within half a decibel; it was saved in training mode, which a note says."""
    torch.manual_seed(0)
    model = Small()
    expected = quantized_db(model, PICTURES, PICTURES[:2])
    assert expected > 30
    path = written(model, (PICTURES[:2],), form, tmp_path, train=form == "scripted")
    assert quantized_db(path, PICTURES, PICTURES[:2]) > expected - 0.5
    notes = programs.source_of(None, path, PICTURES[:2]).notes
    assert [note for note in notes if "training mode" in note] == list(notes)
    assert bool(notes) is (form == "scripted")


def test_layers_parameters_and_names_are_the_users(tmp_path: Path) -> None:
    """Also of a recurrent layer, whose weights lie in a list."""
    source = programs.source_of(None, torch.jit.script(Recurrent().eval()), torch.randn(2, 5, 8))
    assert source.name == "recurrent"
    assert {name for name, _ in source.model.named_parameters()} == {name for name, _ in Recurrent().named_parameters()}
    assert source.parameters == sum(one.numel() for one in Recurrent().parameters())
    assert [spec.name for spec in source.outputs] == ["scores"]
    captured = capture(source, samples_of([torch.randn(8, 5, 8)], source, what="samples"))
    linear = next(node for node in captured.program.graph.nodes if "linear" in str(node.target))
    assert list(linear.meta["nn_module_stack"].values())[-1][0] == "head"


def test_tied_weights_stay_one() -> None:
    """Two layers that share a weight are counted once."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.second(self.first(x).relu())
            return found

    source = programs.source_of(None, trace(Tied().eval(), torch.randn(2, 8)), None)
    assert source.parameters == 64 + 16


def test_what_a_trace_knows_of_its_inputs(tmp_path: Path) -> None:
    """Several rows are a batch that varies, if the trace does; one row is one sample; a script knows nothing."""

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(3, -1) * torch.arange(3).view(3, 1)

    many = programs.describe(programs.of_path(written(Small(), (PICTURES[:2],), "traced", tmp_path)))
    assert many.inputs == (TensorSpec(name="image", shape=("batch", 1, 8, 8)),)
    assert many.outputs == (TensorSpec(name="output", shape=("batch", 4)),)
    assert many.dimensions["batch"].max == 64
    one = programs.describe(programs.of_path(written(Small(), (PICTURES[:1],), "traced", tmp_path)))
    assert one.inputs[0].shape == (1, 1, 8, 8)
    fixed = programs.describe(programs.of_path(written(Fixed(), (torch.randn(3, 8),), "traced", tmp_path)))
    assert fixed.inputs[0].shape == (3, 8)
    script = programs.of_path(written(Small(), (), "scripted", tmp_path))
    with pytest.raises(SourceError, match=r"does not say what goes in \(image\)"):
        programs.describe(script)
    found = programs.describe(script, (TensorSpec(name="image", shape=("batch", 1, 8, 8)),))
    assert found.outputs == (TensorSpec(name="output", shape=(1, 4)),)


class Stateful(nn.Module):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the input and one more."""
        self.calls = self.calls + 1
        return x + self.calls


class Deciding(nn.Module):
    """Decides by a value."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, or twice."""
        if bool(x.sum() > 0):
            return x
        return x * 2


class Writing(nn.Module):
    """Writes a file."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        torch.save(x, "canary")
        return x


def test_what_cannot_be_computed_is_named_with_its_line() -> None:
    """State that stays, at once; a decision by value, when it is captured."""
    with pytest.raises(SourceError, match=r"an assignment .* at .*test_torchscript.py:\d+: self.calls"):
        programs.source_of("it", torch.jit.script(Stateful()), torch.randn(2, 3))
    source = programs.source_of("it", torch.jit.script(Deciding()), torch.randn(2, 3))
    with pytest.raises(EdgeKitError, match=r"test_torchscript.py:\d+: if bool"):
        capture(source, samples_of([torch.randn(4, 3)], source, what="samples"))
    with pytest.raises(SourceError, match=r"the model raises RuntimeError: two dimensions .*test_torchscript.py"):
        programs.source_of("it", torch.jit.script(Branches()), torch.randn(2, 3, 8))


def test_quantized_scripts_are_refused(tmp_path: Path) -> None:
    """Their packed weights would be unpacked while the file loads."""
    path = written(Small(), (PICTURES[:2],), "traced", tmp_path)
    target = tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".py"):
                data += b"  def __setstate__(self, state: Tensor) -> NoneType:\n    return None\n"
            new.writestr(name, data)
    with pytest.raises(SourceError, match="would be executed"):
        programs.of_path(target)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl", ".debug_pkl"])
def test_a_text_that_claims_more_than_there_is(member: str, tmp_path: Path) -> None:
    """In any pickle of the archive: torch would take the gigabytes first."""
    trace(nn.Linear(4, 4), torch.zeros(1, 4)).save(tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "net.pt", "w") as changed:
        for info in whole.infolist():
            claimed = b"\x80\x02X\xff\xff\xff\x7fab."
            changed.writestr(info, claimed if info.filename.endswith(member) else whole.read(info))
    with pytest.raises(SourceError, match=f"{member}: expected 2147483647 bytes"):
        programs.of_object(tmp_path / "net.pt")


def test_lines_that_are_damaged_take_no_more(tmp_path: Path) -> None:
    """Where the code was written is for messages alone."""
    trace(nn.Linear(4, 4), torch.zeros(1, 4)).save(tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "net.pt", "w") as changed:
        for info in whole.infolist():
            changed.writestr(info, b"\x80\x02K\x07." if info.filename.endswith(".debug_pkl") else whole.read(info))
    found = programs.of_object(tmp_path / "net.pt")
    assert found is not None
    assert tuple(found.module(torch.zeros(2, 4)).shape) == (2, 4)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Code is read whole: what it unpacks to is known before."""
    path = with_bomb(written(Small(), (PICTURES[:2],), "traced", tmp_path), "net/code/more.py")
    with pytest.raises(SourceError, match="unpack to 600"):
        programs.of_path(path)


def test_files_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while a script is read nor when it runs."""
    monkeypatch.chdir(tmp_path)
    try:
        script = torch.jit.script(Writing())
    except Exception as error:  # a torch whose scripts cannot write is as good
        pytest.skip(f"scripts cannot write: {type(error).__name__}")
    with pytest.raises(SourceError, match=r"would be executed|no artifact can compute"):
        programs.source_of("it", script, torch.randn(2, 3))
    assert not (tmp_path / "canary").exists()


def test_damage_is_found(tmp_path: Path) -> None:
    """A flipped byte, wherever it is, ends in an error of EdgeKit or changes nothing that is read."""
    data = written(Small(), (PICTURES[:2],), "traced", tmp_path).read_bytes()
    broken = tmp_path / "broken.pt"
    for place in range(10, len(data), len(data) // 40):
        broken.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            programs.of_path(broken)
        except EdgeKitError as error:
            assert error.message  # noqa: PT017 - both ends are right
