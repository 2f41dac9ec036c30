"""What a bundle does on a device: drift and times of its artifacts, measured by the self-test of the demo app.

``device.json`` in the bundle and the section of the page are made from these classes, with the same names.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError

from edgekit.drift.report import DriftReport
from edgekit.spec import Spec

DEVICE_VERSION: Literal[1] = 1
DEVICE_FILE = "device.json"


class DeviceInfo(Spec):
    """The device."""

    name: str
    """Maker and model."""
    soc: str
    """The system on chip."""
    os: str
    """Operating system and version."""
    cpu: str
    """CPU family."""


class DeviceCost(Spec):
    """What one artifact costs on the device; times in milliseconds, null where it was not run."""

    artifact: str
    """The artifact's file."""
    runtime: str | None
    """The runtime and its version; null: the app has none for it."""
    status: Literal["passed", "failed", "skipped"]
    """What the app says of it; ``skipped``: the app has no runtime for it."""
    reason: str | None
    """Why it did not pass."""
    failure: str | None
    """The code of what went wrong, if it could not be run; also of what was skipped."""
    threads: int | None
    """Threads of the runtime."""
    runs: int | None
    """Timed runs."""
    load_ms: float | None
    """Time to load it."""
    first_ms: float | None
    """The first inference after loading."""
    median_ms: float | None
    """Later ones: 50th percentile."""
    p90_ms: float | None
    """90th percentile."""
    p95_ms: float | None
    """95th percentile."""
    p99_ms: float | None
    """99th percentile."""


class DeviceProfile(Spec):
    """What one bundle did on one device."""

    device_version: Literal[1] = DEVICE_VERSION
    """Version of this format."""
    model: str
    """The model."""
    target: str
    """The target."""
    manifest_sha256: str
    """Digest of the bundle's manifest: the numbers belong to that build."""
    device: DeviceInfo
    """The device."""
    app: dict[str, JsonValue]
    """The app and its version."""
    verdict: Literal["passed", "failed"]
    """Whether the legs are within their limits, and the app says so too."""
    drift: DriftReport
    """The legs device and total, measured from the outputs that the app wrote."""
    artifacts: tuple[DeviceCost, ...]
    """What each artifact costs."""
    warnings: tuple[str, ...]
    """What a person should know first: an artifact that was not run, numbers of the app that are not EdgeKit's."""

    @property
    def broken(self) -> tuple[DeviceCost, ...]:
        """The artifacts that could not be run though the app has a runtime for them."""
        return tuple(one for one in self.artifacts if one.failure is not None and one.status == "failed")

    def to_json(self) -> str:
        """Return the text of ``device.json``."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def of_bundle(folder: Path, manifest_sha256: str) -> DeviceProfile | None:
    """Return what was measured of a bundle on a device; None if nothing was, or of another build or version."""
    try:
        found = DeviceProfile.model_validate_json((folder / DEVICE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return found if found.manifest_sha256 == manifest_sha256 else None
