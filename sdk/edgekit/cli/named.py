"""The options that name a model in place of a project, for ``edgekit init`` and ``edgekit build``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgekit.base.progress import Progress

if TYPE_CHECKING:
    from edgekit.pipeline.guess import Guessed
    from edgekit.spec.asked import Asked

C = TypeVar("C", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--model", metavar="FILE.py:NAME",
        help="The function or class that makes the nn.Module; left out where the weights hold the network: .pt2, "
        "TorchScript, ONNX.",
    ),
    click.option(
        "--weights", type=click.Path(path_type=Path), metavar="FILE",
        help="The file of its trained weights, or of the whole network.",
    ),
    click.option("--weights-key", metavar="KEY", help="Which state dict of a training checkpoint, if several fit."),
    click.option(
        "--shape", "shapes", multiple=True, metavar="SIZES",
        help="What it takes, without the batch: 3x224x224; of several inputs tokens=128, one option each; with a type "
        "tokens=128:int64. Told by the layers and the data if not given.",
    ),
    click.option(
        "--unbatched", is_flag=True,
        help="Its forward takes one sample without a batch, a picture of 3x32x32 for instance.",
    ),
    click.option(
        "--argument", "arguments", multiple=True, metavar="KEY=VALUE",
        help="A keyword argument for the function or class; repeat it for several.",
    ),
    click.option("--calibration", metavar="DATA", help="Samples that ranges are chosen by: a folder or file."),
    click.option("--evaluation", metavar="DATA", help="Samples that drift is measured with, others than those."),
    click.option(
        "--data", metavar="DATA",
        help="Both in one: a folder with train and val or test in it, or one set of which a part is held out.",
    ),
    click.option("--name", metavar="NAME", help="The model's name; that of its class if not given."),
)  # fmt: skip


TRUST = click.option(
    "--trust-pickle",
    is_flag=True,
    help="Run the code in the weights' pickle, in a process of its own and without network where the system allows, "
    "and write the weights to NAME.safetensors beside it.",
)


def model_options(function: C) -> C:
    """Add the options to a verb."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def asked(
    *,
    model: str | None,
    weights: Path | None,
    weights_key: str | None,
    shapes: tuple[str, ...],
    unbatched: bool,
    arguments: tuple[str, ...],
    calibration: str | None,
    evaluation: str | None,
    data: str | None,
    name: str | None,
    trust_pickle: bool = False,
) -> "Asked | None":
    """Return what the options name, looked at without torch; None: nothing.

    Raises:
        ProjectError: If a file is not there, or an option cannot be read.
    """
    rest: dict[str, object] = {"--weights-key": weights_key, "--shape": shapes, "--argument": arguments, "--name": name}
    rest["--unbatched"] = unbatched
    rest |= {"--calibration": calibration, "--evaluation": evaluation, "--data": data}
    if model is None and weights is None:
        if given := [option for option, value in rest.items() if value]:
            raise click.UsageError(f"{given[0]} goes with --model and --weights, or --weights that hold the program.")
        return None
    from edgekit.spec import asked as checks

    return checks.asked(
        model,
        weights,
        weights_key=weights_key,
        name=name,
        shapes=shapes,
        unbatched=unbatched,
        arguments=arguments,
        calibration=calibration,
        evaluation=evaluation,
        data=data,
        trust_pickle=trust_pickle,
    )


def needed(named: "Asked") -> "Asked":
    """Return what was named, with data: nothing is built without.

    Raises:
        UsageError: If none was named.
    """
    if named.calibration is None and named.data is None:
        raise click.UsageError(
            "Give --data DATA, or --calibration and --evaluation: folders of pictures, or arrays (.npz)."
        )
    return named


def guessed(named: "Asked", root: Path, progress: Progress, *, trust_pickle: bool) -> "Guessed":
    """Make a project of what was named, and say what of it was guessed."""
    from edgekit.model.weights.checkpoint import read_checkpoint

    if trust_pickle:
        named = _plain(named, root)
    checkpoint = None
    if named.weights is not None and not named.is_program:  # what is no weights is said before torch is imported
        checkpoint = read_checkpoint(named.weights, named.weights_key)

    from edgekit.pipeline import guess

    found = guess.guess(named, root, progress, checkpoint)
    for one in found.guesses:
        progress.note(f"guessed: {one}")
    return found


def _plain(named: "Asked", root: Path) -> "Asked":
    """Return what was named with weights, or a program, that run nothing, taken out of a pickle that is trusted."""
    from edgekit.base.filekind import PICKLES
    from edgekit.base.telling import kind_of
    from edgekit.data.peek import peek
    from edgekit.model.weights.trust import Example, plain_program, plain_weights

    weights = named.weights
    if weights is None or (named.is_program and (named.model is not None or kind_of(weights) not in PICKLES)):
        return named
    example = Example(shapes=named.shapes, seen=peek(named.data_files))
    if named.is_program:
        return replace(named, weights=plain_program(weights, named.weights_key, root, example), weights_key=None)
    plain = plain_weights(weights, named.weights_key, named.source, root, example)
    return named if plain == weights else replace(named, weights=plain, weights_key=None)
