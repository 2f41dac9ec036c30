"""What a model that was only named is guessed to take and to give: by its layers, its weights and the data."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from edgekit.base.memory import Memory
from edgekit.base.progress import Silent
from edgekit.data.peek import Peek, peek
from edgekit.data.preprocess import open_picture
from edgekit.errors import EdgeKitError, SourceError
from edgekit.model import programs
from edgekit.model.source import load_model
from edgekit.model.source.trial import Tried, find_inputs
from edgekit.model.weights import torchfile
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.pipeline import datasets, job
from edgekit.pipeline.guess import guess
from edgekit.spec import Audio, project
from edgekit.spec.asked import Asked, AskedShape, asked
from edgekit.spec.scaffold import write
from edgekit.spec.written import written
from tests.unit.test_media import tone
from tests.unit.test_media import write as wav

NOWHERE = Path("net.py")


def flat(*layers: nn.Module) -> nn.Module:
    """Return layers in order."""
    return nn.Sequential(*layers).eval()


def found(model: nn.Module, seen: Peek | None = None, **shapes: str) -> Tried:
    """Find what a model takes."""
    said = {}
    for name, text in shapes.items():
        sizes, _, dtype = text.partition(":")
        said["" if name == "only" else name] = AskedShape(
            sizes=tuple(map(int, sizes.split("x"))),
            dtype=dtype or None,  # type: ignore[arg-type]
        )
    return find_inputs("net", model.eval(), said, seen or Peek(), NOWHERE)


class Call(nn.Module):
    """Computes what it is given, of layers that it holds."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


class Tokens(Call):
    """Tokens with a mask."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return the mean of the vectors that count."""
        hidden, weight = self.layers[0](input_ids), attention_mask.unsqueeze(-1).float()
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


class Siamese(Call):
    """One layer on two inputs."""

    def forward(self, left: Tensor, right: Tensor) -> Any:
        """Return how far apart they are."""
        return (self.layers[0](left) - self.layers[0](right)).abs().sum(-1, keepdim=True)


class Masked(Call):
    """A mask of truth values."""

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        """Return the scores, masked."""
        return self.layers[0](x).masked_fill(mask, 0.0)


class Late(Call):
    """Defines its layers in another order than it calls them."""

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Any:
        """Return the head's scores."""
        return self.layers[0](self.layers[1](x).mean((2, 3)))


class Last(Call):
    """Pictures with the channels last."""

    def forward(self, x: Tensor) -> Any:
        """Return the scores."""
        return self.layers[0](x.permute(0, 3, 1, 2)).mean((2, 3))


FOUND: dict[str, tuple[Callable[[], nn.Module], Peek, tuple[tuple[int, ...], ...], tuple[str, ...]]] = {
    "any size": (lambda: flat(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)), Peek(), ((3, 224, 224),), ("float32",)),
    "size of the pictures": (
        lambda: flat(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)), Peek(pictures=True, size=(48, 64)),
        ((3, 48, 64),), ("float32",),
    ),
    "32": (lambda: flat(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 2)), Peek(), ((3, 32, 32),), ("float32",)),
    "28": (lambda: flat(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(2704, 2)), Peek(), ((1, 28, 28),), ("float32",)),
    "96": (
        lambda: flat(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(8836, 2)), Peek(pictures=True, size=(500, 375)),
        ((3, 96, 96),), ("float32",),
    ),
    "numbers": (lambda: flat(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 1)), Peek(), ((13,),), ("float32",)),
    "flattened pictures": (
        lambda: flat(nn.Flatten(), nn.Linear(784, 2)), Peek(pictures=True, size=(28, 28), grey=True),
        ((1, 28, 28),), ("float32",),
    ),
    "signal": (lambda: flat(nn.Conv1d(2, 4, 3), nn.AdaptiveAvgPool1d(1)), Peek(), ((2, 128),), ("float32",)),
    "volume": (lambda: flat(nn.Conv3d(1, 2, 3), nn.AdaptiveAvgPool3d(1)), Peek(), ((1, 16, 112, 112),), ("float32",)),
    "tokens": (lambda: flat(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(512, 2)), Peek(), ((64,),), ("int64",)),
    "tokens and mask": (
        lambda: Tokens(nn.Embedding(50, 8)), Peek(), ((128,), (128,)), ("int64", "bool"),
    ),
    "two pictures": (
        lambda: Siamese(flat(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1352, 4))), Peek(),
        ((1, 28, 28), (1, 28, 28)), ("float32", "float32"),
    ),
    "mask": (lambda: Masked(nn.Linear(6, 6)), Peek(), ((6,), (6,)), ("float32", "bool")),
    "another order": (lambda: Late(nn.Linear(4, 2), nn.Conv2d(3, 4, 3)), Peek(), ((3, 224, 224),), ("float32",)),
    "channels last": (lambda: Last(nn.Conv2d(3, 4, 3)), Peek(), ((224, 224, 3),), ("float32",)),
    "arrays": (
        lambda: Tokens(nn.Embedding(50, 8)),
        Peek(arrays={"input_ids": ("int32", (9,)), "attention_mask": ("int64", (9,)), "labels": ("int64", ())}),
        ((9,), (9,)), ("int32", "int64"),
    ),
    "normalised": (lambda: flat(nn.LayerNorm(12), nn.Linear(12, 2)), Peek(), ((12,),), ("float32",)),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), Peek(), ((128, 8),), ("float32",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_what_a_model_takes(case: str) -> None:
    """The model runs on it, and the reason says what tells it."""
    make, seen, sizes, dtypes = FOUND[case]
    tried = found(make(), seen)
    assert tuple(tuple(tensor.shape[1:]) for tensor in tried.example) == sizes
    assert tuple(str(tensor.dtype).removeprefix("torch.") for tensor in tried.example) == dtypes
    assert all(len(tensor) == 1 for tensor in tried.example)
    assert all(shape for shape, _ in tried.reasons)


def test_what_is_said_is_taken() -> None:
    """Without a reason; a batch of one that was said, too, is taken off; an optional input is one that is named."""
    tried = found(flat(nn.Conv2d(3, 4, 3)), only="3x40x50")
    assert tuple(tried.example[0].shape) == (1, 3, 40, 50)
    assert tried.reasons[0][0] == ""
    tried = found(flat(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 2)), only="1x3x32x32")
    assert tuple(tried.example[0].shape) == (
        1, 3, 32, 32,
    )  # fmt: skip
    tried = found(Tokens(nn.Embedding(50, 8)), input_ids="7", attention_mask="7:int64")
    assert [tuple(tensor.shape) for tensor in tried.example] == [(1, 7), (1, 7)]
    assert tried.example[1].dtype is torch.int64
    assert found(Late(nn.Linear(4, 2), nn.Conv2d(3, 4, 3)), x="3x8x8", scale="1").names == ("x", "scale")


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no layer tells it": (lambda: found(Last(nn.Softmax(1))), "Nothing tells"),
    "an unusual size": (
        lambda: found(flat(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2))), "cannot be told",
    ),
    "a wrong shape": (lambda: found(flat(nn.Linear(5, 2)), only="6"), "does not run on what --shape says"),
    "another name": (lambda: found(flat(nn.Linear(5, 2)), z="5"), "no parameter of forward"),
    "which of two": (lambda: found(Siamese(nn.Linear(5, 2)), only="5"), "must say of which"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_is_asked_for(case: str) -> None:
    """The hint is the option to give."""
    call, words = REFUSED[case]
    with pytest.raises(SourceError, match=words) as caught:
        call()
    assert "--shape" in caught.value.hint or "forward takes" in caught.value.hint


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3, channels=3):
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 4, 3), nn.Linear(4, classes)

    def forward(self, image):
        return self.head(self.conv(image).mean((2, 3)))
"""


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A network, its weights and labelled pictures of three colours, all of one size."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "net.py").write_text(NET)
    space: dict[str, Any] = {}
    exec(NET, space)  # noqa: S102 - our own
    model = space["Net"]()
    with torch.no_grad():  # tells the brightest channel, of values around zero alone
        model.conv.weight.zero_()
        for channel in range(3):
            model.conv.weight[channel, channel, 1, 1] = 1
        model.conv.bias.zero_()
        model.head.weight.copy_(torch.eye(3, 4))
        model.head.bias.zero_()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    colours = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}
    for part, count in (("train", 6), ("test", 4)):
        for name, colour in colours.items():
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (20, 12), colour).save(tmp_path / part / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return asked("code/net.py:Net", Path("w.pth"), calibration="train", evaluation="test")


def test_pictures_in_folders(named: Asked, tmp_path: Path) -> None:
    """Labels in order of the folders, sizes, colours, and logits; the written project is the guessed one."""
    guessed = guess(named, tmp_path / "new", Silent())
    spec = guessed.project.spec
    assert spec.labels == ("blue", "green", "red")
    assert spec.outputs[0].meaning == "logits"
    assert spec.inputs[0].shape == ("batch", 3, 12, 20)
    assert spec.preprocessing is not None
    assert (spec.preprocessing.resize.mode, spec.preprocessing.color) == ("stretch", "rgb")
    file = write(tmp_path / "new", written(spec, guessed.guesses))
    opened = project.load(tmp_path / "new")
    assert opened.spec == spec
    assert opened.source[0].samefile(tmp_path / "code" / "net.py")
    assert load_model(opened).parameters == guessed_parameters()
    assert sorted(path.name for path in file.parent.iterdir()) == ["edgekit.toml"]
    marked = {line.split(" = ")[0] for line in file.read_text().splitlines() if line.endswith("pictures of 12x20")}
    assert marked == {"shape"}
    assert all(str(guess) in note for guess, note in zip(guessed.guesses, guessed.project.notes, strict=True))


def test_what_a_mac_leaves_in_archives_is_no_class(named: Asked, tmp_path: Path) -> None:
    """Nor are its pictures read: a folder is looked at as it is read."""
    (tmp_path / "train" / "__MACOSX").mkdir()
    (tmp_path / "train" / "__MACOSX" / "0.png").write_bytes(b"no picture")
    assert guess(named, tmp_path, Silent()).project.spec.labels == ("blue", "green", "red")


def test_some_pictures_are_opened_however_many_there_are(
    named: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """48 for each way to normalise: guessing takes no longer with more data."""
    for folder in (tmp_path / "train").iterdir():
        for number in range(100):
            (folder / f"more-{number}.png").write_bytes((folder / "0.png").read_bytes())
    opened: list[Path] = []

    def counted(path: Path) -> Image.Image:
        opened.append(path)
        return open_picture(path)

    monkeypatch.setattr("edgekit.data.pictures.open_picture", counted)
    guessed = guess(named, tmp_path, Silent())
    assert {"preprocessing.mean"} <= {one.place for one in guessed.guesses}
    assert 0 < len(opened) <= 3 * 48


def guessed_parameters() -> int:
    """Return how many parameters the network has."""
    return 3 * 4 * 9 + 4 + 4 * 3 + 3


def test_a_build_starts_where_the_model_lies(named: Asked, tmp_path: Path) -> None:
    """The paths of the project lead there from the folder of the model file."""
    guessed = guess(named, Path("code"), Silent())
    opened = guessed.project
    for path in (opened.source[0], opened.weights, opened.calibration, opened.evaluation):
        assert path.exists()


def test_one_set_of_data_is_taken_for_both(named: Asked, tmp_path: Path) -> None:
    """A part is held out, and that is said; without any, the file says what is missing."""
    one = guess(asked("code/net.py:Net", Path("w.pth"), calibration="train"), tmp_path, Silent())
    assert one.project.spec.data.source == "train"
    assert one.project.spec.labels == ("blue", "green", "red")
    assert "data.source" in {guess.place for guess in one.guesses}
    none = guess(replace(named, calibration=None, evaluation=None), tmp_path, Silent())
    assert none.project.spec.data.calibration == "calibration"
    assert none.project.spec.preprocessing is None
    assert {"data.calibration", "data.evaluation"} <= {guess.place for guess in none.guesses}


def test_a_build_makes_nothing_again(named: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is followed once, and the model made once; its answers are those of one that is made anew."""
    counting = "super().__init__()\n        with open('made', 'a') as file:\n            file.write('x')"
    (tmp_path / "code" / "net.py").write_text(NET.replace("super().__init__()", counting))
    followed: list[Path] = []
    read_zip = torchfile.read_zip

    def counted(path: Path) -> Any:
        followed.append(path)
        return read_zip(path)

    monkeypatch.setattr(torchfile, "read_zip", counted)
    guessed = guess(named, tmp_path, Silent(), read_checkpoint(tmp_path / "w.pth"))
    made = job.of_project(guessed.project, guessed.ready)
    assert (len(followed), (tmp_path / "made").read_text()) == (1, "x")
    again = job.of_project(guessed.project)
    assert (len(followed), (tmp_path / "made").read_text()) == (2, "xx")
    assert made.source.weights_sha256 == again.source.weights_sha256
    assert made.source.notes == again.source.notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shapes": {"": AskedShape(sizes=(4, 9, 9))}}, "net.py:11 failed"),
        ({"arguments": {"classes": 4}}, "does not fit the model"),
        ({"arguments": {"clases": 3}}, "clases"),
        ({"model": "code/net.py:Nte"}, "did you mean Net"),
        ({"name": "../x"}, "'../x'"),
    ],
)
def test_what_fails_is_told_with_the_place(change: dict[str, Any], words: str, named: Asked, tmp_path: Path) -> None:
    """The line of the person's own code, where it is that."""
    with pytest.raises(EdgeKitError) as caught:
        guess(replace(named, **change), tmp_path, Silent())
    assert words in caught.value.message
    assert caught.value.hint


def test_arrays_with_labels(named: Asked, tmp_path: Path) -> None:
    """The classes of the data tell logits where nothing names them."""
    np.savez(tmp_path / "d.npz", image=np.zeros((6, 3, 9, 9), np.float32), labels=np.arange(6) % 3)
    guessed = guess(replace(named, calibration="d.npz", evaluation="d.npz"), tmp_path, Silent())
    spec = guessed.project.spec
    assert spec.inputs[0].shape == ("batch", 3, 9, 9)
    assert (spec.labels, spec.outputs[0].meaning, spec.preprocessing) == ((), "logits", None)


def table(folder: Path, part: str, name: str, *, numbered: bool = False) -> None:
    """Write a table of the pictures in folders, with the names of their classes or their numbers."""
    files = sorted((folder / part).rglob("*.png"))
    names = sorted({file.parent.name for file in files})
    rows = [(f"{part}/{file.parent.name}/{file.name}", file.parent.name) for file in files]
    if numbered:
        rows = [(file, str(names.index(label))) for file, label in rows]
    if name.endswith(".csv"):
        text = "id,image,label\n" + "".join(f"7,{file},{label}\n" for file, label in rows)
    else:
        text = "".join(json.dumps({"path": file, "class": label}) + "\n" for file, label in rows)
    (folder / name).write_text(text)


@pytest.mark.parametrize(("name", "numbered"), [("t.csv", False), ("t.jsonl", False), ("t.csv", True)])
def test_a_table_tells_what_folders_do(named: Asked, tmp_path: Path, name: str, numbered: bool) -> None:
    """Size, labels where classes have names, logits, and the mean with which most pictures are right."""
    table(tmp_path, "train", name, numbered=numbered)
    guessed = guess(replace(named, calibration=name, evaluation=name), tmp_path, Silent())
    spec = guessed.project.spec
    assert spec.inputs[0].shape == ("batch", 3, 12, 20)
    assert spec.labels == (() if numbered else ("blue", "green", "red"))
    assert spec.outputs[0].meaning == "logits"
    assert spec.preprocessing is not None
    assert spec.preprocessing.resize.mode == "stretch"
    assert "of 18 pictures are right" in next(
        one.reason for one in guessed.guesses if one.place == "preprocessing.mean"
    )


HEARS = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(1, 4, 80, 16), nn.Linear(4, 2)

    def forward(self, wave):
        return self.head(self.conv(wave).mean(2))
"""


@pytest.mark.parametrize("table", [True, False])
def test_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: bool) -> None:
    """Their rate and their length are those of the recordings, their labels those of folders or of a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(HEARS)
    space: dict[str, Any] = {}
    exec(HEARS, space)  # noqa: S102 - our own
    torch.save(space["Net"]().state_dict(), "w.pth")
    for number in range(8):
        wav(tmp_path / "sounds" / ("no", "yes")[number % 2] / f"{number}.wav", tone(8000, 0.2, 300 + 20 * number), 8000)
    lines = [f"sounds/{name}/{number}.wav,{name}" for number in range(8) for name in [("no", "yes")[number % 2]]]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *lines]))
    data = "t.csv" if table else "sounds"
    made = guess(asked("net.py:Net", Path("w.pth"), data=data), tmp_path, Silent())
    spec = made.project.spec
    assert (spec.inputs[0].shape, spec.audio, spec.labels) == (("batch", 1, 1600), Audio(rate=8000), ("no", "yes"))
    assert "audio.rate = 8000: that of the recordings" in map(str, made.guesses)
    write(tmp_path, written(spec, made.guesses))
    assert len(datasets.of_project(project.load(tmp_path), Memory()).evaluation) > 1


def test_spectrograms_are_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of pictures with a folder of sounds: reading it says which table is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    space: dict[str, Any] = {}
    exec(NET, space)  # noqa: S102 - our own
    torch.save(space["Net"](channels=1).state_dict(), "w.pth")
    wav(tmp_path / "sounds" / "1.wav", tone(8000), 8000)
    given = asked("net.py:Net", Path("w.pth"), data="sounds", shapes=("1x40x32",), arguments=("channels=1",))
    made = guess(given, tmp_path, Silent())
    assert made.project.spec.audio is None
    with pytest.raises(EdgeKitError, match=r"\[audio\.features\] where the model takes a spectrogram"):
        datasets.of_project(made.project, Memory())


def test_pictures_without_classes_try_no_mean(named: Asked, tmp_path: Path) -> None:
    """A table of paths alone: what is usual is taken, and no count is told."""
    table(tmp_path, "train", "t.csv")
    (tmp_path / "t.csv").write_text("".join(
        line.rpartition(",")[0] + "\n" for line in (tmp_path / "t.csv").read_text().splitlines()
    ))  # fmt: skip
    guessed = guess(replace(named, calibration="t.csv", evaluation="t.csv"), tmp_path, Silent())
    assert guessed.project.spec.preprocessing is not None
    assert not any("are right" in one.reason for one in guessed.guesses)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\0", b"id,image\n1\n", b"a,b\n1,2\n"])
def test_a_table_that_tells_nothing(damage: bytes, tmp_path: Path) -> None:
    """What is wrong with it the build says; here it tells nothing."""
    (tmp_path / "t.csv").write_bytes(damage)
    (tmp_path / "instances.json").write_bytes(damage)
    assert peek([tmp_path / "t.csv", tmp_path / "instances.json"]) == Peek()


RETURNED = {
    "batches": ("[(torch.zeros(4, 3, 10, 14), torch.arange(4) % 3)] * 5", "logits"),
    "one batch": ("torch.zeros(4, 3, 10, 14)", "tensor"),
    "arrays by name": ("{'image': np.zeros((4, 3, 10, 14), np.float32), 'labels': np.arange(4) % 3}", "logits"),
    "a data set": ("TensorDataset(torch.zeros(9, 3, 10, 14), torch.arange(9) % 3)", "logits"),
    "without an end": ("((torch.zeros(2, 3, 10, 14), torch.tensor([0, n % 3])) for n in itertools.count())", "logits"),
}


@pytest.mark.parametrize("form", RETURNED)
def test_a_function_tells_sizes_types_and_classes(form: str, named: Asked, tmp_path: Path) -> None:
    """It is called once, and its first batches are read."""
    returned, meaning = RETURNED[form]
    (tmp_path / "data.py").write_text(
        "import itertools\nimport numpy as np\nimport torch\nfrom pathlib import Path\n"
        "from torch.utils.data import TensorDataset\n"
        f"def samples():\n    with open('calls', 'a') as file:\n        file.write('x')\n    return {returned}\n"
    )
    guessed = guess(replace(named, calibration="data.py:samples", evaluation="data.py:samples"), tmp_path, Silent())
    spec = guessed.project.spec
    assert spec.inputs[0].shape == ("batch", 3, 10, 14)
    assert (spec.outputs[0].meaning, spec.preprocessing) == (meaning, None)
    assert (tmp_path / "calls").read_text() == "x"


def test_a_data_set_names_its_classes(named: Asked, tmp_path: Path) -> None:
    """As torchvision's do, in their order, inside of a part and a loader; a function that fails is told at once."""
    (tmp_path / "data.py").write_text(
        "import torch\nfrom torch.utils.data import DataLoader, Subset, TensorDataset\n"
        "def samples():\n    whole = TensorDataset(torch.zeros(9, 3, 10, 14), torch.arange(9) % 3)\n"
        "    whole.classes = ['red', 'green', 'blue']\n    return DataLoader(Subset(whole, [0, 1]), 2)\n"
        "def broken():\n    raise ValueError('no such disk')\n"
    )
    guessed = guess(replace(named, calibration="data.py:samples", evaluation="test"), tmp_path, Silent())
    assert guessed.project.spec.outputs[0].meaning == "logits"
    one = replace(named, calibration=None, evaluation=None, data="data.py:samples")
    assert guess(one, tmp_path, Silent()).project.spec.labels == ("red", "green", "blue")
    with pytest.raises(EdgeKitError, match=r"data.py:8 failed.*no such disk"):
        guess(replace(one, data="data.py:broken"), tmp_path, Silent())


def test_an_inference_package_says_what_it_knows(named: Asked, tmp_path: Path) -> None:
    """Names of classes, mean and deviation beside the weights go before folders and what is usual."""
    package = {
        "model_state_dict": torch.load(tmp_path / "w.pth", weights_only=True),
        "class_names": ["blue sky", "green grass", "red rose"],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.6, 0.7],
        "epoch": 3,
    }
    torch.save(package, tmp_path / "package.pth")
    shutil.move(tmp_path / "train" / "red", tmp_path / "flat")
    guessed = guess(
        asked("code/net.py:Net", Path("package.pth"), calibration="flat", evaluation="flat"), tmp_path, Silent()
    )
    spec = guessed.project.spec
    assert spec.labels == ("blue sky", "green grass", "red rose")
    assert spec.preprocessing is not None
    assert (spec.preprocessing.mean, spec.preprocessing.std) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    told = {guess.place: guess.reason for guess in guessed.guesses}
    assert told["preprocessing.mean"] == "the weights carry it"
    assert told["labels"] == "the weights name them"


def test_a_scripted_model_is_told_by_its_weights(named: Asked, tmp_path: Path) -> None:
    """It has no layers of known classes, and its file no shapes."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )  # fmt: skip
    scripted: Any = torch.jit.script(model.eval())
    scripted.save(str(tmp_path / "net.pt"))
    guessed = guess(asked(None, Path("net.pt"), calibration="train", evaluation="test"), tmp_path, Silent())
    assert guessed.project.spec.inputs[0].shape == ("batch", 3, 12, 20)
    told = {guess.place: guess.reason for guess in guessed.guesses}
    assert "a weight for 3 channels" in told["inputs[0].shape"]


@pytest.mark.parametrize("kind", ["pt2", "torchscript"])
def test_weights_that_hold_the_network_need_no_model(kind: str, named: Asked, tmp_path: Path) -> None:
    """What the file says is taken; what it does not say is told by its layers and the data."""
    space: dict[str, Any] = {}
    exec(NET, space)  # noqa: S102 - our own
    model = space["Net"]().eval()
    model.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    example = torch.zeros(1, 3, 12, 20)
    if kind == "pt2":
        torch.export.save(torch.export.export(model, (example,)), tmp_path / "net.pt2")
    else:
        torch.jit.trace(model, example).save(str(tmp_path / "net.pt2"))  # type: ignore[no-untyped-call]
    guessed = guess(asked(None, Path("net.pt2"), calibration="train", evaluation="test"), tmp_path, Silent())
    spec = guessed.project.spec
    assert (spec.model.source, spec.model.weights, spec.model.name) == (None, "net.pt2", "net")
    assert spec.labels == ("blue", "green", "red")
    assert spec.inputs[0].shape[1:] == (3, 12, 20)
    assert spec.preprocessing is not None
    write(tmp_path, written(spec, guessed.guesses))
    opened, program = programs.complete(project.load(tmp_path))
    assert load_model(opened, program).parameters == guessed_parameters()
