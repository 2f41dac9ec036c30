"""How many samples an artifact gets at once, so that each is answered as if it were alone. Needs no runtime."""

from edgekit.spec import DYNAMIC, Format, Scheme


def steady_batch(format: Format, scheme: Scheme | None, sizes: tuple[int, ...]) -> int:
    """Return how many samples to run at once, of the sizes that there are, so that each gets the answer of one alone.

    That is the largest, but the least where the samples of a batch share a range.
    """
    return min(sizes) if shares_range(format, scheme) else max(sizes)


def shares_range(format: Format, scheme: Scheme | None) -> bool:
    """Whether the samples of a batch share a range, so that what a sample gets depends on what stands beside it."""
    return format is Format.ONNX and scheme in DYNAMIC
