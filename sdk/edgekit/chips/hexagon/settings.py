"""What the vendor's compiler is told of a system on a chip: an architecture changes numbers."""

from pydantic import ValidationError

from edgekit.errors import TargetError
from edgekit.spec import Spec, Target


class HexagonSettings(Spec):
    """The options of a target's ``[chip]``."""

    htp_arch: str
    """The architecture of the NPU: ``"75"``."""
    soc_model: str
    """Qualcomm's number of the system on a chip: ``"57"``. Without it the library finds no memory."""


def of_target(target: Target) -> HexagonSettings:
    """Return the settings in a profile.

    Raises:
        TargetError: If one is missing or unknown.
    """
    try:
        return HexagonSettings.model_validate(target.chip.options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TargetError(
            f"{target.name}: chip.options.{place}: {first['msg']}",
            hint="Compare it with a shipped profile: edgekit targets show snapdragon-8-gen-3",
        ) from error
