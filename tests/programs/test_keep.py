"""What a build keeps when it is asked to, and that its scripts fail as the build did."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit import lowering, targets
from edgekit.bundles.result import BuildResult
from edgekit.data import trace
from edgekit.errors import CaptureError, EdgeKitError, LowerError, QuantizeError, RunError
from edgekit.model.store import load_quantized
from edgekit.spec import Format, QuantSpec, Scheme


class Small(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Classify pictures."""
        scores: Tensor = self.head(self.body(x).mean((2, 3)))
        return scores


class Branches(nn.Module):
    """Cannot be captured: which way it takes depends on a value."""

    def forward(self, x: Tensor) -> Tensor:
        """Turn the sign, perhaps."""
        return x if x.sum() > 0 else -x


class Cuts(nn.Module):
    """Has nothing that is quantized, and nothing that a delegate takes."""

    def forward(self, x: Tensor) -> Tensor:
        """Cut off what is behind the point."""
        return torch.trunc(x)


class Mixed(nn.Module):
    """Lets the samples of a batch see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Answer relatively to the batch."""
        scores: Tensor = self.layer(x).mean(dim=(1, 2))
        return scores - scores.amax(0, keepdim=True)


def build(model: nn.Module, folder: Path, **arguments: object) -> BuildResult:
    """Build a model and keep everything."""
    torch.manual_seed(0)
    data = torch.randn(24, 3, 10, 10)
    return edgekit.build(
        model, data[:2], target="linux-x86_64", calibration=data, output=folder / "out", keep=folder / "kept",
        cache=False, **arguments,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.slow
def test_every_intermediate_can_be_had(tmp_path: Path) -> None:
    """Programs, ranges, the float ONNX and traces; what is lowered from the kept program is the artifact."""
    built = build(Small(), tmp_path, max_batch=64).bundles[0]
    kept = tmp_path / "kept"
    quantized = load_quantized(kept, "int8")
    for format in (Format.PTE, Format.ONNX):
        artifact, _ = lowering.lower(format, targets.load("linux-x86_64"), quantized, None)
        assert artifact.data == (kept / f"linux-x86_64-model.{format}").read_bytes() == built.files[f"model.{format}"]
    answers = trace.load(kept / "linux-x86_64-model.pte.npz").outputs["output"]
    np.testing.assert_array_equal(answers.shape, trace.load(kept / "reference.npz").outputs["output"].shape)
    ranges = json.loads((kept / "int8.ranges.json").read_text())
    assert ranges
    assert all(one["low"] <= 0 <= one["high"] for one in ranges)
    assert (kept / "float.onnx").stat().st_size > 1000
    assert not list(kept.glob("failed-*"))
    assert not list(kept.glob("*.not-saved.txt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "arguments", "error", "stage"),
    [
        (Branches, {}, CaptureError, "capture"),
        (Cuts, {}, QuantizeError, "quantize-int8"),
        (Cuts, {"quantization": QuantSpec(scheme=Scheme.FLOAT), "formats": ["pte"]}, LowerError, "lower-pte"),
        (Mixed, {"max_batch": 64, "formats": ["onnx"]}, RunError, "verify-linux-x86_64-onnx"),
    ],
)  # fmt: skip
def test_a_script_fails_as_the_stage_did(
    tmp_path: Path, model: type[nn.Module], arguments: dict[str, object], error: type[EdgeKitError], stage: str
) -> None:
    """In another process, from what was kept alone; the error says where the script is."""
    with pytest.raises(error) as caught:
        build(model(), tmp_path, **arguments)
    script = tmp_path / "kept" / f"failed-{stage}" / "reproduce.py"
    assert str(script) in "".join(caught.value.__notes__)
    text = script.read_text()
    assert len(text.splitlines()) <= 25
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ran.returncode != 0
    said = "another answer" if error is RunError else caught.value.message.partition("\n")[0]
    assert said[:60] in ran.stderr


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable names one where the caller does not."""
    from edgekit.base.keeping import keep_folder

    monkeypatch.delenv("EDGEKIT_KEEP", raising=False)
    assert keep_folder(None) is None
    monkeypatch.setenv("EDGEKIT_KEEP", str(tmp_path))
    assert keep_folder(None) == tmp_path
    assert keep_folder("other") == Path("other")
