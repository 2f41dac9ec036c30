"""Hand-made bundles with golden vectors, and what a device made of them. No model is run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.apps import device
from edgekit.apps.device import OpenBundle
from edgekit.apps.phone.trip import APP
from edgekit.base import digest
from edgekit.bundles.golden import golden_vectors
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.data import trace
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift.report import Leg
from edgekit.spec import Budget, Limits
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


def selftest(opened: OpenBundle, candidates: dict[str, Trace], **changes: Any) -> dict[str, Any]:
    """What the app writes of these traces: the names of the contract, and numbers as it would measure them."""
    legs = {file: device.report(opened, [one]).legs for file, one in candidates.items()}
    artifacts = [_tested(info, legs.get(info.file, ())) for info in opened.manifest.artifacts]
    ran = [one for one in artifacts if one["status"] != "skipped"]
    values = {
        "version": 1,
        "app": {"name": APP, "version": "0.1.0"},
        "device": {"name": "Google Pixel 8", "soc": "Tensor G3", "os": "Android 15 (API 35)", "cpu": "arm64-v8a"},
        "model": {"name": opened.manifest.model.name, "weights_sha256": opened.manifest.model.weights_sha256},
        "target": opened.manifest.target.name,
        "verdict": "passed" if ran and all(one["status"] == "passed" for one in ran) else "failed",
        "artifacts": artifacts,
    }
    return values | changes


def _tested(info: ArtifactInfo, legs: tuple[Leg, ...]) -> dict[str, Any]:
    if not legs:
        reason = f"{info.file} cannot be run: this app has no runtime for {info.format} files."
        times = ("load_ms", "first_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms")
        unmeasured = dict.fromkeys(("runtime", "threads", *times))
        skipped = {"status": "skipped", "reason": reason, "failure": "no_runtime", "runs": 0, "legs": []}
        return {"file": info.file, "sha256": info.sha256, **unmeasured, **skipped}
    broken = any(leg.breaches for leg in legs)
    return {
        "file": info.file,
        "sha256": info.sha256,
        "runtime": info.minimum_runtime,
        "threads": 1,
        "status": "failed" if broken else "passed",
        "reason": "a limit is broken" if broken else None,
        "failure": None,
        **{"load_ms": 12.5, "first_ms": 3.75, "median_ms": 0.625, "p90_ms": 0.75, "p95_ms": 0.875, "p99_ms": 1.5},
        "runs": 200,
        "legs": [
            {
                "leg": leg.name,
                "output": leg.output,
                "metrics": leg.metrics.model_dump(include={"sqnr_db", "max_abs_error", "cosine", "top1_agreement"}),
                "worst_share_of_tolerance": 0.25,
                "within_tolerance": True,
                "limits": [
                    {"limit": c.name, "metric": c.metric, "value": c.value, "bound": c.limit, "result": c.result}
                    for c in leg.checks
                ],
            }
            for leg in legs
        ],
    }
