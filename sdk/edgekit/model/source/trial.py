"""What a model takes, found by running it: shapes and types are tried until one works."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekit.data.peek import Peek
from edgekit.errors import SourceError
from edgekit.model.outputs import identifiers
from edgekit.model.source.calls import parameters
from edgekit.model.source.shapes import Sizes, shapes
from edgekit.spec import DType
from edgekit.spec.asked import AskedShape
from edgekit.spec.usercode import contained, place

_INTEGERS = re.compile(r"(^|_)(ids?|tokens?|index|indices|words|types?|lengths?|positions?)($|_)", re.IGNORECASE)
_MASKS = re.compile(r"mask", re.IGNORECASE)
_MOST = 400


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Inputs that a model runs on."""

    names: tuple[str, ...]
    example: tuple[Tensor, ...]
    """Zeros, with a batch of one in front."""
    reasons: tuple[tuple[str, str], ...]
    """What tells the shape of each, and its type; empty where it was said."""
    unbatched: bool = False
    """Whether the model takes them without that batch."""


def find_inputs(
    name: str,
    model: nn.Module,
    shaped: Mapping[str, AskedShape],
    seen: Peek,
    file: Path,
    *,
    unbatched: bool = False,
) -> Tried:
    """Return inputs that a model runs on.

    Args:
        name: The model's name, for messages.
        model: A copy of the model, in float32 and eval mode.
        shaped: The shapes that were said, by input; the empty name is the only one.
        seen: What the data tells.
        file: The Python file of the model, for messages.
        unbatched: Whether the model takes one sample without a batch; else that is tried where the shapes are known
            and it takes none with one.

    Raises:
        SourceError: If it runs on nothing that was tried; the message says what was, and the hint how to say a shape.
    """
    names = _names(name, model, shaped)
    said, seen = {names[0]: shaped[""]} if "" in shaped else dict(shaped), seen.named(names)
    last: Exception | None = None
    tries = list(itertools.islice(_tries(model, names, said, seen), _MOST))
    known = all(one in said or one in seen.arrays for one in names)
    for alone, (sizes, dtypes, reasons) in itertools.product(
        (True,) if unbatched else (False, True)[: 1 + known], tries
    ):
        example = tuple(
            torch.zeros((1, *one), dtype=getattr(torch, dtype)) for one, dtype in zip(sizes, dtypes, strict=True)
        )
        try:
            with torch.no_grad(), contained():
                model(*(tensor[0].clone() if alone else tensor.clone() for tensor in example))
        except Exception as error:  # anything may be raised by a model
            last = last or error
            continue
        return Tried(names=names, example=example, reasons=reasons, unbatched=alone)
    given, reason = f"forward({', '.join(names)}) of {name}", "" if last is None else f" {place(file, last)}"
    wanted = "3x224x224" if len(names) == 1 else " --shape ".join(f"{one}=128" for one in names)
    hint = f"Say it without the batch: --shape {wanted}."
    if said:
        raise SourceError(f"{given} does not run on what --shape says:{reason}", hint=hint) from last
    if not tries:
        raise SourceError(f"Nothing tells the shape of what {given} takes.", hint=hint)
    raise SourceError(
        f"What {given} takes cannot be told: it fails on all {len(tries)} shapes and types that its first layers "
        f"suggest. Of the first one:{reason}",
        hint=hint,
    ) from last


def _names(name: str, model: nn.Module, shaped: Mapping[str, AskedShape]) -> tuple[str, ...]:
    """Return the names of the inputs: the parameters that must be given, and those up to the last that was named."""
    found = parameters(name, model)
    known = list(identifiers((one.name for one in found), ()))
    if strange := [one for one in shaped if one and one not in known]:
        raise SourceError(
            f"--shape names {strange[0]}, which is no parameter of forward of {name}.",
            hint=f"forward takes ({', '.join(known)}).",
        )
    needed = [
        (one.default is Parameter.empty and one.kind is not Parameter.VAR_POSITIONAL) or known[number] in shaped
        for number, one in enumerate(found)
    ]
    count = max((number + 1 for number, need in enumerate(needed) if need), default=1)
    if not known:
        raise SourceError(f"forward of {name} takes nothing.", hint="A model takes one tensor at least.")
    names = tuple(
        f"{known[number]}_0" if found[number].kind is Parameter.VAR_POSITIONAL else known[number]
        for number in range(min(count, len(known)))
    )
    if "" in shaped and len(names) > 1:
        raise SourceError(
            f"forward of {name} takes {', '.join(names)}: --shape must say of which.",
            hint=" ".join(f"--shape {one}=SIZES" for one in names),
        )
    return names


def _tries(
    model: nn.Module, names: tuple[str, ...], said: Mapping[str, AskedShape], seen: Peek
) -> Iterator[tuple[tuple[Sizes, ...], tuple[DType, ...], tuple[tuple[str, str], ...]]]:
    """Yield shapes, types and reasons, the likeliest first."""
    known: dict[str, tuple[Sizes, str]] = {}
    for name in names:
        if name in said:
            known[name] = (said[name].sizes, "")
        elif name in seen.arrays:
            known[name] = (seen.arrays[name][1], "the data")
    free = [name for name in names if name not in known]
    # Inputs of which nothing is known are tried with one shape: two pictures, or tokens and their mask.
    others = [*_heard(seen), *shapes(model, seen.size, grey=seen.grey)] if free else [((), "")]
    for sizes, reason in others:
        whole = [known.get(name, (sizes, reason)) for name in names]
        for dtypes in itertools.product(*(_dtypes(model, name, said, seen) for name in names)):
            reasons = tuple(
                (why, "" if name in said and said[name].dtype else dtype[1])
                for name, (_, why), dtype in zip(names, whole, dtypes, strict=True)
            )
            yield tuple(one for one, _ in whole), tuple(dtype for dtype, _ in dtypes), reasons
    if not free and len(names) == 1 and known[names[0]][0][:1] == (1,) and len(known[names[0]][0]) > 1:
        without = known[names[0]][0][1:]  # the batch was said, too
        for dtype, why in _dtypes(model, names[0], said, seen):
            yield (without,), (dtype,), (("--shape without its batch of 1", why),)


def _heard(seen: Peek) -> list[tuple[Sizes, str]]:
    """Return the shapes of sounds as they are, where that is what the data holds."""
    length, reason = (seen.length, "as long as the recordings") if seen.length else (seen.rate, "a second of sound")
    return [(sizes, reason) for sizes in ((1, length), (length,))] if seen.sounds and length else []


def _dtypes(model: nn.Module, name: str, said: Mapping[str, AskedShape], seen: Peek) -> tuple[tuple[DType, str], ...]:
    """Return the types that an input may have, the likeliest first, each with what tells it."""
    if name in said and (dtype := said[name].dtype):
        return ((dtype, ""),)
    if name in seen.arrays:
        known: tuple[DType, ...] = ("int64", "int32", "uint8", "int8", "bool")
        return ((next((kind for kind in known if kind == seen.arrays[name][0]), "float32"), "the data"),)
    runs: tuple[DType, ...] = ("float32", "int64")
    if _MASKS.search(name):
        runs = ("bool", "int64", "float32")
    elif _INTEGERS.search(name) or _looks_up(model):
        runs = ("int64", "float32")
    return tuple((dtype, "forward runs on it") for dtype in runs)


def _looks_up(model: nn.Module) -> bool:
    """Whether the first layer with weights is a table of embeddings."""
    weighted = (module for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    return isinstance(next(weighted, None), nn.Embedding | nn.EmbeddingBag)
