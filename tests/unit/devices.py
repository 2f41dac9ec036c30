"""Hand-made bundles with golden vectors, and what a device made of them. No model is run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import digest, trace
from edgekit.golden import golden_vectors
from edgekit.manifest import Manifest
from edgekit.samples import Samples
from edgekit.spec import Budget, Limits
from edgekit.trace import Origin, Trace
from tests.unit import examples

FILES = {"model.pte": b"pte", "model.onnx": b"onnx"}
STEP = 0.05  # about what one step of int8 is to these outputs
BUDGET = Budget(
    total=Limits(min_sqnr_db=20, min_top1_agreement=0.98, min_accuracy_ratio=0.98), device=Limits(min_sqnr_db=25)
)


def traces(count: int = 20) -> tuple[Trace, dict[str, Trace]]:
    """The reference on some samples, and what the host's artifacts make of them: a step off."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 10
    exact = (np.eye(10)[labels] * 8 + generator.normal(size=(count, 10))).astype(np.float32)
    rounded = (np.round(exact / STEP) * STEP).astype(np.float32)
    images = generator.normal(size=(count, 1, 32, 32)).astype(np.float32)
    reference = replace(
        examples.baseline(), samples=Samples(inputs={"image": images}, labels=labels), outputs={"logits": exact}
    )
    return reference, {file: replace(reference, outputs={"logits": rounded}) for file in FILES}


def write_bundle(folder: Path, *, budget: Budget = BUDGET, name: str = "digits") -> Manifest:
    """Write a bundle whose golden vectors are those of `traces`."""
    golden, files = golden_vectors(*traces())
    manifest = examples.manifest()
    manifest = manifest.model_copy(
        update={"golden": golden, "budget": budget, "model": manifest.model.model_copy(update={"name": name})}
    )
    for path, data in {**files, **FILES, "manifest.json": manifest.to_json().encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return manifest


def on_device(file: str = "model.pte", *, off: float = 0.0, **origin: Any) -> Trace:
    """What a phone computed of the golden inputs: the host's outputs, off by a share of the step."""
    reference, artifacts = traces()
    rows = slice(0, None, 4)
    outputs = artifacts[file].outputs["logits"][rows]
    noise = np.random.default_rng(1).choice([-1.0, 1.0], size=outputs.shape)
    fields = {
        "program": "device",
        "device": "cpu",
        "device_name": "Google Pixel 8 (Tensor G3)",
        "dtype": "int8",
        "kernels": "ExecuTorch 1.5.1 XNNPACK",
        "kernels_of": "arm64",
        "versions": {"executorch": "1.5.1", "os": "Android 15 (API 35)"},
        "model": "0" * 64,
        "artifact": file,
        "artifact_sha256": digest.of_bytes(FILES[file]),
    }
    return Trace(
        samples=reference.samples.rows(rows),
        outputs={"logits": (outputs + off * STEP * noise).astype(np.float32)},
        origin=Origin.model_validate_json(json.dumps(fields | origin)),
    )


def write_trace(path: Path, file: str = "model.pte", **changes: Any) -> Path:
    """Write such a trace."""
    trace.save(on_device(file, **changes), path)
    return path
