"""What runtimes carry, held against the real libraries that are installed here, and against a real build."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekit import targets
from edgekit.base.progress import Silent
from edgekit.base.versions import installed
from edgekit.errors import CompatibilityError
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.build import build_job
from edgekit.spec import Format, Platform
from edgekit.targets import runtimes
from tests.programs.networks import IMAGE, LOGITS, small_job

SCRIPTS = Path(__file__).parents[2] / "scripts"
LINUX = runtimes.pinned(Platform.LINUX)


def test_the_list_for_onnx_runtime_is_what_the_library_says() -> None:
    """The script that made the list is run again, on the installed library of the pinned version."""
    if installed("onnxruntime") != {"onnxruntime": LINUX["onnxruntime"]}:
        pytest.skip("another version than the pinned one is installed")
    done = subprocess.run([sys.executable, SCRIPTS / "read_onnxruntime.py"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    runtime = runtimes.load("onnxruntime", LINUX["onnxruntime"])
    assert runtime is not None
    assert (runtime.opset, runtime.ir_version) == (found["opset"], found["ir_version"])
    assert runtime.operators == {name: tuple(map(tuple, ranges)) for name, ranges in found["operators"].items()}


@pytest.mark.slow
def test_the_list_for_executorch_is_what_the_library_says() -> None:
    """The runtime registers these kernels and backends, and the phone's list has no other kernel for certain."""
    program = (  # another test may have loaded more kernels into this process
        "import json\n"
        "from executorch.extension.pybindings import portable_lib as lib\n"
        "print(json.dumps([lib._get_operator_names(), lib._get_registered_backend_names()]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    registered, backends = map(set, json.loads(done.stdout.splitlines()[-1]))
    runtime = runtimes.load("executorch", LINUX["executorch"])
    assert runtime is not None
    assert set(runtime.operators) == registered
    assert set(runtime.backends) == backends
    phone = runtimes.load(
        "org.pytorch:executorch-android", runtimes.pinned(Platform.ANDROID)["org.pytorch:executorch-android"]
    )
    assert phone is not None
    assert {name for name in phone.operators if not name.startswith("quantized_decomposed::")} <= registered


class Rank(nn.Module):
    """A layer of one operation."""

    def forward(self, features: Tensor) -> Tensor:
        """Return the features (batch, 8), the largest of all in the place of the first or the second."""
        return features.scatter_reduce(1, (features > 0.1).long(), features, "amax")


class Ranked(nn.Module):
    """Gathers its features, for which ExecuTorch's prebuilt runtimes have no kernel."""

    def __init__(self, *, ranked: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.rank = Rank()
        self.classifier = nn.Linear(8, 4)
        self.ranked = ranked

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 4) of an image (batch, 1, 8, 8)."""
        x = torch.relu(self.conv(image)).amax((2, 3))
        logits: Tensor = self.classifier(self.rank(x) if self.ranked else x)
        return logits


@pytest.mark.slow
@pytest.mark.parametrize("ranked", [False, True])
def test_a_build_says_what_no_phone_could_load(tmp_path: Path, *, ranked: bool) -> None:
    """The operator, its line and the runtime are named, and the other format is built; without it both are."""
    torch.manual_seed(0)
    source = source_from_module("ranked", Ranked(ranked=ranked), (IMAGE,), (LOGITS,), {"batch": 64})
    job = replace(small_job(), source=source)
    (made,) = build_job(job, (targets.load("android-arm64"),), tmp_path, Silent()).bundles
    manifest = made.manifest
    if not ranked:
        assert manifest.artifacts[1].minimum_runtime == "onnxruntime 1.29.0"
        assert not any("nobody looked into" in note for note in manifest.drift.notes)
        assert not manifest.refused
        return
    assert [artifact.file for artifact in manifest.artifacts] == ["model.onnx"]
    assert manifest.verdict == "failed"
    (refused,) = manifest.refused
    assert refused.format is Format.PTE
    assert re.search(
        r"aten::scatter_reduce\.two_out is not in org\.pytorch:executorch-android 1\.5\.1; .*by rank, "
        r"test_compatible\.py:\d+",
        refused.reason,
    )
    assert "[runtimes]" in refused.hint


@pytest.mark.slow
def test_without_a_format_left_a_build_says_what_lacks(tmp_path: Path) -> None:
    """No bundle is written."""
    torch.manual_seed(0)
    source = source_from_module("ranked", Ranked(ranked=True), (IMAGE,), (LOGITS,), {"batch": 64})
    target = targets.load("android-arm64").model_copy(update={"formats": (Format.PTE,)})
    with pytest.raises(CompatibilityError, match=r"aten::scatter_reduce\.two_out .*by rank"):
        build_job(replace(small_job(), source=source), (target,), tmp_path, Silent())
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.slow
def test_a_build_for_an_unknown_runtime_says_so(tmp_path: Path) -> None:
    """In the report, where whoever reads the drift finds it; the build goes on."""
    own = targets.load("android-arm64").model_copy(update={"runtimes": {"org.pytorch:executorch-android": "1.4.0"}})
    (made,) = build_job(small_job(), (own,), tmp_path, Silent()).bundles
    notes = made.manifest.drift.notes
    assert any("nobody looked into org.pytorch:executorch-android 1.4.0" in note for note in notes)
    assert any("pins no onnxruntime" in note for note in notes)
    assert made.manifest.artifacts[0].minimum_runtime == "executorch 1.5.1"
