"""A program that was trained: what it was trained for, and the folder that a project names."""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from edgekit.base import atomic
from edgekit.errors import BundleError, ProjectError
from edgekit.model import store
from edgekit.model.program import Captured, Quantized, Source
from edgekit.quantization.training.network import QatNetwork
from edgekit.spec import STATIC_INT8, Fallback, Placing, QuantSpec, Scheme

_NAME = "trained"
_SETTINGS = "trained.settings.json"
_AGAIN = "Train it again: edgekit finetune."


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A quantized program whose weights and ranges come from a training."""

    program: Quantized
    placing: Placing
    """What was rounded: a chip's way."""
    asked: tuple[str, ...]
    """The ``float_layers`` of the settings: paths, or patterns of them."""

    def for_build(
        self, captured: Captured, scheme: Scheme, placing: Placing, float_layers: tuple[str, ...]
    ) -> Quantized:
        """Return the program for what a build wants.

        Args:
            captured: The float program that the build made.
            scheme: The scheme that is wanted.
            placing: What the target's chip rounds.
            float_layers: The layers that settings keep in float: paths of modules, or patterns.

        Raises:
            ProjectError: If it was trained for something else.
        """
        own = self.program
        static = {own.scheme, scheme} <= STATIC_INT8
        if own.scheme is not scheme and not static:
            raise ProjectError(
                f"{captured.source.name} was trained with the scheme {own.scheme}, and {scheme} is asked for.",
                hint=f'Say scheme = "{own.scheme}" and formats that hold it; or train again.',
            )
        if placing != self.placing:
            raise ProjectError(
                f"{captured.source.name} was trained for a chip that rounds other values than this target's.",
                hint="Train for this target: edgekit finetune --target NAME, or prepare_qat(target=...).",
            )
        if float_layers not in (self.asked, own.float_layers):
            raise ProjectError(
                f"{captured.source.name} was trained with float_layers = {json.dumps(self.asked)}.",
                hint="Give the same float_layers, or train again.",
            )
        return replace(own, captured=captured)


def of_network(network: QatNetwork) -> Trained:
    """Return the program that a network is now."""
    plan = network.plan
    return Trained(program=network.quantized(), placing=plan.placing, asked=plan.spec.float_layers)


def settings_of(network: QatNetwork) -> QuantSpec:
    """Return the settings to build a network with: those that it was prepared with, and no layer more in float."""
    return network.plan.spec.model_copy(update={"scheme": network.plan.scheme, "fallback": Fallback.NONE})


def refuse_described(**given: object) -> None:
    """Refuse what a caller says of a network that says it itself.

    Raises:
        ProjectError: If anything is given.
    """
    if said := [name for name, value in given.items() if value is not None]:
        raise ProjectError(
            f"{', '.join(said)} cannot be said of a network from prepare_qat: it knows.",
            hint="Leave it out, or give it to prepare_qat.",
        )


def save(trained: Trained, folder: Path) -> None:
    """Write a trained program as a folder, in one step.

    Raises:
        BundleError: If it cannot be written, or the folder holds something else.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        store.save_quantized(trained.program, place, _NAME)
        settings = {"placing": trained.placing.model_dump(mode="json"), "float_layers": trained.asked}
        (place / _SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        files = {file.name: file.read_bytes() for file in sorted(place.iterdir())}
    atomic.replace_folder(folder, files, check_place)


def load(folder: Path, source: Source) -> Trained:
    """Read what `save` wrote.

    Args:
        folder: The folder.
        source: The float model, whose weights it was trained from.

    Raises:
        ProjectError: If it is no such folder, or was trained from other weights.
    """
    try:
        program = store.load_quantized(folder, _NAME)
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        placing = Placing.model_validate_json(json.dumps(settings["placing"]))
        asked = tuple(settings["float_layers"])
    except (OSError, KeyError, ValueError, RuntimeError, ValidationError) as error:
        raise ProjectError(f"{folder} is no trained network: {error}", hint=_AGAIN) from error
    if program.captured.source.weights_sha256 != source.weights_sha256:
        raise ProjectError(f"{folder} was trained from other weights than {source.name} has now.", hint=_AGAIN)
    return Trained(program=program, placing=placing, asked=asked)


def check_place(folder: Path) -> None:
    """Make sure that a trained network may be written to a folder.

    Raises:
        BundleError: If it holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _SETTINGS).is_file():
        raise BundleError(f"{folder} holds something else than a trained network.", hint="Name another folder.")
