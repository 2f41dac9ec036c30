"""The data that a caller hands over, in any of the usual forms, becomes `Samples`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from edgekit.data import truth
from edgekit.data.rows import Array
from edgekit.data.samples import Samples, check_fit
from edgekit.errors import DataError
from edgekit.model.program import Source
from edgekit.spec import TensorSpec
from edgekit.spec.schema import did_you_mean

Batch = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
_FORMS = "A batch is a tensor, a sequence in the order of forward, or a mapping by parameter name; give one or several."
_LOADED = 64


def samples_of(
    data: Batch | Iterable[Batch], source: Source, *, what: str, outputs: tuple[TensorSpec, ...] = ()
) -> Samples:
    """Return data as samples.

    Args:
        data: A batch or an iterable of batches; tensors or NumPy arrays, on any device. Floats of other widths are
            converted. A batch may have one element more, the true classes, and as a mapping ``labels`` and
            ``target.OUTPUT``.
        source: The model that takes them.
        what: What the data is, for messages ("calibration data").
        outputs: The outputs whose true values may stand in it.

    Raises:
        DataError: If the data is empty, of another form, or does not fit the model.
    """
    batches = _batches(data, source.inputs, what)
    if not batches:
        raise DataError(f"The {what} is empty.", hint="Give at least one batch; 128 samples and more are usual.")
    rows = [_row(batch, source.inputs, what) for batch in batches]
    labels = [row[-1] for row in rows if len(row) > len(source.inputs)]
    if labels and len(labels) < len(rows):
        raise DataError(f"{len(labels)} of {len(rows)} batches of the {what} have classes.", hint="All or none.")
    samples = Samples(
        inputs={
            spec.name: _joined([row[index] for row in rows], spec.name, what)
            for index, spec in enumerate(source.inputs)
        },
        labels=_joined(labels, "labels", what) if labels else None,
        targets=_targets(batches, outputs, what),
    )
    check_fit(samples, source.inputs, what=what, dimensions=source.dimensions)
    truth.check(samples, outputs, what=what)
    _check_classes(samples, source, what)
    return samples


def _batches(data: Any, inputs: tuple[TensorSpec, ...], what: str) -> list[Any]:
    if isinstance(data, Tensor | np.ndarray | Mapping) or _is_one_batch(data, inputs):
        return [data]
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=_LOADED)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise DataError(f"The {what} is a {type(data).__name__}, which holds no batches.", hint=_FORMS)
    try:
        return list(data)
    except Exception as error:  # anything may be raised by a person's loader
        raise DataError(f"Reading the {what} failed: {type(error).__name__}: {error}", hint=_FORMS) from error


def _is_one_batch(data: Any, inputs: tuple[TensorSpec, ...]) -> bool:
    """Tell a sequence that is one batch (inputs, perhaps with classes) from a sequence of batches."""
    if not isinstance(data, tuple | list) or not all(isinstance(item, Tensor | np.ndarray) for item in data):
        return False
    if len(inputs) > 1:  # no batch of theirs is a tensor by itself
        return len(data) in (len(inputs), len(inputs) + 1)
    return len(data) == 2 and _are_classes(data[1]) and len(inputs[0].shape) > 1


def _are_classes(item: Any) -> bool:
    kind = torch.as_tensor(item).dtype
    return item.ndim == 1 and not (kind.is_floating_point or kind.is_complex or kind is torch.bool)


def _row(batch: Any, inputs: tuple[TensorSpec, ...], what: str) -> list[Array]:
    """Return one batch as arrays in the order of the inputs, the classes last if there are any."""
    names = [spec.name for spec in inputs]
    if isinstance(batch, Mapping):
        known = [*names, "labels"]
        if strange := [key for key in batch if key not in known and not str(key).startswith("target.")]:
            raise DataError(
                f"A batch of the {what} has {strange[0]}, which is no input{did_you_mean(str(strange[0]), known)}",
                hint=f"The inputs are: {', '.join(names)}; beside them there may be labels and target.OUTPUT.",
            )
        if missing := [name for name in names if name not in batch]:
            raise DataError(f"A batch of the {what} has no {', '.join(missing)}.", hint=_FORMS)
        batch = [batch[name] for name in known if name in batch]
    parts = [batch] if isinstance(batch, Tensor | np.ndarray) else batch
    if not isinstance(parts, Sequence) or isinstance(parts, str | bytes):
        raise DataError(f"A batch of the {what} is a {type(batch).__name__}.", hint=_FORMS)
    if len(parts) not in (len(inputs), len(inputs) + 1):
        raise DataError(
            f"A batch of the {what} has {len(parts)} tensors, the model takes {len(inputs)}.",
            hint=f"{_FORMS} One element more is taken for the true classes.",
        )
    arrays = [_array(part, spec, what) for part, spec in zip(parts, inputs, strict=False)]
    if len(parts) > len(inputs):
        classes = _read(parts[-1], "the last element", what)
        if classes.ndim != 1 or not np.issubdtype(classes.dtype, np.integer):
            raise DataError(
                f"The last element of a batch of the {what} is {classes.dtype.name} of shape {classes.shape}: neither "
                "an input nor true classes, which are integers of shape (samples,).",
                hint=f"The inputs are: {', '.join(names)}; true values of other kinds go by name, target.OUTPUT.",
            )
        if len({len(array) for array in arrays} | {len(classes)}) > 1:
            raise DataError(
                f"A batch of the {what} has {len(classes)} classes for {len(arrays[0])} samples.", hint="One a sample."
            )
        arrays.append(classes.astype(np.int64))
    return arrays


def _array(part: Any, spec: TensorSpec, what: str) -> Array:
    array = _read(part, spec.name, what)
    wanted = np.dtype(spec.dtype)
    floats = np.issubdtype(array.dtype, np.floating) and np.issubdtype(wanted, np.floating)
    wider = np.issubdtype(array.dtype, np.integer) and np.can_cast(array.dtype, wanted) and wanted.kind in "iu"
    return array.astype(wanted, copy=False) if floats or wider else array


def _read(part: Any, name: str, what: str) -> Array:
    if not isinstance(part, Tensor | np.ndarray):
        raise DataError(f"{name} in a batch of the {what} is a {type(part).__name__}, no tensor.", hint=_FORMS)
    if isinstance(part, np.ndarray):
        if part.dtype.kind not in "fiub" or part.ndim == 0:
            raise DataError(f"{name} in the {what} is {part.dtype.name} of shape {part.shape}.", hint=_FORMS)
        return part
    try:
        tensor = part.detach().cpu()
        array: Array = (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise DataError(
            f"{name} in the {what} cannot be read: {error}", hint="Give dense tensors with values."
        ) from error
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise DataError(f"{name} in the {what} is {array.dtype.name} of shape {array.shape}.", hint=_FORMS)
    return array


def _joined(arrays: list[Array], name: str, what: str) -> Array:
    if len({array.shape[1:] for array in arrays}) > 1 or len({array.dtype for array in arrays}) > 1:
        kinds = ", ".join(dict.fromkeys(f"{array.dtype.name} {array.shape[1:]}" for array in arrays))
        raise DataError(
            f"{name} has rows of different kinds in the {what}: {kinds}.", hint="Pad or cut them to one size."
        )
    # Copied, so that nothing that runs here can change what belongs to the caller.
    return np.concatenate(arrays) if len(arrays) > 1 else np.array(arrays[0], order="C")


def _targets(batches: list[Any], outputs: tuple[TensorSpec, ...], what: str) -> dict[str, Array]:
    """Return the true values in batches that are mappings; all batches have them or none."""
    names = [spec.name for spec in outputs]
    given = {str(key) for batch in batches if isinstance(batch, Mapping) for key in batch}
    found = {}
    for key in sorted(key for key in given if key.startswith("target.")):
        name = key.removeprefix("target.")
        if outputs and name not in names:
            raise DataError(
                f"{key} in the {what} is of no output{did_you_mean(name, names)}",
                hint=f"The outputs are: {', '.join(names)}.",
            )
        there = [batch[key] for batch in batches if isinstance(batch, Mapping) and key in batch]
        if len(there) < len(batches):
            raise DataError(f"{key} is in {len(there)} of {len(batches)} batches of the {what}.", hint="All or none.")
        if name in names:
            values = _joined([_read(value, key, what) for value in there], key, what)
            found[name] = values.astype(np.int64) if np.issubdtype(values.dtype, np.integer) else values
    return found


def _check_classes(samples: Samples, source: Source, what: str) -> None:
    logits = next((spec for spec in source.outputs if spec.meaning == "logits"), None)
    if samples.labels is None or logits is None or not isinstance(logits.shape[-1], int):
        return
    wrong = samples.labels[(samples.labels < 0) | (samples.labels >= logits.shape[-1])]
    if len(wrong):
        raise DataError(f"The {what} has the class {wrong[0]}; there are {logits.shape[-1]}.", hint="They start at 0.")
