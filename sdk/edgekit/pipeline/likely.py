"""What outputs probably mean and how pictures and sounds probably become the input, where nobody says it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgekit.data.files import find
from edgekit.data.found import Wanted
from edgekit.data.peek import Peek
from edgekit.model.outputs import flattened
from edgekit.spec import Audio, Preprocessing, TensorSpec
from edgekit.spec.fits import sound_faults
from edgekit.spec.preprocessing import Resize
from edgekit.spec.written import Guess

HINT = "`edgekit init` writes the guesses into an edgekit.toml, where they can be corrected."
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5,), (0.5,))
_NONE = ((0.0,), (1.0,))
_DIGITS = ((0.1307,), (0.3081,))
_NAMES = {_IMAGENET: "ImageNet's", _HALF: "-1 to 1", _NONE: "0 to 1", _DIGITS: "MNIST's"}
_TRIED = 48
_RATE = 16000
_BATCH = 8


def outputs(
    specs: tuple[TensorSpec, ...], seen: Peek, guesses: list[Guess], named: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[TensorSpec, ...]]:
    """Return the names of the classes, and the outputs with what they mean.

    Args:
        specs: The outputs as the model gives them.
        seen: What the data tells.
        guesses: What is guessed is appended.
        named: The names of the classes that the weights carry.
    """
    flat = [spec for spec in specs if len(spec.shape) == 2 and spec.dtype.startswith("float") and spec.shape[-1] != 1]
    labels, told = (named, "the weights name them") if named else (seen.labels, seen.told)
    for spec in flat:
        count = spec.shape[-1]
        if labels and count == len(labels):
            guesses.append(Guess(place="labels", value=_short(labels), reason=told))
            reason = f"as many as there are labels, {count}"
        elif seen.classes and isinstance(count, int) and seen.classes <= count and not seen.labels:
            labels, reason = (), f"the classes of the data are below its {count}"
        else:
            continue
        place = f"outputs[{specs.index(spec)}].meaning"
        guesses.append(Guess(place=place, value="logits", reason=reason))
        meant = spec.model_copy(update={"meaning": "logits"})
        return labels, tuple(meant if one is spec else one for one in specs)
    return (), specs


def preprocessing(
    inputs: tuple[TensorSpec, ...],
    seen: Peek,
    guesses: list[Guess],
    known: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> tuple[tuple[TensorSpec, ...], Preprocessing | None]:
    """Return the inputs, one of them marked as an image, and how pictures become it; None: the data holds no pictures.

    Args:
        inputs: The inputs as the model takes them.
        seen: What the data tells.
        guesses: What is guessed is appended.
        known: Mean and standard deviation that the weights carry, of each channel or of all; empty where they do not.
    """
    image = next((spec for spec in inputs if spec.dtype == "float32" and _channels(spec)), None)
    if image is None or not seen.pictures:
        return inputs, None
    number = inputs.index(image)
    guesses.append(Guess(place=f"inputs[{number}].meaning", value="image", reason="the data are pictures"))
    channels, height, width, layout = _axes(image)
    carried = all(len(values) in (1, channels) for values in known)
    mean, std = known if carried else (_NONE if channels == 1 else _IMAGENET)
    same = seen.size == (height, width)
    steps = Preprocessing(
        color="grey" if channels == 1 else "rgb",
        resize=Resize(height=height, width=width, mode="stretch" if same else "cover"),
        mean=tuple(mean),
        std=tuple(std),
        layout=layout,
    )
    guesses.append(Guess(place="preprocessing.color", value=steps.color, reason=f"the input has {channels} channel(s)"))
    if not same:
        reason = 'usual; mode = "stretch" if the training resized without regard to the aspect ratio'
        guesses.append(Guess(place="preprocessing.resize", value="cover", reason=reason))
    told = "the weights carry it" if carried else f"{_NAMES[(steps.mean, steps.std)]}, which is usual"
    guesses += [
        Guess(place=f"preprocessing.{key}", value=str(getattr(steps, key)), reason=told) for key in ("mean", "std")
    ]
    marked = image.model_copy(update={"meaning": "image"})
    return tuple(marked if spec is image else spec for spec in inputs), steps


def audio(inputs: tuple[TensorSpec, ...], seen: Peek, guesses: list[Guess]) -> Audio | None:
    """Return how sounds become the input; None: the data holds none, or it is a spectrogram, which nobody can guess."""
    if not seen.sounds or seen.pictures:
        return None
    reason = "that of the recordings" if seen.rate else "usual"
    found = Audio(rate=seen.rate or _RATE)
    if sound_faults(found, inputs):
        return None
    guesses.append(Guess(place="audio.rate", value=str(found.rate), reason=reason))
    return found


def tried(
    steps: Preprocessing,
    model: nn.Module,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    labels: tuple[str, ...],
    data: Path,
    guesses: list[Guess],
) -> Preprocessing:
    """Return the usual mean and deviation with which most of some labelled pictures are right, and say how many.

    Of the data those pictures alone are opened, however many there are.
    """
    if len(inputs) != 1 or not any(steps.mean == mean for mean, _ in _NAMES):
        return steps
    usual = (_NONE, _HALF, _DIGITS) if steps.color == "grey" else (_IMAGENET, _HALF, _NONE)
    ways = [steps.model_copy(update={"mean": mean, "std": std}) for mean, std in usual]
    right = []
    for way in ways:
        wanted = Wanted(inputs=inputs, outputs=outputs, preprocessing=way, labels=labels)
        try:
            right.append(_right(model, wanted, data))
        except Exception:  # damaged data, of which the build says more; or a model that does not take several at once
            return steps
    if not right[0][1]:  # no picture has a class
        return steps
    best = max(range(len(ways)), key=lambda one: right[one][0])
    count = right[best][1]
    others = ", ".join(f"{_NAMES[usual[one]]} {right[one][0]}" for one in range(len(ways)) if one != best)
    reason = f"{_NAMES[usual[best]]}: {right[best][0]} of {count} pictures are right with it ({others})"
    for number, one in enumerate(guesses):
        if one.place in ("preprocessing.mean", "preprocessing.std"):
            key = one.place.rpartition(".")[2]
            guesses[number] = Guess(place=one.place, value=str(getattr(ways[best], key)), reason=reason)
    return ways[best]


def _right(model: nn.Module, wanted: Wanted, data: Path) -> tuple[int, int]:
    """Return how many of some pictures a model is right about, and how many of them have a class."""
    samples = find(data, wanted).samples.spread(_TRIED)
    place = [spec.meaning for spec in wanted.outputs].index("logits")
    if samples.labels is None:
        return 0, 0
    right = 0
    for batch in samples.batches(_BATCH):
        with torch.no_grad():
            result = model(torch.from_numpy(batch.array(wanted.inputs[0].name)))
        found = flattened("the model", result)[place][1].argmax(-1).numpy()
        right += int(np.sum(found == batch.labels))
    return right, len(samples)


def _channels(spec: TensorSpec) -> bool:
    whole = all(isinstance(size, int) for size in spec.shape[1:])
    return whole and len(spec.shape) == 4 and (spec.shape[1] in (1, 3) or spec.shape[3] in (1, 3))


def _axes(spec: TensorSpec) -> tuple[int, int, int, Literal["NCHW", "NHWC"]]:
    _, first, second, third = spec.shape
    if first in (1, 3):
        return int(first), int(second), int(third), "NCHW"
    return int(third), int(first), int(second), "NHWC"


def _short(labels: Sequence[str]) -> str:
    return ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
