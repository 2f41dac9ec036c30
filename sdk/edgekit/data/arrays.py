"""Samples from named arrays: what an ``.npz`` or ``.safetensors`` file holds, or ``.npy`` files of a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from edgekit.data import archives
from edgekit.data.found import HINT, Found, Wanted, listed, reading
from edgekit.data.pictures import Pixels
from edgekit.data.rows import Lazy, Rows, converted, in_memory
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec import Preprocessing
from edgekit.spec.schema import did_you_mean

GROUPS = "groups"


def of_archive(path: Path, wanted: Wanted) -> Found:
    """Return the samples of an ``.npz`` or ``.safetensors`` file.

    Raises:
        DataError: If it cannot be read, or its arrays are no inputs and no true values.
    """
    with reading(path, hint="Write or copy it again; docs/data.md says what is read."):
        if path.suffix.lower() == ".npz":
            check_names(archives.names_in_npz(path), path, wanted)
            return of_arrays(archives.of_npz(path, wanted.held), path, wanted)
        check_names(archives.names_in_safetensors(path), path, wanted)
        return of_arrays(archives.of_safetensors(path, wanted.held), path, wanted)


def of_npy(path: Path, wanted: Wanted) -> Found:
    """Return the samples of an ``.npy`` file: the only input, or pictures.

    Raises:
        DataError: If it cannot be read, or does not say which input it is.
    """
    with reading(path):
        array = archives.of_npy(path, wanted.held)
    names = [spec.name for spec in wanted.inputs]
    name = "pictures" if array.dtype == np.uint8 and wanted.preprocessing is not None else names[0]
    if len(names) > 1 and name != "pictures":
        raise DataError(
            f"{path} is one array, and the model takes {len(names)}.",
            hint=f"Put {', '.join(f'{name}.npy' for name in names)} into a folder and name that, or write an .npz.",
        )
    images = [spec.shape[1:] for spec in wanted.inputs if spec.meaning == "image" and spec.dtype == "uint8"]
    return of_arrays({names[0] if array.shape[1:] in images else name: array}, path, wanted)


def of_npy_folder(path: Path, files: Iterable[Path], wanted: Wanted) -> Found:
    """Return the samples of ``.npy`` files in a folder, each named after what it holds.

    Raises:
        DataError: If one cannot be read, or is no input and no true value.
    """
    named = {file.name[: -len(file.suffix)]: file for file in files}
    check_names(named, path, wanted)
    arrays = {}
    for name, file in named.items():
        with reading(file):
            arrays[name] = archives.of_npy(file, wanted.held)
    return of_arrays(arrays, path, wanted)


def check_names(names: Iterable[str], path: Path, wanted: Wanted) -> None:
    """Make sure that all arrays mean something.

    Raises:
        DataError: With those that do not, and the nearest right names.
    """
    known = _known(wanted)
    if strange := sorted({*names} - known):
        faults = listed([f"{name}{did_you_mean(name, known)}" for name in strange])
        raise DataError(f"{path} has arrays that are no input of the model:{faults}", hint=HINT)


def of_arrays(arrays: Mapping[str, Rows], path: Path, wanted: Wanted) -> Found:
    """Return the samples that arrays hold.

    They are named after the inputs, used as they are, or ``pictures``, uint8 of shape (samples, H, W) or (samples, H,
    W, 3), which are preprocessed. Beside them may lie ``labels``, integers of shape (samples,), ``target.OUTPUT``, the
    true values of an output, and ``groups`` of shape (samples,): what samples of one group have in common keeps them
    on one side of a split.

    Args:
        arrays: The arrays.
        path: Where they come from, for messages.
        wanted: What they are read for.

    Raises:
        DataError: If one is none of these.
    """
    names = [spec.name for spec in wanted.inputs]
    check_names(arrays, path, wanted)
    for name, array in arrays.items():
        if array.dtype.kind not in ("biufSU" if name == GROUPS else "biuf"):
            raise DataError(f"{name} in {path} is {array.dtype}, which no tensor is.", hint=HINT)
    targets = {
        spec.name: arrays[key]
        for spec in wanted.outputs
        if (key := f"target.{spec.name}") in arrays and key not in names
    }
    found = {name: array for name, array in arrays.items() if name in names}
    if "pictures" in arrays and "pictures" not in names:
        image, steps = wanted.image(path)
        if image in found:
            raise DataError(f"{path} has both pictures and {image}, which is made of pictures.", hint=HINT)
        found[image] = _preprocessed(arrays["pictures"], path, steps)
    labels = arrays.get("labels") if "labels" not in names else None
    if labels is not None and (labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer)):
        raise DataError(
            f"labels in {path} are {labels.dtype.name} of shape {labels.shape}, not integers of shape (samples,).",
            hint=HINT,
        )
    samples = Samples(
        inputs=found,
        labels=None if labels is None else in_memory(converted(labels, np.int64)),
        targets={name: widened(array) for name, array in targets.items()},
    )
    groups = arrays.get(GROUPS) if GROUPS not in names else None
    return Found(samples=samples, groups=() if groups is None else _groups(groups, samples, path))


def widened(target: Rows) -> Rows:
    """Return true values as they are compared: whole numbers as int64."""
    return converted(target, np.int64) if np.issubdtype(target.dtype, np.integer) else target


def _known(wanted: Wanted) -> set[str]:
    outputs = (f"target.{spec.name}" for spec in wanted.outputs)
    return {*(spec.name for spec in wanted.inputs), "labels", "pictures", GROUPS, *outputs}


def _groups(groups: Rows, samples: Samples, path: Path) -> tuple[str, ...]:
    if not samples.inputs or groups.shape != (len(samples),):
        raise DataError(f"groups in {path} has shape {groups.shape}, not (samples,).", hint=HINT)
    return tuple(str(group) for group in groups[:].tolist())


def _preprocessed(pictures: Rows, path: Path, preprocessing: Preprocessing) -> Lazy:
    fits = pictures.dtype == np.uint8 and (pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3))
    if not fits or pictures.size == 0:
        raise DataError(
            f"pictures in {path} are {pictures.dtype.name} of shape {pictures.shape}, not uint8 of shape "
            "(samples, H, W) or (samples, H, W, 3).",
            hint=HINT,
        )
    return Pixels(pictures, preprocessing)
