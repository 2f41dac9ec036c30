"""Read calibration and evaluation data from an ``.npz`` or ``.safetensors`` file or from a folder of pictures."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from edgekit.base.memory import Memory
from edgekit.data import archives, truth
from edgekit.data.pictures import Pictures, Pixels
from edgekit.data.rows import Lazy, Rows, converted, in_memory
from edgekit.data.samples import Samples, check_fit
from edgekit.errors import DataError
from edgekit.spec import Dimension, Preprocessing, TensorSpec
from edgekit.spec.schema import did_you_mean

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_HINT = "See docs/data.md for the layouts that are read."


def load_samples(
    path: Path,
    inputs: tuple[TensorSpec, ...],
    preprocessing: Preprocessing | None,
    labels: tuple[str, ...],
    outputs: tuple[TensorSpec, ...] = (),
    dimensions: Mapping[str, Dimension] | None = None,
    memory: Memory | None = None,
) -> Samples:
    """Open samples, and read them once to see whether they fit.

    A file holds arrays named after the inputs, used as they are, or ``pictures``, uint8 of shape (samples, H, W) or
    (samples, H, W, 3), which are preprocessed; and perhaps ``labels``, integers of shape (samples,), and
    ``target.OUTPUT``, the true values of an output. A folder holds pictures, or sub-folders of pictures named after the
    labels; they are read in order of name.

    Args:
        path: The file or folder.
        inputs: What the model takes.
        preprocessing: How pictures become the input that means an image.
        labels: Names of the classes.
        outputs: What the model gives, for the true values.
        dimensions: The sizes that the dimensions of inputs may have.
        memory: What is held in memory; larger data is read again each time it is wanted.

    Raises:
        DataError: If the data cannot be read or does not fit.
    """
    held = (memory or Memory()).held
    if path.is_dir():
        samples = _from_folder(path, inputs, preprocessing, labels)
    else:
        found = _arrays(path, held)
        samples = _from_arrays(found, path, inputs, preprocessing, tuple(spec.name for spec in outputs))
    if sum(source.dtype.itemsize * source.size for source in samples.inputs.values()) <= held:
        samples = samples.in_memory()
    check_fit(samples, inputs, what=f"data in {path}", dimensions=dimensions)
    truth.check(samples, outputs, what=f"data in {path}")
    _check_labels(samples, labels, path)
    return samples


def _arrays(path: Path, held: int) -> dict[str, Rows]:
    try:
        match path.suffix:
            case ".safetensors":
                return archives.of_safetensors(path, held)
            case ".npz":
                return archives.of_npz(path, held)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint=_HINT) from error
    except (SafetensorError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}", hint="Write or copy it again.") from error
    raise DataError(f"{path} is neither a folder nor an .npz or .safetensors file.", hint=_HINT)


def _from_arrays(
    arrays: Mapping[str, Rows],
    path: Path,
    inputs: tuple[TensorSpec, ...],
    preprocessing: Preprocessing | None,
    outputs: tuple[str, ...],
) -> Samples:
    names = tuple(spec.name for spec in inputs)
    known = {*names, "labels", "pictures", *(f"target.{name}" for name in outputs)}
    if strange := sorted(arrays.keys() - known):
        faults = "".join(f"\n  - {name}{did_you_mean(name, known)}" for name in strange)
        raise DataError(f"{path} has arrays that are no input of the model:{faults}", hint=_HINT)
    targets = {name: arrays[f"target.{name}"] for name in outputs if f"target.{name}" in arrays}
    found = {name: array for name, array in arrays.items() if name in names}
    if "pictures" in arrays and "pictures" not in names:
        image, steps = _image_input(path, inputs, preprocessing)
        if image in found:
            raise DataError(f"{path} has both pictures and {image}, which is made of pictures.", hint=_HINT)
        found[image] = _preprocessed(arrays["pictures"], path, steps)
    labels = arrays.get("labels") if "labels" not in names else None
    if labels is not None and (labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer)):
        raise DataError(
            f"labels in {path} are {labels.dtype.name} of shape {labels.shape}, not integers of shape (samples,).",
            hint=_HINT,
        )
    return Samples(
        inputs=found,
        labels=None if labels is None else in_memory(converted(labels, np.int64)),
        targets={name: _widened(array) for name, array in targets.items()},
    )


def _widened(target: Rows) -> Rows:
    return converted(target, np.int64) if np.issubdtype(target.dtype, np.integer) else target


def _preprocessed(pictures: Rows, path: Path, preprocessing: Preprocessing) -> Lazy:
    fits = pictures.dtype == np.uint8 and (pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3))
    if not fits or pictures.size == 0:
        raise DataError(
            f"pictures in {path} are {pictures.dtype.name} of shape {pictures.shape}, not uint8 of shape "
            "(samples, H, W) or (samples, H, W, 3).",
            hint=_HINT,
        )
    return Pixels(pictures, preprocessing)


def _from_folder(
    path: Path, inputs: tuple[TensorSpec, ...], preprocessing: Preprocessing | None, labels: tuple[str, ...]
) -> Samples:
    image, steps = _image_input(path, inputs, preprocessing)
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    if folders and len(folders) < len(entries):
        raise DataError(f"{path} has both pictures and sub-folders; one of the two is needed.", hint=_HINT)
    if strange := [folder.name for folder in folders if folder.name not in labels]:
        faults = "".join(f"\n  - {name}{did_you_mean(name, labels)}" for name in strange)
        raise DataError(f"{path} has sub-folders that no label names:{faults}", hint="Set labels in edgekit.toml.")
    files = [(file, labels.index(folder.name)) for folder in folders for file in _pictures(folder)]
    files = files or [(file, -1) for file in _pictures(path) if not folders]
    if not files:
        raise DataError(f"{path} has no pictures.", hint=_HINT)
    numbers = np.array([label for _, label in files], dtype=np.int64) if folders else None
    return Samples(inputs={image: Pictures([file for file, _ in files], steps)}, labels=numbers)


def _pictures(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith(".") and not file.is_dir())
    if strange := [file.name for file in files if file.suffix.lower() not in _SUFFIXES]:
        raise DataError(f"{folder} has files that are no pictures: {', '.join(strange[:5])}", hint=_HINT)
    return files


def _image_input(
    path: Path, inputs: tuple[TensorSpec, ...], preprocessing: Preprocessing | None
) -> tuple[str, Preprocessing]:
    images = [spec.name for spec in inputs if spec.meaning == "image"]
    if preprocessing is None or len(images) != 1:
        raise DataError(f"{path} holds pictures, which need [preprocessing] and an input of images.", hint=_HINT)
    return images[0], preprocessing


def _check_labels(samples: Samples, labels: tuple[str, ...], path: Path) -> None:
    if samples.labels is None or not labels:
        return
    wrong = samples.labels[(samples.labels < 0) | (samples.labels >= len(labels))]
    if len(wrong):
        raise DataError(f"{path} has the label {wrong[0]}; there are {len(labels)} labels.", hint=_HINT)
