"""Where two computations of one model part: values only, see ``edgekit.pipeline.bisecting``."""

from edgekit.spec import Spec


class Worst(Spec):
    """The element at which the two are furthest apart."""

    index: tuple[int, ...]
    """Where it is in the value, the sample first."""
    first: float
    """What the program computes from the artifact's own inputs of this operation."""
    second: float
    """What the artifact computed."""


class Parting(Spec):
    """The first operation that does more than round otherwise."""

    operation: str
    """The operation in the program, ``conv2d`` say; ``quantize`` where the rounding itself is another. Several that
    only a fused kernel computes are joined by ``+``."""
    name: str
    """Name of its node in the program, of the first one where there are several."""
    path: str
    """The module that it is in; empty if unknown."""
    line: str
    """The line of the model's code, ``model.py:12``; empty if unknown."""
    value: str
    """Name of the value in the file that is first to differ."""
    sqnr_db: float | None
    """SQNR of this operation alone, in dB, the program being led by the artifact's own values; null: identical."""
    largest: float
    """Largest difference of any element, in the value's own unit."""
    largest_steps: float | None
    """The same in steps of the rounding; null: the value is not rounded."""
    differing: float | None
    """Share of the elements on another step, beside those that lie in the middle of two; null: as above."""
    worst: Worst | None
    """The furthest element; null where the operation could not be cut out."""
    reason: str
    """What is known of the cause; empty if nothing is."""


class Compared(Spec):
    """One artifact held against one program."""

    artifact: str
    """The artifact's file."""
    parting: Parting | None
    """Where they part; null: nowhere that was seen."""
    inside: bool
    """Whether the values between the operations were seen; else the outputs alone were compared."""
    note: str
    """What was looked at."""
    reproducer: str | None = None
    """Folder with the operation alone, its inputs and the script; null: none was written."""


class Suspect(Spec):
    """The first layer whose own rounding stands out between float and the quantized program."""

    path: str
    """The layer."""
    kind: str
    """Its operation."""
    only_sqnr_db: float | None
    """SQNR of the outputs, in dB, with this layer alone in int8."""
    median_db: float
    """Median of that over all layers."""


class Bisection(Spec):
    """What was compared, and where it parts."""

    first: str
    """What was taken for right."""
    second: str
    """What was held against it."""
    compared: tuple[Compared, ...] = ()
    """By artifact."""
    suspect: Suspect | None = None
    """Of float against the quantized program: the layer; null: none stands out, or nothing of that kind was asked."""

    @property
    def parts(self) -> bool:
        """Whether an artifact computes something else than the program."""
        return any(one.parting is not None for one in self.compared)
