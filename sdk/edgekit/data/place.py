"""Where a picture comes to lie in an input: which part of it is resized to which size, and what is cut off or free.

For a picture of ``width x height`` and an input of ``W x H``, in integers but for ``letterbox``:

* ``stretch``: all of it becomes ``W x H``.
* ``cover``: the largest centred box with the aspect of ``W x H`` does, see `crop_box`. It is cut out before the
  resize, so that what lies outside has no influence.
* ``shorter``: the shorter side becomes ``S = shorter``, the other ``S * other // shorter_side``. Along each axis, with
  ``d`` what the resized picture is larger, ``d / 2``, rounded half to even, is cut off at the left or the top. What it
  is smaller stays free, ``d // 2`` of it at the left or the top. So do torchvision's ``Resize`` and ``CenterCrop``.
* ``letterbox``: with ``r = min(H / height, W / width)``, in double precision, it becomes ``width * r`` by ``height *
  r``, each rounded half to even and at least 1. What stays free is parted as above. So does Ultralytics' ``LetterBox``.
"""

from dataclasses import dataclass
from typing import assert_never

from edgekit.spec import Resize


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a picture comes to lie, in pixels."""

    kept: tuple[int, int, int, int]
    """Left, top, right and bottom of the part that is resized."""
    width: int
    """The width that it is resized to."""
    height: int
    """The height that it is resized to."""
    left: int = 0
    """Where its left edge lies in the input; below zero: so much is cut off."""
    top: int = 0
    """Where its upper edge lies in the input."""


def placed(width: int, height: int, resize: Resize) -> Place:
    """Return where a picture of some size comes to lie."""
    whole = (0, 0, width, height)
    match resize.mode:
        case "stretch" | "cover":
            return Place(kept=crop_box(width, height, resize), width=resize.width, height=resize.height)
        case "shorter":
            least, shorter = min(width, height), resize.shorter or 1
            size = shorter * width // least, shorter * height // least
        case "letterbox":
            ratio = min(resize.height / height, resize.width / width)
            size = max(1, round(width * ratio)), max(1, round(height * ratio))
        case _:
            assert_never(resize.mode)
    left, top = (_start(wanted - there) for wanted, there in zip((resize.width, resize.height), size, strict=True))
    return Place(kept=whole, width=size[0], height=size[1], left=left, top=top)


def crop_box(width: int, height: int, resize: Resize) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of a picture that is kept; integers throughout.

    The side that overhangs is cut to the wanted aspect, rounded half up and at least one pixel; an odd remainder
    loses its extra pixel on the right or at the bottom.
    """
    if resize.mode != "cover":
        return 0, 0, width, height
    if width * resize.height > height * resize.width:
        kept = max(1, (2 * height * resize.width + resize.height) // (2 * resize.height))
        left = (width - kept) // 2
        return left, 0, left + kept, height
    kept = max(1, (2 * width * resize.height + resize.width) // (2 * resize.width))
    top = (height - kept) // 2
    return 0, top, width, top + kept


def _start(free: int) -> int:
    """Return where what is centred begins, of so many free pixels; below zero: of so many that are too many."""
    return free // 2 if free >= 0 else -round(-free / 2)
