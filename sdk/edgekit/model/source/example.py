"""A module and an example of its inputs become a `Source`: the outputs are found by running it."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.errors import DataError, ProjectError
from edgekit.model.program import Source
from edgekit.model.source.batch_axis import with_batch, without_batch
from edgekit.model.source.calls import input_names, parameters
from edgekit.model.source.derive import DEFAULT_NAMES, described, dtype_of, returned
from edgekit.model.source.first_steps import take_bytes
from edgekit.model.source.module import measured
from edgekit.model.source.own import cast_hint, float_dtype, own_copy, unwrapped
from edgekit.spec import Audio, Dimension, Meaning, Preprocessing, TensorSpec, arguments
from edgekit.spec.agreement import label_faults, output_faults
from edgekit.spec.dimensions import BATCH, Sizes, filled, fixed, ranges
from edgekit.spec.fits import picture_faults, sound_faults
from edgekit.spec.schema import did_you_mean

Shape = Sequence[int | str]
# The largest batch where the example has several rows; memory is planned for it.
_SEVERAL = 64


def source_from_example(
    name: str | None,
    model: nn.Module,
    example_inputs: Any,
    *,
    output_names: Sequence[str] = DEFAULT_NAMES,
    labels: Sequence[str] = (),
    meanings: Mapping[str, Meaning] | None = None,
    preprocessing: Preprocessing | None = None,
    audio: Audio | None = None,
    shapes: Mapping[str, Shape] | None = None,
    max_batch: int | None = None,
    dimensions: Mapping[str, Sizes] | None = None,
    unbatched: bool = False,
    notes: tuple[str, ...] = (),
) -> Source:
    """Make a source of a module that the caller has; neither it nor the example is changed.

    Args:
        name: The model's name; the class's name in lower case if it is None.
        model: The float model, in train or eval mode.
        example_inputs: The arguments of ``forward``, batch first: a tensor, a sequence, or a mapping by name.
        output_names: Names of what ``forward`` returns, in order, where it does not name it itself.
        labels: Names of the classes; the first output is then taken for logits.
        meanings: What outputs mean, by name.
        preprocessing: How a picture becomes the first input.
        audio: How a sound becomes the only input.
        shapes: Shapes of inputs with names for what varies, by input; the batch alone varies unless given.
        max_batch: The largest batch; unless given it is 1 for an example of one row, else up to 64.
        dimensions: The sizes of each name in them, or the largest.
        unbatched: Whether ``forward`` takes one sample without a batch; the example then has none either.
        notes: What was changed before, for a reader of the report.

    Raises:
        SourceError: If the model cannot be copied or run, or returns what no artifact can.
        DataError, ProjectError: If an argument does not fit it.
    """
    name = arguments.model_name(name, type(unwrapped(model)).__name__)
    output_names = arguments.texts("output_names", output_names)
    labels = arguments.texts("labels", labels)
    largest = arguments.sizes(max_batch, dimensions)
    if unbatched and (max_batch or 1) > 1:
        raise DataError(f"max_batch is {max_batch}, and unbatched=True says that there is no batch.", hint="Choose.")
    for label, meaning in (meanings or {}).items():
        if meaning not in get_args(Meaning):
            known = ", ".join(get_args(Meaning))
            raise DataError(f"The meaning of {label} is {meaning!r}.", hint=f"There are {known}; see docs/drift.md.")
    own = own_copy(name, model)
    example = _example(name, own, example_inputs, float_dtype(unwrapped(model)), unbatched=unbatched)
    names = input_names(name, own, len(example))
    sizes = ranges({BATCH: _shown(example), **largest})
    inputs = _input_specs(names, example, shapes or {}, sizes, "tensor" if preprocessing is None else "image")
    used = {size for spec in inputs for size in spec.shape}
    free = {key: size for key, size in sizes.items() if key in used and key not in fixed(sizes)}
    inputs = filled(inputs, fixed(sizes))
    if not picture_faults(preprocessing, inputs):  # else they are told below
        take_bytes(own, inputs, preprocessing)
    notes += without_batch(own, inputs, names if unbatched else ())
    found = returned(name, own, inputs, example, free, cast_hint(model))
    found, added = with_batch(found, own, inputs, example, alone=unbatched)
    notes += added
    outputs = described(found, output_names, names, meanings or {}, "logits" if labels else "tensor")
    check_names("meanings", meanings or {}, outputs)
    faults = output_faults(outputs) + label_faults(labels, outputs) + picture_faults(preprocessing, inputs)
    if faults := faults + sound_faults(audio, inputs):
        raise DataError("\n".join(faults), hint="See docs/drift.md for what each meaning takes.")
    dtype = float_dtype(unwrapped(model))
    notes += () if dtype is torch.float32 else (_widened(dtype),)
    return measured(
        name,
        own,
        inputs,
        outputs,
        free,
        labels=labels,
        preprocessing=preprocessing,
        audio=audio,
        unbatched=names if unbatched else (),
        notes=notes,
    )


def _shown(example: tuple[Tensor, ...]) -> int:
    """Return the largest batch that an example asks for: one row is one sample at a time, several are any number."""
    rows = {len(tensor) for tensor in example if tensor.ndim}
    return 1 if rows <= {1} else _SEVERAL


def check_names(argument: str, given: Mapping[str, Any], outputs: tuple[TensorSpec, ...]) -> None:
    """Make sure that an argument by output names none that there is not.

    Raises:
        DataError: With the nearest name.
    """
    known = [spec.name for spec in outputs]
    if wrong := [name for name in given if name not in known]:
        raise DataError(
            f"{argument} names {wrong[0]}, which is no output{did_you_mean(str(wrong[0]), known)}",
            hint=f"The outputs are: {', '.join(known)}; output_names= names them.",
        )


def _widened(dtype: torch.dtype) -> str:
    kind = str(dtype).removeprefix("torch.")
    return f"The model is {kind}: a float32 copy of it was built, whose inputs and outputs are float32."


def _example(
    name: str, model: nn.Module, given: Any, dtype: torch.dtype, *, unbatched: bool = False
) -> tuple[Tensor, ...]:
    """Return the example as tensors of its own with a batch, those of the model's own type as float32."""
    if isinstance(given, Mapping):
        order = [one.name for one in parameters(name, model)]
        if strange := [key for key in given if key not in order]:
            raise DataError(
                f"example_inputs has {strange[0]}, which is no parameter of forward"
                f"{did_you_mean(str(strange[0]), order)}",
                hint=f"forward takes ({', '.join(order)}).",
            )
        given = [given[key] for key in order if key in given]
    parts = [given] if isinstance(given, Tensor | np.ndarray) else given
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise DataError(
            f"example_inputs is {_described(given)}, not the tensors that forward takes.",
            hint="Pass a tensor, or a tuple of them in the order of forward.",
        )
    return tuple(
        _tensor(f"example_inputs[{number}]", part, dtype, unbatched=unbatched) for number, part in enumerate(parts)
    )


def _tensor(what: str, given: Any, dtype: torch.dtype, *, unbatched: bool) -> Tensor:
    if not isinstance(given, Tensor | np.ndarray):
        raise DataError(f"{what} is {_described(given)}, no tensor.", hint="Artifacts take tensors alone.")
    try:
        tensor = torch.as_tensor(given).detach().cpu().clone(memory_format=torch.contiguous_format)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise DataError(f"{what} cannot be read: {error}", hint="Pass a dense tensor with values.") from error
    if unbatched:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim == 0 or tensor.shape[0] == 0:
        raise DataError(
            f"{what} has no batch dimension, or none in it.",
            hint="Inputs are batch first; where forward itself takes one sample alone, unbatched=True says so.",
        )
    if 0 in tensor.shape:
        raise DataError(f"{what} is empty: its shape is {tuple(tensor.shape)}.", hint="Pass one sample at least.")
    wide = tensor.is_floating_point() and tensor.dtype in (dtype, torch.float64)
    return tensor.float() if wide else tensor


def _described(given: Any) -> str:
    return "empty" if isinstance(given, Sequence) and not given else f"a {type(given).__name__}"


def _input_specs(
    names: tuple[str, ...],
    example: tuple[Tensor, ...],
    shapes: Mapping[str, Shape],
    sizes: Mapping[str, Dimension],
    meaning: Meaning,
) -> tuple[TensorSpec, ...]:
    if strange := [name for name in shapes if name not in names]:
        raise DataError(
            f"shapes names {strange[0]}, which is no input{did_you_mean(str(strange[0]), names)}",
            hint=f"The inputs are: {', '.join(names)}.",
        )
    specs = []
    for number, (name, tensor) in enumerate(zip(names, example, strict=True)):
        shape = tuple(shapes.get(name, (BATCH, *tensor.shape[1:])))
        given = tuple(tensor.shape)
        fits = len(shape) == len(given) and all(
            isinstance(size, str) or index == 0 or size == there
            for index, (size, there) in enumerate(zip(shape, given, strict=True))
        )
        if not fits:
            raise DataError(f"The example for {name} has shape {given}, shapes says {shape}.", hint="Correct one.")
        if unknown := [size for size in shape if isinstance(size, str) and size not in sizes]:
            raise ProjectError(
                f"shapes names the dimension {unknown[0]} of {name}, which dimensions does not have"
                f"{did_you_mean(unknown[0], sizes)}",
                hint=f"For instance dimensions={{'{unknown[0]}': 512}}: the largest size.",
            )
        kind = dtype_of(f"The example for {name}", tensor)
        means = meaning if number == 0 else "tensor"
        specs.append(TensorSpec.model_validate({"name": name, "dtype": kind, "shape": shape, "meaning": means}))
    return tuple(specs)
