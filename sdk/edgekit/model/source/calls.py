"""How ``forward`` is called: its parameters, and the names that they give the inputs."""

import inspect
from inspect import Parameter

from torch import nn

from edgekit.errors import SourceError
from edgekit.model.outputs import identifiers
from edgekit.spec import TensorSpec
from edgekit.spec.schema import did_you_mean


def input_names(name: str, model: nn.Module, count: int) -> tuple[str, ...]:
    """Return the names of the parameters of ``forward`` that so many arguments go to.

    Args:
        name: The model's name, for messages.
        model: The module.
        count: Number of arguments, passed by position.

    Raises:
        SourceError: If ``forward`` takes fewer, or needs more.
    """
    found = parameters(name, model)
    names = [parameter.name for parameter in found if parameter.kind is not Parameter.VAR_POSITIONAL]
    rest = next((parameter.name for parameter in found if parameter.kind is Parameter.VAR_POSITIONAL), None)
    if rest is not None:
        names += [f"{rest}_{number}" for number in range(count - len(names))]
    if len(names) < count:
        raise SourceError(
            f"forward of {name} takes {len(names)} arguments, example_inputs has {count}.",
            hint="Pass the arguments of forward as a tuple, in its order.",
        )
    needed = [parameter.name for parameter in found if parameter.default is Parameter.empty][: len(names)]
    missing = [one for one in names[count:] if one in needed]
    if missing:
        raise SourceError(
            f"forward of {name} needs {', '.join(missing)} beside the {count} of example_inputs.",
            hint="Pass the arguments of forward as a tuple, in its order.",
        )
    return identifiers(names[:count], ())


def check_parameters(name: str, model: nn.Module, inputs: tuple[TensorSpec, ...]) -> None:
    """Refuse inputs that ``forward`` has no parameter for; they are passed by position, so the order counts.

    Raises:
        SourceError: If the inputs are others than the parameters.
    """
    found = parameters(name, model)
    if any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in found):
        return
    known, wanted = list(identifiers((parameter.name for parameter in found), ())), [spec.name for spec in inputs]
    if known[: len(wanted)] != wanted:
        strange = next((one for one in wanted if one not in known), "")
        raise SourceError(
            f"{name}: forward takes ({', '.join(known)}), the inputs are ({', '.join(wanted)})"
            f"{did_you_mean(strange, known)}",
            hint="Name [[inputs]] after the parameters of forward, in their order.",
        )


def parameters(name: str, model: nn.Module) -> list[Parameter]:
    """Return the parameters of ``forward`` that can be passed by position.

    Raises:
        SourceError: If one that must be given can be passed by name alone, or if nobody can tell.
    """
    try:
        found = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"The parameters of forward of {name} cannot be read: {error}", hint="Define forward as a method."
        ) from error
    for parameter in found:
        if parameter.kind is Parameter.KEYWORD_ONLY and parameter.default is Parameter.empty:
            raise SourceError(
                f"forward of {name} takes {parameter.name} by keyword alone.",
                hint="Artifacts take their inputs in order: wrap the model in a module that passes it on by name.",
            )
    return [one for one in found if one.kind not in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)]
