"""Models of one sample without a batch: captured with one of 1, built in both formats, named on the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.base.progress import Silent
from edgekit.data.samples import Samples
from edgekit.errors import DataError, ProjectError, SourceError
from edgekit.model.capture import capture
from edgekit.model.graph import module_path
from edgekit.model.source.example import source_from_example
from edgekit.pipeline import guess, job
from edgekit.spec import Preprocessing, Resize
from edgekit.spec import project as projects
from edgekit.spec.asked import asked
from edgekit.spec.written import written


class Picture(nn.Module):
    """Takes a picture of (3, 12, 12) and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, picture: Tensor, strength: Tensor) -> Tensor:
        """Give four numbers."""
        _, height, width = picture.shape
        assert height == width
        found: Tensor = self.head(self.two(self.one(picture).relu()).relu().mean((1, 2))) * strength
        return found


class Many(nn.Module):
    """Uses operations with and without a form with a batch, of a sample of (4, 6)."""

    wide: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.prelu = nn.Conv1d(4, 4, 3, padding="same"), nn.LayerNorm(6), nn.PReLU(6)
        self.table, self.rnn = nn.Embedding(5, 6), nn.GRU(6, 6)
        self.register_buffer("wide", torch.rand(2, 4, 6))
        with torch.no_grad():
            self.prelu.weight.copy_(torch.linspace(0.1, 0.6, 6))

    def forward(self, x: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Give a tensor of each kind."""
        a = self.norm(nn.functional.hardswish(self.conv(x)))
        b = torch.stack([a, x.t().reshape(4, 6)]).flatten(1)
        c = torch.cat([a.softmax(0), x[1:3] + self.table(ids).sum(0)], dim=0)
        d = self.rnn(c)[0] @ x.transpose(0, 1)
        picked = nn.functional.max_pool2d(c[None], 2)[0] + self.wide[0, :3, :3]
        return {
            "stacked": b,
            "wide": a * self.wide,
            "product": d,
            "prelu": self.prelu(x),
            "best": c.argmax(1),
            "pair": torch.matmul(self.wide[0].t(), x).amax((0, 1)),
            "cumulated": x.cumsum(0).unsqueeze(2).squeeze(-1).permute(1, 0),
            "first": x.unsqueeze(0),
            "picked": picked,
        }


def test_the_batch_is_carried_through() -> None:
    """Every operation computes what it did, with a batch in front or on the sample alone."""
    torch.manual_seed(0)
    model, (x, ids) = Many().eval(), (torch.rand(4, 6), torch.tensor([1, 3, 0]))
    source = source_from_example("many", model, (x, ids), unbatched=True)
    assert [spec.shape for spec in source.inputs] == [(1, 4, 6), (1, 3)]
    captured = capture(
        source, Samples(inputs={"x": np.zeros((2, 4, 6), np.float32), "ids": np.zeros((2, 3), np.int64)})
    )
    found = captured.program.module()(x[None], ids[None])
    for spec, (name, expected), got in zip(source.outputs, model(x, ids).items(), found, strict=True):
        assert spec.name == name
        assert tuple(spec.shape) == tuple(got.shape) == (1, *expected.shape)
        torch.testing.assert_close(got[0], expected)
    nodes = [node for node in captured.program.graph.nodes if node.op == "call_function"]
    convolution = next(node for node in nodes if "conv" in str(node.target))
    assert convolution.args[0].op == "placeholder"  # with the batch that the file has


def test_no_squeeze_is_left_of_a_usual_network() -> None:
    """So that the quantizer and the delegates see what they see of a model with a batch."""
    source = source_from_example("net", Picture().eval(), (torch.rand(3, 12, 12), torch.tensor(1.0)), unbatched=True)
    rows = {"picture": np.zeros((2, 3, 12, 12), np.float32), "strength": np.ones(2, np.float32)}
    names = [str(node.target) for node in capture(source, Samples(inputs=rows)).program.graph.nodes]
    assert not [name for name in names if "squeeze" in name]


def test_build(tmp_path: Path) -> None:
    """Both files take one sample a call, with a batch of one; drift is measured over many, one call each."""
    torch.manual_seed(0)
    data = {"picture": torch.rand(40, 3, 12, 12), "strength": torch.rand(40) + 0.5}
    (built,) = edgekit.build(
        Picture().eval(),
        (data["picture"][0], data["strength"][0]),
        target="android-arm64",
        calibration=data,
        output=tmp_path,
        unbatched=True,
    ).bundles
    manifest = built.manifest
    assert [(spec.name, spec.shape) for spec in manifest.inputs] == [("picture", (1, 3, 12, 12)), ("strength", (1,))]
    assert manifest.outputs[0].shape == (1, 4)
    assert {info.format.value: info.verified_batches for info in manifest.artifacts} == {"pte": (1,), "onnx": (1,)}
    assert manifest.drift.samples == 40
    assert all((leg.metrics.sqnr_db or 100) > 25 for leg in manifest.drift.legs)
    assert all(info.delegated_fraction == 1 for info in manifest.artifacts)
    assert any("Inputs without a batch (picture, strength)" in note for note in manifest.drift.notes)
    assert [one.shape for one in manifest.golden[0].inputs] == [(1, 3, 12, 12), (1,)]


NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, picture):
        channels, height, width = picture.shape
        return self.head(self.conv(picture).relu().mean((1, 2)))
"""


@pytest.mark.parametrize("told", [True, False])
def test_named_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """`--unbatched` says it; a shape that was said tells it as well, and that is marked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    space: dict[str, type[nn.Module]] = {}
    exec(NET, space)  # noqa: S102 - our own
    torch.save(space["Net"]().state_dict(), "net.pth")
    np.savez("data.npz", picture=np.random.default_rng(0).random((20, 3, 12, 12), dtype=np.float32))
    named = asked("net.py:Net", Path("net.pth"), shapes=("3x12x12",), data="data.npz", unbatched=told)
    found = guess.guess(named, Path(), Silent())
    (tmp_path / "edgekit.toml").write_text(written(found.project.spec, found.guesses))
    assert ("unbatched" in " ".join(map(str, found.guesses))) != told
    opened = projects.load(tmp_path)
    assert opened.spec.unbatched == ("picture",)
    made = job.of_project(opened)
    assert made.source.inputs[0].shape == (1, 3, 12, 12)
    assert made.source.outputs[0].shape == (1, 4)
    assert made.source.model(torch.zeros(1, 3, 12, 12)).shape == (1, 4)
    nodes = capture(made.source, made.calibration).program.graph.nodes
    assert not [node for node in nodes if "squeeze" in str(node.target)]


def test_more_than_one_sample_is_refused(tmp_path: Path) -> None:
    """By the arguments, by the project, and by the model itself."""
    model, example = Picture().eval(), (torch.rand(3, 12, 12), torch.tensor(1.0))
    with pytest.raises(DataError, match="max_batch is 4"):
        source_from_example("net", model, example, unbatched=True, max_batch=4)
    with pytest.raises(DataError, match="no batch dimension"):
        source_from_example("net", model, example)
    source = source_from_example("net", model, example, unbatched=True)
    with pytest.raises(ValueError, match="one sample at a time, not 2"):
        source.model(torch.rand(2, 3, 12, 12), torch.ones(2))
    (tmp_path / "net.py").write_text(NET)
    for name in ("net.pth", "data.npz"):
        (tmp_path / name).touch()
    table = """
[model]
name = "net"
source = "net.py:Net"
weights = "net.pth"
[[inputs]]
name = "picture"
shape = [SHAPE]
unbatched = true
[[outputs]]
name = "found"
shape = [FIRST, 4]
[dimensions]
[data]
calibration = "data.npz"
evaluation = "data.npz"
"""
    for shape, first, dimensions, good in (
        ('"batch", 3, 12, 12', '"batch"', "", True),
        ("1, 3, 12, 12", "1", "", True),
        ("3, 12, 12", "3", "", False),
        ('"batch", 3, 12, 12', '"batch"', "batch = 8", False),
    ):
        text = table.replace("SHAPE", shape).replace("FIRST", first)
        (tmp_path / "edgekit.toml").write_text(
            text.replace("[dimensions]", f"[dimensions]\n{dimensions}" if dimensions else "")
        )
        if good:
            assert projects.load(tmp_path).spec.unbatched == ("picture",)
            continue
        with pytest.raises(ProjectError, match=r"inputs\[0\]\.shape: must begin with 1, or a batch of 1"):
            projects.load(tmp_path)


def test_programs_without_a_batch(tmp_path: Path) -> None:
    """An exported program of one sample is given its batch as a module is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(0), nn.Linear(400, 2)).eval()
    picture = torch.rand(3, 12, 12)
    program = torch.export.export(model, (picture,))
    torch.export.save(program, tmp_path / "net.pt2")
    captured = edgekit.capture(tmp_path / "net.pt2", unbatched=True, samples=torch.rand(4, 3, 12, 12))
    assert captured.source.inputs[0].shape == (1, 3, 12, 12)
    torch.testing.assert_close(captured.program.module()(picture[None]), model(picture)[None])
    paths = [module_path(node) for node in captured.program.graph.nodes if node.op == "call_function"]
    assert paths == ["0", "1", "2", "3"]


def test_outputs_of_programs_get_their_batch() -> None:
    """Also those of a program that squeezes them: torch runs its graph without what stands behind it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(x).squeeze(0)
            return found

    row = torch.rand(1, 8)
    captured = edgekit.capture(torch.export.export(Net().eval(), (row,)), row, samples=torch.rand(4, 8))
    assert captured.source.outputs[0].shape == (1, 3)
    assert captured.program.module()(row).shape == (1, 3)


def test_bytes_of_a_picture_are_normalised_first() -> None:
    """The model's own first steps take a batch, and what is behind them the one picture."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, picture: Tensor) -> Tensor:
            found: Tensor = self.conv(picture).mean((1, 2))
            return found

    torch.manual_seed(0)
    model, bytes_ = Net().eval(), torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    steps = Preprocessing(in_graph=True, mean=(0.5,), std=(0.25,), resize=Resize(height=8, width=8))
    source = source_from_example("net", model, bytes_, unbatched=True, preprocessing=steps)
    torch.testing.assert_close(source.model(bytes_[None])[0], model((bytes_ / 255 - 0.5) / 0.25))


def test_a_model_that_takes_neither(tmp_path: Path) -> None:
    """What fails with a batch and without is told of the way that was asked for."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("never")

    for unbatched in (True, False):
        with pytest.raises(SourceError, match="never"):
            source_from_example("net", Net(), torch.rand(1, 3), unbatched=unbatched)
