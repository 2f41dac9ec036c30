"""What a run of the benchmark found, as values that go to docs/benchmarks.json and come back."""

from collections.abc import Mapping
from typing import Literal

from edgekit.spec import Spec


class Drift(Spec):
    """How far an artifact is from the float model on the evaluation samples."""

    sqnr_db: float | None
    """None if the outputs are identical."""
    accuracy: float | None
    top1_agreement: float | None


class Latency(Spec):
    """Time of one sample."""

    median_ms: float
    p95_ms: float


class BuildReport(Spec):
    """What a worker says of a build."""

    seconds: dict[str, float]
    """By stage, without imports."""
    peak_mb: float
    """Largest resident memory, in MB."""
    imported_mb: float
    """The same when nothing but the imports was done."""
    versions: dict[str, str]
    error: str = ""
    """Why there is no artifact."""

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


class ArtifactResult(Spec):
    """What was measured of one artifact."""

    route: str
    file: str
    bytes: int
    drift: Drift | None = None
    latency: Latency | None = None
    error: str = ""
    """Why it could not be run."""

    @property
    def format(self) -> str:
        """The format: pte, onnx or tflite."""
        return self.file.rpartition(".")[2]


class NetworkResult(Spec):
    """Everything of one network."""

    name: str
    family: str
    parameters: int
    float_accuracy: float
    builds: dict[str, BuildReport]
    """By route."""
    artifacts: tuple[ArtifactResult, ...]
    rebuild_s: float | None = None
    """Seconds of an unchanged `edgekit build`, without imports."""

    def artifact(self, route: str, format: str) -> ArtifactResult | None:
        """Return the artifact of a route in a format, if it was measured."""
        found = [one for one in self.artifacts if (one.route, one.format) == (route, format) and one.drift is not None]
        return found[0] if found else None

    def of_format(self, format: str) -> tuple[ArtifactResult, ...]:
        """Return all artifacts of a format that were measured."""
        return tuple(one for one in self.artifacts if one.format == format and one.drift is not None)


class Machine(Spec):
    """Where the benchmark ran."""

    cpu: str
    cores: int
    int8: tuple[str, ...]
    """The processor's instructions for int8 products."""
    system: str
    python: str


class Results(Spec):
    """One run."""

    version: Literal[1] = 1
    machine: Machine
    kernels: dict[str, str]
    """Whose kernels ran each format."""
    calibration: int
    evaluation: int
    warmup: int
    timed: int
    networks: tuple[NetworkResult, ...]
    missing: dict[str, str]
    """Why a route was not run, by route."""

    def by_name(self) -> Mapping[str, NetworkResult]:
        """Return the networks by name."""
        return {network.name: network for network in self.networks}
