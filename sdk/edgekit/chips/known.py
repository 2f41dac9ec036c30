"""Which chips there are: EdgeKit's own, and those of packages beside it."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from edgekit.chips.chip import Chip
from edgekit.errors import TargetError
from edgekit.spec import Target

GROUP = "edgekit.chips"
"""The group of entry points in which a package names what returns its `Chip`, by the chip's name."""
_OWN = ("coreai", "coreml", "cpu", "hexagon", "openvino", "tensorrt", "vulkan", "web")


def of_target(target: Target) -> Chip:
    """Return the chip of a target. Its libraries are loaded when it is asked something, not now.

    Raises:
        TargetError: If there is none of this name, or the package that has one does not give it.
    """
    match target.chip.name:
        case "cpu":
            from edgekit.chips import cpu

            return cpu.CHIP
        case "coreai":
            from edgekit.chips.coreai import chip as coreai

            return coreai.CHIP
        case "coreml":
            from edgekit.chips import coreml

            return coreml.CHIP
        case "hexagon":
            from edgekit.chips.hexagon import chip as hexagon

            return hexagon.CHIP
        case "openvino":
            from edgekit.chips.openvino import chip as openvino

            return openvino.CHIP
        case "tensorrt":
            from edgekit.chips.tensorrt import chip as tensorrt

            return tensorrt.CHIP
        case "vulkan":
            from edgekit.chips import vulkan

            return vulkan.CHIP
        case "web":
            from edgekit.chips.web import chip as web

            return web.CHIP
        case name:
            return _of_package(target.name, name)


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
