"""``emulated.json``: what the real kernels of another processor computed of a bundle under an emulator."""

import json
from typing import Literal

from edgekit.base.values import Share
from edgekit.bundles.manifest import Sha256
from edgekit.drift.report import DriftReport
from edgekit.spec import Name, Spec

EMULATED_FILE = "emulated.json"


class EmulatedRun(Spec):
    """One artifact on one model of processor."""

    artifact: str
    """The artifact's file."""
    cpu_model: str
    """The model of processor; empty: this machine's own."""
    skipped: str | None = None
    """Why it was not run; null: it was."""
    identical: Share | None = None
    """Share of the samples whose outputs are the build host's, bit by bit."""
    max_abs_error: float | None = None
    """Largest difference of an output from the build host's."""


class Emulated(Spec):
    """What was computed, where, and how far it is from the build host and the reference."""

    schema_version: Literal[1] = 1
    """Version of this contract."""
    model: Name
    """The model."""
    target: Name
    """The target."""
    manifest_sha256: Sha256
    """Digest of the manifest of the bundle that was run."""
    emulator: str
    """The emulator, with its version; empty: none was needed."""
    runs: tuple[EmulatedRun, ...]
    """Each artifact on each model of processor."""
    drift: DriftReport
    """The legs *device* (the build host against the emulated device) and *total*."""
    verdict: Literal["passed", "failed"]
    """Whether all limits are kept."""

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False) + "\n"
