"""From a folder of sounds to a bundle that names them: a project with features, built and run by the command line."""

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from torch import nn

from edgekit.data.sounds import of_file
from edgekit.errors import DataError
from edgekit.inspection.predict import predict
from edgekit.spec import Audio, Format
from tests.e2e.conftest import edgekit
from tests.unit.test_media import tone, write

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(16 * 16, 2)

    def forward(self, sound):
        return self.head(self.features(sound).mean(3).flatten(1))
"""
PROJECT = """
labels = ["high", "low"]
[model]
name = "tones"
source = "net.py:Net"
weights = "net.pth"
[[inputs]]
name = "sound"
shape = ["batch", 1, 64, 32]
[[outputs]]
name = "logits"
shape = ["batch", 2]
meaning = "logits"
[audio]
rate = 16000
length = 16000
[audio.features]
n_fft = 1024
hop_length = 512
n_mels = 64
log = "db"
dynamic_range = 80
mean = [-10]
std = [20]
[data]
calibration = "calibration.csv"
evaluation = "evaluation"
"""


def noisy(seconds: float, hertz: float) -> npt.NDArray[np.float64]:
    """Return a tone as a microphone at 8 kHz hears it."""
    sound = tone(8000, seconds, hertz)
    return sound + 0.01 * np.random.default_rng(int(hertz)).standard_normal(len(sound))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that tells high tones from low ones, with recordings at 8 kHz of a second and less."""
    folder = tmp_path_factory.mktemp("tones")
    (folder / "net.py").write_text(NET)
    (folder / "edgekit.toml").write_text(PROJECT)
    random = np.random.default_rng(0)
    lines = ["file,label"]
    for part in ("calibration", "evaluation"):
        for name, lowest in (("high", 1500), ("low", 200)):
            for number in range(12):
                sound = noisy(random.uniform(0.8, 1.1), random.uniform(lowest, 2 * lowest))
                file = write(folder / part / name / f"{number}.wav", sound, 8000)
                if part == "calibration":
                    lines.append(f"{file.relative_to(folder)},{name}")
    (folder / "calibration.csv").write_text("\n".join(lines) + "\n")
    return folder


def trained(folder: Path, audio: Audio) -> None:
    """Train the network as people do, on features, for a second."""
    space: dict[str, type[nn.Module]] = {}
    exec(NET, space)  # noqa: S102 - our own
    files = sorted((folder / "calibration").glob("*/*.wav"))
    sounds = torch.from_numpy(np.stack([of_file(file, audio)[np.newaxis] for file in files]))
    labels = torch.tensor([file.parent.name == "low" for file in files]).long()
    torch.manual_seed(0)
    model = space["Net"]()
    steps = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(sounds), labels)
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    torch.save(model.state_dict(), folder / "net.pth")


def test_sounds_to_labels(project: Path) -> None:
    """A table and a folder of WAV files, a bundle that passes, and `edgekit run` on a file that nobody saw."""
    steps = {
        "n_fft": 1024,
        "hop_length": 512,
        "n_mels": 64,
        "log": "db",
        "dynamic_range": 80,
        "mean": [-10],
        "std": [20],
    }
    audio = Audio.model_validate_json(json.dumps({"rate": 16000, "length": 16000, "features": steps}))
    trained(project, audio)
    done = edgekit("build", "--target", "android-arm64", "--json", cwd=project)
    assert done.code == 0, done.err
    bundle = project / "artifacts" / "tones" / "android-arm64"
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert Audio.model_validate_json(json.dumps(manifest["audio"])) == audio
    told = {one.key: one.value for one in onnx.load(bundle / "model.onnx").metadata_props}
    assert json.loads(told["edgekit.audio"]) == manifest["audio"]
    accuracy = manifest["drift"]["legs"][-1]["metrics"]["accuracy"]
    assert accuracy > 0.9
    low = write(project / "1.wav", noisy(1.0, 300), 8000, channels=2)
    high = write(project / "2.wav", noisy(1.0, 2000), 8000)
    found = edgekit("run", bundle, "--input", low, cwd=project)
    assert re.search(r"class +probability\n.*\n +low +[0-9.]+ %\n +high +[0-9.]+ %", found.out)
    assert predict(bundle, high, Format.ONNX).classes[0][0] == "high"
    for wrong in ("edgekit.toml", "missing.wav"):
        with pytest.raises(DataError, match=re.escape(wrong)):
            predict(bundle, project / wrong)
