"""What was measured of the zoo, as values that go to docs/zoo.json and come back."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgekit.spec import Spec


class FileResult(Spec):
    """One file, run by its own runtime on the evaluation samples."""

    bytes: int
    sqnr_db: float | None = None
    """Of what varies over the samples, against the float model; the least over outputs; 200 where they are equal."""
    plain_db: float | None = None
    """The same of the whole output."""
    agreement: float | None = None
    """The task's metric, between 0 and 1."""
    delegates: int | None = None
    least_ms: float | None = None
    median_ms: float | None = None
    says: str = ""
    """Why it could not be run."""


class Recipe(Spec):
    """What one way to build files cost, and what came of it."""

    cpu_s: float = 0
    wall_s: float = 0
    peak_mb: float = 0
    """Largest resident memory while it built, in MB of 10**6 bytes."""
    before_mb: float = 0
    """Resident memory before, with the model and the samples."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """By stage."""
    refused: dict[str, str] = Field(default_factory=dict)
    """Why a format has no file, by format; what ended the build stands under both."""
    notes: tuple[str, ...] = ()
    verdict: str = ""
    files: dict[str, FileResult] = Field(default_factory=dict)
    """By format."""


class NetworkResult(Spec):
    """Everything of one network."""

    name: str
    family: str
    source: str
    weights: Literal["real", "seeded"]
    task: str
    scheme: str
    machine: str = ""
    """The processor that measured it, with its instructions for int8."""
    samples: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    calibration: int
    evaluation: int
    recipes: dict[str, Recipe]
    """``edgekit``, ``float``, ``stock-pte``, ``stock-onnx``."""
    off: dict[str, dict[str, float]] = Field(default_factory=dict)
    """SQNR by format with one step of the quantizer switched off, by step."""
    gpu: dict[str, float] = Field(default_factory=dict)
    """SQNR of a GPU's outputs against float32 on a CPU, by precision; see ``bench.zoo.baselines``."""

    def file(self, recipe: str, format: str) -> FileResult | None:
        """Return a file that was measured."""
        found = self.recipes[recipe].files.get(format) if recipe in self.recipes else None
        return found if found is not None and found.sqnr_db is not None else None

    def stock(self, format: str) -> FileResult | None:
        """Return what the stock recipe of a format made."""
        return self.file(f"stock-{format}", format)


class Draw(Spec):
    """A network calibrated on crops of some photographs and measured on those of others; see ``bench.zoo.draws``."""

    network: str
    calibration: tuple[str, ...]
    evaluation: tuple[str, ...]
    seen_db: dict[str, float]
    """SQNR in dB of the whole output on the calibration samples, by format."""
    unseen_db: dict[str, float]
    """The same on the evaluation samples."""


class Results(Spec):
    """All networks, each from its latest run."""

    version: Literal[1] = 1
    versions: tuple[str, ...] = ()
    networks: tuple[NetworkResult, ...] = ()
    draws: tuple[Draw, ...] = ()
    gpu: str = ""
    """Where the figures of a GPU are from."""

    def merged(self, found: NetworkResult, order: list[str]) -> "Results":
        """Return these results with one network's put in, those of the order first."""
        networks = {one.name: one for one in self.networks} | {found.name: found}
        known = [networks[name] for name in order if name in networks]
        return self.model_copy(update={"networks": tuple(known)})

    def with_gpu(self, report: dict[str, Any]) -> "Results":
        """Return these results with what ``bench.zoo.baselines`` found on a GPU."""
        known = report["networks"]
        networks = [
            one.model_copy(update={"gpu": found}) if (found := known.get(one.name, {}).get("sqnr_db")) else one
            for one in self.networks
        ]
        machine = report["machine"]
        where = f"{machine['device']}, torch {machine['torch']}"
        return self.model_copy(update={"networks": tuple(networks), "gpu": where})


def load(file: Path) -> Results:
    """Return what was measured before; nothing if there is no file."""
    return Results.model_validate_json(file.read_bytes()) if file.is_file() else Results()
