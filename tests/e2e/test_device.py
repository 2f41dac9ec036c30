"""Real artifacts on the golden inputs, as an app runs them: one at a time, and written as an app writes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.apps import device
from edgekit.data import trace
from edgekit.execution.artifact import open_artifact
from edgekit.execution.artifact import trace as run_artifact
from tests.e2e.conftest import Build, edgekit

pytestmark = pytest.mark.slow
TARGET = "android-arm64"


@pytest.mark.parametrize("file", ["model.pte", "model.onnx"])
def test_artifacts_repeat_their_golden_outputs(sample: Build, tmp_path: Path, file: str) -> None:
    """One by one they give the host's, to a few steps; the bundle is found by the digest, and a fault is found too."""
    opened = device.open_bundle(sample.bundle(TARGET))
    manifest = opened.manifest
    info = next(info for info in manifest.artifacts if info.file == file)
    cpu = manifest.target.cpu
    artifact = open_artifact(info.format, opened.folder / file, cpu, manifest.inputs, manifest.outputs)
    samples, weights = opened.golden.reference.samples, manifest.model.weights_sha256
    ran = run_artifact(artifact, cpu, samples, batch=1, model=weights, scheme=info.quantization)
    origin = {"program": "device", "artifact": file, "artifact_sha256": info.sha256}
    written = replace(ran, origin=ran.origin.model_copy(update=origin))
    trace.save(written, tmp_path / "right.npz")
    done = edgekit("compare", tmp_path / "right.npz", "--json", cwd=sample.folder)
    assert done.code == 0, done.err
    legs = {leg["name"]: leg for leg in done.json["drift"]["legs"]}
    assert legs["device"]["metrics"]["top1_agreement"] == 1
    assert legs["device"]["metrics"]["sqnr_db"] is None or legs["device"]["metrics"]["sqnr_db"] > 40

    logits = np.roll(written.outputs["logits"], 1, axis=1)
    trace.save(replace(written, outputs={"logits": logits}), tmp_path / "wrong.npz")
    wrong = edgekit("compare", tmp_path / "wrong.npz", "--json", cwd=sample.folder)
    assert wrong.code == 20
    broken = {leg["name"] for leg in wrong.json["drift"]["legs"] for check in leg["checks"]
              if check["result"] == "broken"}  # fmt: skip
    assert broken == {"device", "total"}
