"""True values: what the right answer is, output by output, where the evaluation data says so."""

from collections.abc import Iterator
from typing import assert_never

import numpy as np

from edgekit.data.rows import Rows, chunks
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec import TensorSpec

# The class of pixels that nobody labelled, in PASCAL VOC's and Cityscapes' files; so are negative ones.
UNLABELLED = 255


def of(spec: TensorSpec, samples: Samples, outputs: tuple[TensorSpec, ...]) -> Rows | None:
    """Return the true values of an output, or None if there are none.

    Class labels are those of the first output that means logits, unless it has true values under its own name.
    """
    if spec.name in samples.targets:
        return samples.targets[spec.name]
    first = next((other.name for other in outputs if other.meaning == "logits"), None)
    return samples.labels if spec.name == first else None


def known(samples: Samples, outputs: tuple[TensorSpec, ...]) -> frozenset[str]:
    """Return the names of the outputs that have true values."""
    return frozenset(spec.name for spec in outputs if of(spec, samples, outputs) is not None)


def check(samples: Samples, outputs: tuple[TensorSpec, ...], *, what: str) -> None:
    """Check the true values against the outputs of a model.

    Args:
        samples: The samples.
        outputs: What the model gives.
        what: What the samples are, for messages.

    Raises:
        DataError: With all faults, one a line.
    """
    specs = {spec.name: spec for spec in outputs}
    faults = []
    for name, array in samples.targets.items():
        if array.shape[:1] != (len(samples),):
            faults.append(f"target.{name} has shape {array.shape} for {len(samples)} samples")
        else:
            faults += [f"target.{name} {fault}" for fault in _faults(specs[name], array)]
    faults += _detection_faults(samples, outputs)
    if faults:
        raise DataError(
            f"The true values of the {what} do not fit the outputs:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="See docs/data.md for what each kind of output takes.",
        )


def _faults(spec: TensorSpec, array: Rows) -> Iterator[str]:
    match spec.meaning:
        case "logits":
            return _class_faults(array, (), spec.shape[-1])
        case "segmentation":
            return _class_faults(array, spec.shape[2:], spec.shape[1], unlabelled=True)
        case "boxes":
            fits = array.ndim == 3 and array.shape[2] == 4 and np.issubdtype(array.dtype, np.number)
            return _unless(fits, array, "numbers of shape (samples, boxes, 4)")
        case "classes":
            fits = array.ndim == 2 and np.issubdtype(array.dtype, np.integer)
            return _unless(fits, array, "integers of shape (samples, boxes)")
        case "regression":
            fits = array.ndim == len(spec.shape) and _same(array.shape[1:], spec.shape[1:])
            finite = np.issubdtype(array.dtype, np.number) and all(np.isfinite(part).all() for _, part in chunks(array))
            return _unless(fits and finite, array, f"finite numbers of shape {spec.shape}")
        case "scores" | "embedding" | "image":
            return iter([f"is not used: an output that means {spec.meaning} has no true values"])
        case "tensor":
            return iter(())  # for the project's own metric, which alone knows their shape
        case _:
            assert_never(spec.meaning)


def _class_faults(
    array: Rows, sizes: tuple[int | str, ...], classes: int | str, *, unlabelled: bool = False
) -> Iterator[str]:
    fits = array.ndim == 1 + len(sizes) and _same(array.shape[1:], sizes)
    if not fits or not np.issubdtype(array.dtype, np.integer):
        yield f"is {_described(array)}, not integers of shape ({', '.join(map(str, ('samples', *sizes)))})"
        return
    if not isinstance(classes, int):
        return
    for _, part in chunks(array):
        counted = part[(part >= 0) & (part != UNLABELLED)] if unlabelled else part
        wrong = counted[(counted < 0) | (counted >= classes)]
        if len(wrong):
            yield f"has the class {wrong[0]}; there are {classes}"
            return


def _unless(fits: bool, array: Rows, wanted: str) -> Iterator[str]:
    if not fits:
        yield f"is {_described(array)}, not {wanted}"


def _same(sizes: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    return all(isinstance(name, str) or name == size for size, name in zip(sizes, wanted, strict=True))


def _described(array: Rows) -> str:
    return f"{array.dtype.name} of shape {array.shape}"


def _detection_faults(samples: Samples, outputs: tuple[TensorSpec, ...]) -> Iterator[str]:
    names = {spec.meaning: spec.name for spec in outputs if spec.meaning in ("boxes", "classes")}
    there = [meaning for meaning, name in names.items() if name in samples.targets]
    if len(there) == 1:
        yield f"{there[0]} have true values, and the other of boxes and classes has none"
    if len(there) == 2:
        boxes, classes = samples.targets[names["boxes"]], samples.targets[names["classes"]]
        if boxes.shape[:2] != classes.shape:
            yield f"boxes have shape {boxes.shape} and classes {classes.shape}: one class a box is needed"
        else:
            used = np.concatenate([part >= 0 for _, part in chunks(classes)])
            if not used.any():
                yield "there is no true box: every class is below zero"
            elif not all(np.isfinite(part[used[rows]]).all() for rows, part in chunks(boxes)):
                yield "a true box contains NaN or infinity"
