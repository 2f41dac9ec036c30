"""``emulated.json`` and ``board.json``: what the real kernels of a processor computed of a bundle, and where."""

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edgekit.base.values import Sha256, Share
from edgekit.bundles.manifest import Count
from edgekit.drift.report import DriftReport
from edgekit.spec import Name, Spec

EMULATED_FILE = "emulated.json"
"""Of an emulator, or of this machine."""
BOARD_FILE = "board.json"
"""Of a real board that was reached by ssh."""


class Board(Spec):
    """A device that answers by ssh, as it describes itself."""

    host: str
    """The name by which it was reached."""
    model: str
    """The board's model, by its device tree; empty: it has none."""
    machine: str
    """The architecture, as ``uname -m`` names it."""
    cpu_models: tuple[str, ...]
    """Its processor's kinds of cores."""
    features: tuple[str, ...]
    """Those of the processor's instructions that decide which kernels run."""
    cores: Count
    """Cores that are on; 0: unknown."""
    system: str
    """The operating system and its version."""
    kernel: str
    """The version of Linux."""


class VerifiedRun(Spec):
    """One artifact on one model of processor."""

    artifact: str
    """The artifact's file."""
    cpu_model: str
    """The model of processor; empty: this machine's own."""
    kernels: str = ""
    """The runtime whose kernels ran, with its version."""
    skipped: str | None = None
    """Why it was not run; null: it was."""
    identical: Share | None = None
    """Share of the samples whose outputs are the build host's, bit by bit."""
    max_abs_error: float | None = None
    """Largest difference of an output from the build host's."""


class Verified(Spec):
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
    board: Board | None = None
    """The board; null: the emulator or this machine ran it."""
    runs: tuple[VerifiedRun, ...]
    """Each artifact on each model of processor."""
    drift: DriftReport
    """The legs *device* (the build host against the device) and *total*."""
    verdict: Literal["passed", "failed"]
    """Whether all limits are kept."""

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False) + "\n"


def of_bundle(folder: Path, manifest_sha256: str) -> dict[str, Verified]:
    """Return what was computed of a bundle, by ``emulated`` and ``board``, but nothing of another build or version."""
    found = {}
    for file in (EMULATED_FILE, BOARD_FILE):
        try:
            one = Verified.model_validate_json((folder / file).read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError):
            continue
        if one.manifest_sha256 == manifest_sha256:
            found[file.removesuffix(".json")] = one
    return found
