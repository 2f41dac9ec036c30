"""Which chips there are: EdgeKit's own, and those of packages beside it."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from edgekit.chips.chip import Chip
from edgekit.errors import TargetError
from edgekit.spec import CPU_CHIP, Target

GROUP = "edgekit.chips"
"""The group of entry points in which a package names what returns its `Chip`, by the chip's name."""
_OWN = {
    "coreai": "edgekit.chips.coreai.chip",
    "coreml": "edgekit.chips.coreml",
    "cortex-m": "edgekit.chips.arm.cortex_m",
    CPU_CHIP: "edgekit.chips.cpu",
    "ethos-u": "edgekit.chips.arm.ethos_u",
    "hexagon": "edgekit.chips.hexagon.chip",
    "openvino": "edgekit.chips.openvino.chip",
    "tensorrt": "edgekit.chips.tensorrt.chip",
    "vgf": "edgekit.chips.arm.vgf",
    "vulkan": "edgekit.chips.vulkan",
    "web": "edgekit.chips.web.chip",
}
"""The module of each, which has its `Chip` under the name ``CHIP``."""


def of_target(target: Target) -> Chip:
    """Return the chip of a target. Its libraries are loaded when it is asked something, not now.

    Raises:
        TargetError: If there is none of this name, or the package that has one does not give it.
    """
    place = _OWN.get(target.chip.name)
    if place is None:
        return _of_package(target.name, target.chip.name)
    chip = import_module(place).CHIP
    assert isinstance(chip, Chip)
    return chip


def names() -> tuple[str, ...]:
    """Return the names of all chips, those of packages last."""
    return (*_OWN, *sorted({point.name for point in entry_points(group=GROUP)} - set(_OWN)))


def _of_package(target: str, name: str) -> Chip:
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        raise TargetError(
            f"{target}: chip.name: there is no chip {name!r}.",
            hint=f"There are {', '.join(names())}. A package of your own may bring one: docs/chips.md.",
        )
    chip = _made(point)()
    if not isinstance(chip, Chip):
        raise TargetError(f"{point.value} returns no edgekit.chips.Chip.", hint="See docs/chips.md.")
    return chip


def _made(point: EntryPoint) -> Callable[[], object]:
    try:
        found: Callable[[], object] = point.load()
    except (ImportError, AttributeError) as error:
        raise TargetError(
            f"The chip {point.name} of {point.value} cannot be loaded: {error}", hint="Install its package again."
        ) from error
    return found
