"""Boxes of COCO and masks: true values that lie where the resized picture lies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.data import files
from edgekit.data.found import Found, Wanted
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec

LETTERBOX = Preprocessing(resize=Resize(height=32, width=32, mode="letterbox"))
IMAGE = (TensorSpec(name="image", shape=("batch", 3, 32, 32), meaning="image"),)
DETECTOR = (
    TensorSpec(name="boxes", shape=("batch", 10, 4), meaning="boxes"),
    TensorSpec(name="scores", shape=("batch", 10), meaning="scores"),
    TensorSpec(name="kinds", shape=("batch", 10), dtype="int64", meaning="classes"),
)
DENSE = (TensorSpec(name="mask", shape=("batch", 3, 16, 16), meaning="segmentation"),)


def read(path: Path, outputs: tuple[TensorSpec, ...], steps: Preprocessing = LETTERBOX, held: int = 10**6) -> Found:
    """Find and check what lies at a place."""
    wanted = Wanted(inputs=IMAGE, outputs=outputs, preprocessing=steps, held=held)
    return files.checked(files.find(path, wanted), path, wanted)


def coco(folder: Path, **changes: Any) -> Path:
    """Write two pictures and their boxes."""
    (folder / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (64, 32), (9, 99, 199)).save(folder / "images" / name)
    box = {"image_id": 7, "category_id": 30, "bbox": [16, 8, 32, 16]}
    told = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 32}, {"id": 9, "file_name": "b.jpg"}],
        "annotations": [box, {**box, "category_id": 2, "bbox": [0, 0, 64, 32]}, {**box, "iscrowd": 1}],
        "categories": [{"id": 30, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    (folder / "instances.json").write_text(json.dumps({**told, **changes}))
    return folder / "instances.json"


def test_boxes_lie_where_the_picture_does(tmp_path: Path) -> None:
    """Scaled, shifted by the letterbox, in order of categories; pictures without boxes have none."""
    path = coco(tmp_path)
    for place in (path, tmp_path):
        found = read(place, DETECTOR)
        assert found.samples.targets["boxes"][:].tolist() == [
            [[8, 12, 24, 20], [0, 8, 32, 24]], [[0, 0, 0, 0], [0, 0, 0, 0]]
        ]  # fmt: skip
        assert found.samples.targets["kinds"][:].tolist() == [[1, 0], [-1, -1]]
        assert "0 cat, 1 dog" in found.notes[0]
    assert [file.name for file in files.files_named_by(path)] == ["a.jpg", "b.jpg"]
    cut = Preprocessing(resize=Resize(height=32, width=32, mode="cover"))
    assert read(path, DETECTOR, cut).samples.targets["boxes"][:][0].tolist() == [[0, 8, 32, 24], [0, 0, 32, 32]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"annotations": [{"image_id": 8, "category_id": 2, "bbox": [0, 0, 1, 1]}]},
            "annotations[0].image_id: no image",
        ),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "annotations[0].category_id"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [0, 0, -1, 1]}]}, "annotations[0].bbox"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [[], 0, 1, 1]}]}, "instances.json cannot be read"),
        ({"images": [{"id": 7, "file_name": "c.jpg"}]}, "1 of 1 pictures that do not exist"),
        ({"images": []}, "instances.json"),
        ({"images": 7}, "instances.json cannot be read"),
        ({"images": [{"id": 7, "file_name": "a.jpg", "width": 0, "height": 1}], "annotations": []}, "the size 0 x 1"),
    ],
)
def test_wrong_boxes_are_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    """With the place in the file."""
    path = coco(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        read(path, DETECTOR)
    assert expected in caught.value.message


def masks(folder: Path, values: "np.ndarray[Any, Any]", *, orientation: int = 1) -> None:
    """Write a picture of 8 x 4 pixels with a mask."""
    for name in ("images", "masks"):
        (folder / name).mkdir(exist_ok=True)
    picture = Image.new("RGB", (8, 4))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(folder / "images" / "a.jpg", exif=exif)
    Image.fromarray(values).save(folder / "masks" / "a.png")
    (folder / "masks" / "Thumbs.db").write_text("")


@pytest.mark.parametrize("held", [10**6, 0])
def test_masks_lie_where_the_picture_does(tmp_path: Path, held: int) -> None:
    """At the output's own size; beside a letterboxed picture there is no class."""
    values = np.zeros((4, 8), np.uint8)
    values[:, 4:] = 2
    masks(tmp_path, values)
    expected = np.full((16, 16), 255)
    expected[4:12, :8], expected[4:12, 8:] = 0, 2
    found = read(tmp_path, DENSE, held=held)
    np.testing.assert_array_equal(found.samples.targets["mask"][:], expected[None])
    masks(tmp_path, values, orientation=6)  # the right of it comes to lie below
    np.testing.assert_array_equal(read(tmp_path, DENSE, held=held).samples.targets["mask"][:], expected.T[None])


def test_wrong_masks_are_refused(tmp_path: Path) -> None:
    """Missing ones, colours, other sizes and classes that no output has."""

    def fault(outputs: tuple[TensorSpec, ...] = DENSE) -> str:
        with pytest.raises(DataError) as caught:
            read(tmp_path, outputs)
        return caught.value.message

    masks(tmp_path, np.zeros((4, 8, 3), np.uint8))
    assert "mode RGB, no classes" in fault()
    masks(tmp_path, np.zeros((4, 7), np.uint8))
    assert "has (7, 4) pixels" in fault()
    masks(tmp_path, np.full((4, 8), 3, np.uint8))
    assert "has the class 3; there are 3" in fault()
    assert "0 outputs mean segmentation" in fault(DETECTOR)
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "b.png")
    assert "a.jpg has no mask\n  - b.png in masks has no picture" in fault()
