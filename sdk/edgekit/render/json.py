"""Results as JSON objects, with the names that the manifest uses."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.base.cache import Kept
    from edgekit.bundles.changes import BundleComparison
    from edgekit.bundles.device_profile import DeviceProfile
    from edgekit.bundles.profile import Profile
    from edgekit.bundles.result import BuildResult
    from edgekit.data.trace import Trace
    from edgekit.drift.report import DriftReport
    from edgekit.inspection import Inspection
    from edgekit.inspection.predict import Prediction


def text(data: Mapping[str, Any]) -> str:
    """Return the text of one object; numbers that JSON lacks become null."""
    return json.dumps(_plain(data), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def build_result(result: "BuildResult") -> dict[str, Any]:
    """Return all bundles of a build with their manifests, the seconds of each stage, and what came from the cache."""
    return {
        "passed": result.passed,
        "seconds": [
            {"stage": stage, "seconds": seconds, "cached": stage in result.cached} for stage, seconds in result.seconds
        ],
        "bundles": [
            {
                "folder": str(bundle.folder),
                "passed": bundle.passed,
                "cached": bundle.cached,
                "native": None
                if (native := result.native.get(bundle.manifest.target.name)) is None
                else native.model_dump(mode="json"),
                "native_peak_bytes": result.native_peaks.get(bundle.manifest.target.name),
                "peak_bytes": dict(result.peaks.get(bundle.manifest.target.name, {})),
                "manifest": bundle.manifest.model_dump(mode="json"),
            }
            for bundle in result.bundles
        ],
        "not_built": [
            {"target": one.target, "reason": one.error.message, "hint": one.error.hint, "failed": one.failed}
            for one in result.not_built
        ],
    }


def cache(folder: Path, limit: int, kept: "tuple[Kept, ...]", kit: "Kept | None" = None) -> dict[str, Any]:
    """Return where the cache is, how large it may be, how much there is of each kind, and the kit beside them."""
    return {
        "folder": str(folder),
        "bytes": sum(kind.bytes for kind in kept),
        "limit_bytes": limit,
        "kinds": [dataclasses.asdict(kind) for kind in kept],
        "kit": None if kit is None else dataclasses.asdict(kit),
    }


def comparison(report: "DriftReport") -> dict[str, Any]:
    """Return a drift report and its verdict."""
    return {"passed": report.within_budget, "drift": report.model_dump(mode="json")}


def changes(found: "BundleComparison") -> dict[str, Any]:
    """Return what a change did, and the verdict of the new build."""
    return {"passed": found.new.passed, "comparison": found.model_dump(mode="json")}


def trace(recorded: "Trace") -> dict[str, Any]:
    """Return the shapes and the origin of a trace, not its values."""
    from edgekit.render.tables import place_warning

    def tensors(arrays: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"name": n, "dtype": a.dtype.name, "shape": list(a.shape)} for n, a in arrays.items()]

    return {
        "samples": len(recorded),
        "labels": recorded.samples.labels is not None,
        "targets": tensors(recorded.samples.targets),
        "inputs": tensors(recorded.samples.inputs),
        "outputs": tensors(recorded.outputs),
        "origin": recorded.origin.model_dump(mode="json"),
        "beside": [other.origin.model_dump(mode="json") for other in recorded.beside],
        "warning": place_warning(recorded) or None,
    }


def profile(found: "Profile", path: Path) -> dict[str, Any]:
    """Return a profile, and where it was written."""
    return {"file": str(path), "profile": found.model_dump(mode="json")}


def device(found: "DeviceProfile", path: Path) -> dict[str, Any]:
    """Return what a bundle did on a device, and where it was written."""
    return {"passed": found.verdict == "passed", "file": str(path), "device": found.model_dump(mode="json")}


def prediction(found: "Prediction", top: int) -> dict[str, Any]:
    """Return what an artifact made of a picture: raw outputs, and the likeliest classes of a classifier."""
    return {
        "artifact": found.artifact,
        "classes": [{"label": label, "probability": share} for label, share in found.classes[:top]],
        "outputs": {name: array.tolist() for name, array in found.outputs.items()},
    }


def inspection(found: "Inspection") -> dict[str, Any]:
    """Return what was found in a file; ``kind`` says which fields there are."""
    return dataclasses.asdict(found)
