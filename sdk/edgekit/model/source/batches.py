"""The data that a caller hands over, in any of the usual forms, becomes `Samples`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from edgekit.base.memory import Memory
from edgekit.data import truth
from edgekit.data.gathered import Collected
from edgekit.data.rows import Array, in_memory
from edgekit.data.samples import Samples, check_fit
from edgekit.errors import DataError, EdgeKitError
from edgekit.spec import Dimension, TensorSpec
from edgekit.spec.schema import did_you_mean
from edgekit.spec.usercode import contained


class Takes(Protocol):
    """What is known of a model that takes data: a `Source`, or what a project declares."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What goes in."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What comes out."""

    @property
    def dimensions(self) -> Mapping[str, Dimension]:
        """The sizes that dimensions may have."""


Batch = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
_FORMS = "A batch is a tensor, a sequence in the order of forward, or a mapping by parameter name; give one or several."
_LOADED = 64
_CLASSES = "true classes"  # no name that an input could have


def samples_of(
    data: Batch | Iterable[Batch],
    source: Takes,
    *,
    what: str,
    outputs: tuple[TensorSpec, ...] = (),
    memory: Memory | None = None,
) -> Samples:
    """Return data as samples. Arrays that the caller holds are not copied: what runs gets batches of its own.

    Args:
        data: A batch or an iterable of batches; tensors or NumPy arrays, on any device. Floats of other widths are
            converted. A batch may have one element more, the true classes, and as a mapping ``labels`` and
            ``target.OUTPUT``.
        source: The model that takes them.
        what: What the data is, for messages ("calibration data").
        outputs: The outputs whose true values may stand in it.
        memory: What is held of batches that a loader makes; more goes to temporary files.

    Raises:
        DataError: If the data is empty, of another form, or does not fit the model.
    """
    batches, count = _batches(data, source.inputs, what), 0
    found = Collected(None if isinstance(batches, list | tuple) else (memory or Memory()).held)
    seen: Counter[str] = Counter()
    for batch in _read(batches, what):
        count += 1
        for key, array in _arrays(batch, source.inputs, outputs, what).items():
            seen[key] += 1
            found.add(key, array)
    if not count:
        raise DataError(f"The {what} is empty.", hint="Give at least one batch; 128 samples and more are usual.")
    if rare := [
        f"{number} of {count} batches of the {what} have {key}" for key, number in seen.items() if number < count
    ]:
        raise DataError(f"{rare[0]}.", hint="All or none.")
    rows = found.rows()
    labels = rows.get(_CLASSES)
    samples = Samples(
        inputs={spec.name: rows[spec.name] for spec in source.inputs},
        labels=None if labels is None else in_memory(labels),
        targets={spec.name: rows[key] for spec in outputs if (key := f"target.{spec.name}") in rows},
    )
    check_fit(samples, source.inputs, what=what, dimensions=source.dimensions)
    truth.check(samples, outputs, what=what)
    _check_classes(samples, source, what)
    return samples


def _batches(data: Any, inputs: tuple[TensorSpec, ...], what: str) -> Iterable[Any]:
    if isinstance(data, Tensor | np.ndarray | Mapping) or _is_one_batch(data, inputs):
        return [data]
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        return DataLoader(data, batch_size=_LOADED)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise DataError(f"The {what} is a {type(data).__name__}, which holds no batches.", hint=_FORMS)
    return data


def _read(batches: Iterable[Any], what: str) -> Iterator[Any]:
    try:
        rows, end = iter(batches), object()
        while True:
            with contained():  # not around the yield: what the caller does there is no part of the loader
                batch = next(rows, end)
            if batch is end:
                return
            yield batch
    except EdgeKitError:
        raise
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
        classes = _read_array(parts[-1], "the last element", what)
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
    array = _read_array(part, spec.name, what)
    wanted = np.dtype(spec.dtype)
    floats = np.issubdtype(array.dtype, np.floating) and np.issubdtype(wanted, np.floating)
    wider = np.issubdtype(array.dtype, np.integer) and np.can_cast(array.dtype, wanted) and wanted.kind in "iu"
    return array.astype(wanted, copy=False) if floats or wider else array


def _read_array(part: Any, name: str, what: str) -> Array:
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


def _arrays(batch: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], what: str) -> dict[str, Array]:
    """Return one batch by name: the inputs, the classes, and true values under ``target.OUTPUT``."""
    row = _row(batch, inputs, what)
    found = dict(zip([*(spec.name for spec in inputs), _CLASSES], row, strict=False))
    names = [spec.name for spec in outputs]
    for key in sorted(str(key) for key in batch) if isinstance(batch, Mapping) else ():
        name = key.removeprefix("target.")
        if name == key or key in found:
            continue
        if outputs and name not in names:
            raise DataError(
                f"{key} in the {what} is of no output{did_you_mean(name, names)}",
                hint=f"The outputs are: {', '.join(names)}.",
            )
        if name in names:
            values = _read_array(batch[key], key, what)
            found[key] = values.astype(np.int64, copy=False) if np.issubdtype(values.dtype, np.integer) else values
    return found


def _check_classes(samples: Samples, source: Takes, what: str) -> None:
    logits = next((spec for spec in source.outputs if spec.meaning == "logits"), None)
    if samples.labels is None or logits is None or not isinstance(logits.shape[-1], int):
        return
    wrong = samples.labels[(samples.labels < 0) | (samples.labels >= logits.shape[-1])]
    if len(wrong):
        raise DataError(f"The {what} has the class {wrong[0]}; there are {logits.shape[-1]}.", hint="They start at 0.")
