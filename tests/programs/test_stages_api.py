"""The stages as public functions: a chain that gives what the whole build gives, and clear words for wrong links."""

from pathlib import Path

import pytest
import torch

import edgekit
from edgekit.errors import EdgeKitError, ProjectError, TargetError
from edgekit.spec import Budget, LegBudgets, Limits
from tests.programs.test_keep import Small

TARGET = "linux-x86_64"


@pytest.mark.slow
@pytest.mark.parametrize("max_batch", [1, 64])
def test_the_chain_gives_the_bytes_of_the_build(tmp_path: Path, max_batch: int) -> None:
    """Every file of the bundle, page and manifest too; and what the chain started from is as it was."""
    torch.manual_seed(0)
    model, data, held = Small(), torch.randn(32, 3, 10, 10), torch.randn(24, 3, 10, 10)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    captured = edgekit.capture(model, data[:2], samples=data, max_batch=max_batch)
    quantized = edgekit.quantize(captured, data)
    artifacts = [edgekit.lower(quantized, target=TARGET, format=format) for format in ("pte", "onnx")]
    verified = edgekit.verify(quantized, artifacts, target=TARGET, evaluation=held)
    chained = edgekit.bundle(verified, output=tmp_path / "chain")

    whole = edgekit.build(
        model, data[:2], target=TARGET, calibration=data, evaluation=held, output=tmp_path / "whole",
        max_batch=max_batch, cache=False,
    ).bundles[0]  # fmt: skip
    assert chained.files == whole.files
    assert (chained.folder / "manifest.json").read_bytes() == (whole.folder / "manifest.json").read_bytes()
    assert verified.passed
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    strict = Budget(total=Limits(min_sqnr_db=200), outputs={"output": LegBudgets(total=Limits(min_sqnr_db=200))})
    assert not edgekit.verify(quantized, artifacts[0], target=TARGET, evaluation=held, budget=strict).passed


def test_wrong_links_are_named() -> None:
    """Each before any work."""
    torch.manual_seed(0)
    data = torch.randn(16, 3, 10, 10)
    captured = edgekit.capture(Small(), data)
    with pytest.raises(ProjectError, match="no scheme 'int7'"):
        edgekit.quantize(captured, data, scheme="int7")
    with pytest.raises(EdgeKitError, match="calibration data"):
        edgekit.quantize(captured, torch.randn(4, 1, 10, 10))
    quantized = edgekit.quantize(captured, data)
    with pytest.raises(ProjectError, match="no format"):
        edgekit.lower(quantized, target=TARGET, format="tflite")
    with pytest.raises(TargetError, match="no target"):
        edgekit.lower(quantized, target="linux-x86", format="pte")
    with pytest.raises(ProjectError, match="no artifacts"):
        edgekit.verify(quantized, [], target=TARGET, evaluation=data)
