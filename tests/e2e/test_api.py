"""The Python API: a model object, a batch, a target, and no project file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import edgekit
from edgekit.errors import DataError, OverBudgetError, SourceError, TargetError
from edgekit.spec import Budget, Limits
from tests.programs.networks import Small, images

pytestmark = pytest.mark.slow


def batch(count: int, seed: int) -> torch.Tensor:
    """Return seeded noise pictures."""
    return torch.from_numpy(images(count, seed).inputs["image"])


def test_build_takes_a_model_object(tmp_path: Path) -> None:
    """The model stays as it was; the baseline is made on the spot, and the report says so."""
    torch.manual_seed(0)
    model = Small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loader = [(batch(32, seed), torch.zeros(32, dtype=torch.int64)) for seed in range(4)]
    result = edgekit.build(
        model,
        batch(2, 9),
        target=("android-arm64", "ios-arm64"),
        calibration=loader,
        evaluation=batch(70, 10),
        output=tmp_path,
        budget=Budget(quantization=Limits(min_sqnr_db=0), lowering=Limits(min_sqnr_db=0)),
    )
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [built.folder for built in result.bundles] == [
        tmp_path / "small" / "android-arm64",
        tmp_path / "small" / "ios-arm64",
    ]
    manifest = json.loads((result.bundles[0].folder / "manifest.json").read_text())
    assert manifest["inputs"][0] == {
        "name": "image",
        "dtype": "float32",
        "shape": ["batch", 1, 8, 8],
        "meaning": "tensor",
    }
    assert any("No baseline was recorded" in note for note in manifest["drift"]["notes"])
    assert manifest["drift"]["samples"] == 70


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"target": "android-arm46"}, TargetError),
        ({"calibration": []}, DataError),
        ({"calibration": torch.zeros(4, 1, 9, 9)}, DataError),
        ({"calibration": torch.full((4, 1, 8, 8), float("nan"))}, DataError),
        ({"example_inputs": torch.zeros(2, 3, 8, 8)}, SourceError),
        ({"example_inputs": (torch.zeros(2, 1, 8, 8), torch.zeros(2))}, SourceError),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], error: type[Exception], tmp_path: Path) -> None:
    """The usual slips raise the class of what is wrong, and write nothing."""
    arguments: dict[str, object] = {
        "example_inputs": batch(2, 0),
        "target": "android-arm64",
        "calibration": batch(8, 1),
        "output": tmp_path,
    }
    with pytest.raises(error):
        edgekit.build(Small(), **(arguments | change))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_public_names_are_there() -> None:
    """What the package lists can be imported, and a wrong name is an attribute error."""
    for name in edgekit.__all__:
        assert getattr(edgekit, name)
    with pytest.raises(AttributeError, match="nonsense"):
        edgekit.nonsense  # noqa: B018
    assert np.isscalar(OverBudgetError.exit_code)


def test_a_script_prints_what_its_author_prints(tmp_path: Path) -> None:
    """No warning of a library about its own code; what tells of the processor comes from C++, on odd machines alone."""
    (tmp_path / "script.py").write_text(
        """
import edgekit, torch

data = torch.rand(8, 3, 8, 8)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 2))
result = edgekit.build(model, data[:1], target="linux-x86_64", calibration=data, output="out")
print("built", len(result.bundles))
"""
    )
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "built 1\n"
    assert [line for line in done.stderr.splitlines() if "cpuinfo" not in line.lower()] == []
