"""The way in: from a checkpoint of one's own and folders of pictures to a bundle that passed."""

import re
import time
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from edgekit import bundles
from edgekit.spec.project import SAMPLE
from tests.e2e.conftest import edgekit

TARGET = "android-arm64"
ROOT = Path(__file__).parent.parent.parent
NET = """
from torch import nn


class SmallNet(nn.Module):
    def __init__(self, classes=10, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.head = nn.Linear(2 * width * 4, classes)

    def forward(self, picture):
        return self.head(self.features(picture).flatten(1))
"""


def trained(pictures: Tensor, labels: Tensor) -> nn.Module:
    """Train the network on pictures of 0 to 1, as people do, for a few seconds."""
    space: dict[str, type[nn.Module]] = {}
    exec(NET, space)  # noqa: S102 - our own
    torch.manual_seed(0)
    model = space["SmallNet"]()
    steps = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        rows = torch.randint(len(pictures), (64,))
        loss = nn.functional.cross_entropy(model(pictures[rows]), labels[rows])
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    return model


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a person has it: code, a state dict, and pictures of digits in folders."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    found = {}
    for part, name in (("train", "calibration"), ("test", "evaluation")):
        with np.load(SAMPLE / f"{name}.npz") as archive:
            found[part] = archive["pictures"], archive["labels"]
    pixels, labels = found["train"]
    model = trained(torch.from_numpy(pixels).float()[:, None] / 255, torch.from_numpy(labels))
    torch.save(model.state_dict(), folder / "weights.pth")
    for part, (pixels, labels) in found.items():
        for number, (picture, label) in enumerate(zip(pixels[:120], labels[:120], strict=True)):
            (folder / "digits" / part / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / "digits" / part / str(label) / f"{number}.png")
    return folder


def test_three_options_are_enough(own: Path) -> None:
    """The command of the README: no file is written but the bundle, and the report says what was guessed."""
    before = Counter(path.name for path in own.iterdir())
    (line,) = re.findall(
        r"^scripts/edgekit (build .*--model.*)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    words = line.split()
    assert words[:3] == ["build", "--target", TARGET]
    assert sum(word.startswith("--") for word in words[3:]) <= 3
    finished = edgekit(*words, cwd=own)
    assert finished.code == 0, finished.err
    assert "PASSED" in finished.out
    assert finished.out.count("guessed: ") > 4
    manifest = bundles.read(own / "artifacts" / "smallnet" / TARGET)
    assert manifest.labels == tuple("0123456789")
    assert manifest.preprocessing is not None
    assert (manifest.preprocessing.mean, manifest.preprocessing.std) == ((0.0,), (1.0,))
    assert [spec.meaning for spec in (*manifest.inputs, *manifest.outputs)] == ["image", "logits"]
    accuracy = next(leg for leg in manifest.drift.legs if leg.name == "total").metrics.accuracy
    assert accuracy is not None
    assert accuracy > 0.9
    assert any("preprocessing.mean" in note for note in manifest.drift.notes)
    assert Counter(path.name for path in own.iterdir()) == before + Counter(["artifacts"])


def test_a_project_is_written_and_builds_as_it_is(own: Path, tmp_path: Path) -> None:
    """Every guess is marked, nothing is copied, and no edit is needed."""
    folder = tmp_path / "project"
    data = ("--calibration", own / "digits" / "train", "--evaluation", own / "digits" / "test")
    named = ("--model", f"{own / 'net.py'}:SmallNet", "--weights", own / "weights.pth")
    written = edgekit("init", folder, *named, *data, "--target", TARGET, "--name", "mine", "--json", cwd=tmp_path)
    assert written.code == 0, written.err
    assert [path.name for path in folder.iterdir()] == ["edgekit.toml"]
    text = (folder / "edgekit.toml").read_text()
    assert {"labels", "preprocessing.mean", "inputs[0].shape", "outputs[0].meaning"} <= {
        guess["key"] for guess in written.json["guessed"]
    }
    assert text.count("# guessed: ") == len(written.json["guessed"])
    assert tomllib.loads(text)["labels"] == list("0123456789")
    finished = edgekit("build", "--target", TARGET, cwd=folder)
    assert finished.code == 0, finished.err
    assert bundles.read(folder / "artifacts" / "mine" / TARGET).verdict == "passed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--weights", "digits"), "a folder"),
        (("--weights", "net.py"), "Python code"),
        (("--data", "digit"), "did you mean digits"),
        (("--model", "nett.py:SmallNet"), "did you mean net.py"),
        (("--shape", "1xx"), "no shape"),
    ],
)
def test_a_wrong_option_is_told_soon(change: tuple[str, str], words: str, own: Path) -> None:
    """Before torch is imported: it takes longer than all of this."""
    options = {"--model": "net.py:SmallNet", "--weights": "weights.pth", "--data": "digits"} | dict([change])
    began = time.monotonic()
    finished = edgekit("build", "--target", TARGET, *(word for pair in options.items() for word in pair), cwd=own)
    assert finished.code == 3
    assert words in finished.err
    assert time.monotonic() - began < 20  # a second where nothing else runs
