"""Calibration and evaluation data from files and folders."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from safetensors.numpy import save_file

from edgekit.data.files import load_samples
from edgekit.data.preprocess import to_array
from edgekit.data.rows import Array
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec, project

IMAGE = (TensorSpec(name="image", shape=("batch", 1, 4, 4), meaning="image"),)
STEPS = Preprocessing(color="grey", resize=Resize(height=4, width=4))
LABELS = ("cat", "dog")


def pictures(count: int, *, channels: int = 0) -> npt.NDArray[np.uint8]:
    """Return random pictures of 6 x 5 pixels."""
    shape = (count, 6, 5, *([channels] if channels else []))
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, **arrays: Array) -> Path:
    """Write an .npz file."""
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_the_sample_data() -> None:
    """The sample's calibration and evaluation pictures fit its model, and no picture is in both."""
    opened = project.load(project.SAMPLE)
    spec = opened.spec
    calibration, evaluation = (
        load_samples(path, spec.inputs, spec.preprocessing, spec.labels)
        for path in (opened.calibration, opened.evaluation)
    )
    assert calibration.inputs["image"].shape == (256, 1, 32, 32)
    assert evaluation.inputs["image"].shape == (597, 1, 32, 32)
    for samples in (calibration, evaluation):
        assert samples.labels is not None
        assert set(samples.labels.tolist()) == set(range(10))
    seen = {row.tobytes() for row in calibration.array("image")}
    assert not any(row.tobytes() in seen for row in evaluation.array("image"))


def test_the_split_is_stratified() -> None:
    """Each class has its share of the evaluation pictures."""
    with np.load(project.SAMPLE / "evaluation.npz") as archive:
        counts = np.bincount(archive["labels"])
    assert counts.min() >= 57
    assert counts.max() <= 62


@pytest.mark.parametrize("channels", [0, 3])
def test_pictures_are_preprocessed(tmp_path: Path, channels: int) -> None:
    """Grey and colour pictures go through the same steps as one picture does."""
    several = pictures(3, channels=channels)
    path = write(tmp_path / "data.npz", pictures=several, labels=np.array([0, 1, 1], dtype=np.uint8))
    samples = load_samples(path, IMAGE, STEPS, LABELS)
    expected = np.concatenate([to_array(Image.fromarray(one), STEPS) for one in several])
    np.testing.assert_array_equal(samples.inputs["image"], expected)
    assert samples.labels is not None
    assert samples.labels.dtype == np.int64
    assert samples.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_named_arrays_are_used_as_they_are(tmp_path: Path, suffix: str) -> None:
    """Arrays named after the inputs are not preprocessed, in either kind of file."""
    inputs = (TensorSpec(name="ids", dtype="int64", shape=("batch", 7)), TensorSpec(name="mask", shape=("batch", 7)))
    arrays: dict[str, Array] = {"ids": np.arange(14).reshape(2, 7), "mask": np.ones((2, 7), dtype=np.float32)}
    path = tmp_path / f"data.{suffix}"
    if suffix == "npz":
        write(path, **arrays)
    else:
        save_file(arrays, path)
    samples = load_samples(path, inputs, None, ())
    assert samples.labels is None
    for name, array in arrays.items():
        np.testing.assert_array_equal(samples.inputs[name], array)


def test_an_input_may_be_called_labels(tmp_path: Path) -> None:
    """Names of inputs go before the names with a meaning."""
    inputs = (TensorSpec(name="labels", shape=("batch", 2)),)
    samples = load_samples(write(tmp_path / "d.npz", labels=np.zeros((3, 2), dtype=np.float32)), inputs, None, ())
    assert samples.labels is None
    assert samples.inputs["labels"].shape == (3, 2)


def test_a_folder_of_labelled_pictures(tmp_path: Path) -> None:
    """Sub-folders are labels; pictures come in order of folder and name."""
    one, two, three = pictures(3)
    for name, picture in (("dog/b.png", one), ("dog/a.png", two), ("cat/z.PNG", three)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / ".hidden").write_text("")
    samples = load_samples(tmp_path, IMAGE, STEPS, LABELS)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 1]
    expected = [to_array(Image.fromarray(picture), STEPS) for picture in (three, two, one)]
    np.testing.assert_array_equal(samples.inputs["image"], np.concatenate(expected))


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    """Pictures without sub-folders are samples without labels."""
    for index, picture in enumerate(pictures(3)):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    samples = load_samples(tmp_path, IMAGE, STEPS, LABELS)
    assert len(samples) == 3
    assert samples.labels is None


def folder_fault(folder: Path) -> str:
    """Return what loading a folder is refused with."""
    with pytest.raises(DataError) as caught:
        load_samples(folder, IMAGE, STEPS, LABELS)
    assert str(folder) in caught.value.message
    return caught.value.message


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    """Empty folders, strange labels, strange files, damaged pictures and mixtures are named."""
    assert "has no pictures" in folder_fault(tmp_path)
    (tmp_path / "dogs").mkdir()
    assert "dogs; did you mean dog?" in folder_fault(tmp_path)
    (tmp_path / "note.png").write_text("")
    assert "both pictures (note.png) and sub-folders (dogs)" in folder_fault(tmp_path)
    (tmp_path / "dogs").rmdir()
    (tmp_path / "note.png").rename(tmp_path / "note.txt")
    assert "has no pictures; its files are no pictures that are read: note.txt" in folder_fault(tmp_path)
    (tmp_path / "note.txt").rename(tmp_path / "note.png")
    assert "note.png cannot be read as a picture" in folder_fault(tmp_path)
    (tmp_path / "note.png").unlink()
    Image.new("F", (2, 2)).save(tmp_path / "float.tiff")
    assert "float.tiff: Pictures of Pillow's mode F" in folder_fault(tmp_path)


def test_pictures_need_preprocessing(tmp_path: Path) -> None:
    """Without the steps, or without an input of images, pictures mean nothing."""
    path = write(tmp_path / "d.npz", pictures=pictures(2))
    plain = (TensorSpec(name="image", shape=("batch", 1, 4, 4)),)
    for inputs, steps in ((IMAGE, None), (plain, STEPS)):
        for place in (path, tmp_path):
            with pytest.raises(DataError, match=r"need \[preprocessing\]"):
                load_samples(place, inputs, steps, LABELS)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"imag": np.zeros((2, 1, 4, 4), np.float32)}, "imag; did you mean image?"),
        ({"image": np.zeros((2, 1, 4, 4), np.float64)}, "image is float64, the model takes float32"),
        ({"image": np.zeros((2, 1, 4, 5), np.float32)}, "image has shape (2, 1, 4, 5)"),
        ({"image": np.full((2, 1, 4, 4), np.nan, np.float32)}, "image contains NaN"),
        ({"image": np.zeros((0, 1, 4, 4), np.float32)}, "image is empty"),
        ({"labels": np.zeros(2, np.int64)}, "no array named image"),
        ({"pictures": pictures(2), "labels": np.zeros(3, np.int64)}, "3 labels for 2 samples"),
        ({"pictures": pictures(2), "labels": np.zeros(2)}, "labels in"),
        ({"pictures": pictures(2), "labels": np.array([0, 2])}, "has the label 2; there are 2 labels"),
        ({"pictures": pictures(2), "labels": np.array([0, -1])}, "has the label -1"),
        ({"pictures": pictures(2).astype(np.float32)}, "not uint8"),
        ({"pictures": pictures(2, channels=4)}, "not uint8"),
        ({"pictures": pictures(0)}, "of shape (0, 6, 5)"),
        ({"pictures": pictures(2), "image": np.zeros((2, 1, 4, 4), np.float32)}, "has both pictures and image"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, Array], expected: str) -> None:
    """What does not fit the model is named, with the file."""
    path = write(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError) as caught:
        load_samples(path, IMAGE, STEPS, LABELS)
    assert expected in caught.value.message
    assert "data.npz" in caught.value.message


def test_unreadable_files(tmp_path: Path) -> None:
    """Missing, damaged, pickled and foreign files are refused with their name."""
    whole = write(tmp_path / "whole.npz", pictures=pictures(20)).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    contents = {
        "half.npz": whole[: len(whole) // 2],
        "flipped.npz": bytes(flipped),
        "text.npz": b"hello",
        "empty.npz": b"",
        "text.safetensors": b"hello",
        "data.xml": b"<data/>",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, pictures(1))
    np.savez(tmp_path / "pickled.npz", image=np.array([{}], dtype=object))
    for name in (*contents, "single.npz", "pickled.npz", "missing.npz", "missing.safetensors"):
        with pytest.raises(DataError, match=name):
            load_samples(tmp_path / name, IMAGE, STEPS, LABELS)
