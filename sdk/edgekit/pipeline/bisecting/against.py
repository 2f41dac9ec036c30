"""What is held against what: any file, or the one that was lowered here, and the program of its format."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.chips import Chip
from edgekit.data.samples import Samples
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.pipeline.job import Job
from edgekit.pipeline.profiling import departures
from edgekit.spec import Format, Target


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to hold against the program of its format."""

    name: str
    format: Format
    source: Path | bytes
    """The bytes that were lowered here, or the file that somebody gave us."""


@dataclass(frozen=True, kw_only=True)
class Against:
    """What a file is held against."""

    program: Quantized
    own: Artifact
    """The file that was lowered from the program."""
    job: Job
    target: Target
    chip: Chip
    """The target's."""

    @property
    def samples(self) -> Samples:
        """What to feed both."""
        return departures.enough(self.program.captured, self.job.evaluation)
