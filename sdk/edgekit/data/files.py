"""Read calibration and evaluation data: which reader a path is for, and whether what it finds fits the model."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgekit.base.memory import Memory
from edgekit.data import arrays, coco, columns, folders, tables, texts, truth
from edgekit.data.found import HINT, Found, Wanted
from edgekit.data.samples import Samples, check_fit
from edgekit.errors import DataError
from edgekit.spec import Audio, Dimension, Preprocessing, TensorSpec, Text


def load_samples(
    path: Path,
    inputs: tuple[TensorSpec, ...],
    preprocessing: Preprocessing | None,
    labels: tuple[str, ...],
    outputs: tuple[TensorSpec, ...] = (),
    dimensions: Mapping[str, Dimension] | None = None,
    memory: Memory | None = None,
    *,
    audio: Audio | None = None,
    text: Text | None = None,
) -> Samples:
    """Open samples, and read them once to see whether they fit.

    Args:
        path: The file or folder, see `find`.
        inputs: What the model takes.
        preprocessing: How pictures become the input that means an image.
        labels: Names of the classes.
        outputs: What the model gives, for the true values.
        dimensions: The sizes that the dimensions of inputs may have.
        memory: What is held in memory; larger data is read again each time it is wanted.
        audio: How sounds become the only input.
        text: How texts become the inputs; the tokenizer is named from the current folder.

    Raises:
        DataError: If the data cannot be read or does not fit.
    """
    wanted = Wanted(
        inputs=inputs,
        outputs=outputs,
        preprocessing=preprocessing,
        audio=audio,
        text=text,
        labels=labels,
        held=(memory or Memory()).held,
    )
    return checked(find(path, wanted), path, wanted, dimensions).samples


def find(path: Path, wanted: Wanted) -> Found:
    """Return the samples that lie in a file or a folder; values are read only as far as needed to know their sizes.

    Raises:
        DataError: If there is nothing that is read, or it is not for this model.
    """
    if path.is_dir():
        return folders.of_folder(path, wanted)
    match path.suffix.lower():
        case ".npz" | ".safetensors":
            return arrays.of_archive(path, wanted)
        case ".npy":
            return arrays.of_npy(path, wanted)
        case suffix if suffix in tables.SUFFIXES:
            return tables.of_table(path, wanted)
        case ".txt":
            return Found(samples=Samples(inputs=texts.inputs_of(texts.lines_of(path), path, wanted)))
        case ".parquet":
            return columns.of_parquet(path, [path], wanted)
        case ".json":
            return coco.of_coco(path, wanted)
        case _:
            raise DataError(f"{path} is neither a folder nor a kind of file that is read.", hint=HINT)


def files_named_by(path: Path) -> list[Path]:
    """Return the files that a file of data names, as far as they are there; none for what holds its values itself."""
    if path.suffix.lower() == ".json" and path.is_file():
        return coco.pictures_of(path)
    if path.is_dir() or path.suffix.lower() not in tables.SUFFIXES:
        return []
    try:
        return [path.parent / name for _, values in tables.lines(path) if (name := tables.path_in(values)) is not None]
    except (ValueError, csv.Error):  # which reading it will tell
        return []


def checked(found: Found, path: Path | str, wanted: Wanted, dimensions: Mapping[str, Dimension] | None = None) -> Found:
    """Read all samples once, and return them; what is small is in memory from then on.

    Args:
        found: The samples.
        path: Where they come from, for messages.
        wanted: What they were read for.
        dimensions: The sizes that the dimensions of inputs may have.

    Raises:
        DataError: If they cannot be read or do not fit.
    """
    samples = found.samples
    if sum(source.dtype.itemsize * source.size for source in samples.inputs.values()) <= wanted.held:
        samples = samples.in_memory()
    check_fit(samples, wanted.inputs, what=f"data in {path}", dimensions=dimensions)
    truth.check(samples, wanted.outputs, what=f"data in {path}")
    _check_labels(samples, wanted, path)
    return replace(found, samples=samples)


def _check_labels(samples: Samples, wanted: Wanted, path: Path | str) -> None:
    count = wanted.classes
    if samples.labels is None or count is None:
        return
    wrong = samples.labels[(samples.labels < 0) | (samples.labels >= count)]
    if len(wrong):
        raise DataError(f"{path} has the label {wrong[0]}; there are {count} labels.", hint=HINT)
