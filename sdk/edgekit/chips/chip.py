"""A chip, as a value. A module for each makes one; what it is asked is the same for all, a CPU among them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.base.cache import Cache
from edgekit.base.memory import Memory
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.errors import TargetError
from edgekit.execution.calls import Call
from edgekit.model.artifact import Artifact
from edgekit.model.onchip import OnChip
from edgekit.model.program import Quantized, Source
from edgekit.spec import CPU_CHIP, CPU_PLACING, Format, Placing, Scheme, Target, TensorSpec

SECONDS = 120.0
"""How long a simulation may run samples, unless another limit is asked for."""
_ALL = 240.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An artifact, and what it is tried with."""

    artifact: Artifact
    target: Target
    source: Source
    """The model that it was made from."""
    samples: Samples
    """The evaluation samples."""
    quantized: Quantized
    """The program that it was lowered from."""
    answers: Trace
    """What that program gave for the samples."""
    host: Trace
    """What the float model gave for them."""
    memory: Memory
    """Bounds what is held of the outputs."""
    seconds: float = SECONDS
    """How long a simulation may run samples; at least two are run."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of a trial."""

    answers: Trace
    """The artifact's answers, for all samples or the first of them; those of its program where nothing runs it here."""
    on_chip: OnChip | None = None
    """Where it was run; None: on a CPU, of which a trace says enough."""
    batches: tuple[int, ...]
    """The batch sizes at which it was run."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The files of the chip that `on_chip` names, by path within the bundle."""
    notes: tuple[str, ...] = ()
    """What a reader of the report must know."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of an .onnx that gives some of its inner values, too."""

    data: bytes
    outputs: tuple[TensorSpec, ...]
    """All that it gives, in order."""
    source: Source
    """The model that it was made from, with the batch of the artifact."""
    target: Target


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A kind of processor: the questions that a build asks of it."""

    title: str
    """What a person calls it."""
    name_of: Callable[[Format, Target, Scheme], str]
    """Names what decides the bytes of an artifact, for people: targets that agree on it share one."""
    lower: Callable[[Format, Target, Quantized, Cache | None], tuple[Artifact, bool]]
    """Returns the artifact of a program, and whether the cache had it."""
    run: Callable[[Trial], Tried]
    """Runs an artifact on the samples, here, and holds its answers against the program's."""
    formats: frozenset[Format]
    """The formats that it lowers to and runs."""
    placing: Placing = CPU_PLACING
    """What is rounded beside the layers with weights."""
    open: Callable[[Copy], Call] | None = None
    """Loads a copy of an .onnx, and returns what runs a batch of it; None: nothing here shows what lies inside."""
    check: Callable[[Target], object] = lambda target: None
    """Raises `TargetError` if the options of a profile are none of the chip's."""

    def refuse(self, target: Target) -> None:
        """Refuse a profile that nothing can be built for, before any work is done.

        Raises:
            TargetError: If it names a format that the chip has not, or options that are none of the chip's.
        """
        if beyond := sorted(set(target.formats) - self.formats):
            raise TargetError(
                f"{target.name}: formats: the chip {target.chip.name} has no .{', no .'.join(beyond)}.",
                hint=f"It has .{', .'.join(sorted(self.formats))}.",
            )
        self.check(target)


def seconds_each(targets: Sequence[Target]) -> float:
    """Return how long each simulation of a build may run samples: together they have four minutes.

    Args:
        targets: All that are built for; those whose chip is a CPU simulate nothing.
    """
    count = sum(target.chip.name != CPU_CHIP for target in targets)
    return min(SECONDS, _ALL / max(count, 1))
