"""A build from a folder of pictures, read batch by batch, is the build from arrays in memory."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit import targets
from edgekit.base.memory import Memory
from edgekit.bundles.result import Built
from edgekit.data.files import load_samples
from edgekit.data.rows import Lazy
from edgekit.pipeline.rebuild import build_project
from edgekit.spec import project

pytestmark = pytest.mark.slow


def write(folder: Path, *, pictures: bool, changed: bool = False) -> Path:
    """Write the sample with fewer digits, which lie in order of their labels: as pictures in folders, or as arrays."""
    shutil.copytree(project.SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "baseline.npz"))
    for name, count in (("calibration", 96), ("evaluation", 80)):
        with np.load(project.SAMPLE / f"{name}.npz") as archive:
            labels = archive["labels"][:count]
            order = np.argsort(labels, kind="stable")
            digits, labels = archive["pictures"][:count][order], labels[order].astype(np.int64)
        if changed and name == "evaluation":
            digits[-1] = 255 - digits[-1]
        (folder / f"{name}.npz").unlink()
        if not pictures:
            np.savez(folder / f"{name}.npz", pictures=digits, labels=labels)
            continue
        for number, (digit, label) in enumerate(zip(digits, labels, strict=True)):
            (folder / name / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(digit).save(folder / name / str(label) / f"{number:03d}.png")
    if pictures:
        toml = folder / project.PROJECT_FILE
        text = (
            toml.read_text().replace('"calibration.npz"', '"calibration"').replace('"evaluation.npz"', '"evaluation"')
        )
        toml.write_text(text)
    return folder


def built(folder: Path) -> Built:
    """Build for one target, both formats."""
    profile = targets.load("android-arm64")
    return build_project(project.load(folder), (profile,), folder / "bundles", cache=False).bundles[0]


def test_streams_give_the_files_and_the_numbers_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte and to the digit; another picture gives others."""
    whole = built(write(tmp_path / "arrays", pictures=False))
    monkeypatch.setattr(Memory, "held", 0)
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 3000)
    folder = write(tmp_path / "folder", pictures=True)
    spec = project.load(folder).spec
    samples = load_samples(
        folder / "evaluation", spec.inputs, spec.preprocessing, spec.labels, spec.tensors, spec.sizes
    )
    assert isinstance(samples.inputs["image"], Lazy)
    streamed = built(folder)
    assert streamed.files.keys() == whole.files.keys()
    assert [name for name in whole.files if streamed.files[name] != whole.files[name]] == []
    other = built(write(tmp_path / "changed", pictures=True, changed=True))
    one, two = (json.loads(found.files["report.json"]) for found in (whole, other))
    assert one["drift"]["legs"] != two["drift"]["legs"]
    assert other.files["model.onnx"] == whole.files["model.onnx"]
