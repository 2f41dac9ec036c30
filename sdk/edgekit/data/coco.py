"""Samples from COCO's JSON: pictures, and their boxes as true values in pixels of the model's input."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.data.found import HINT, Found, Wanted, listed, reading, shortened
from edgekit.data.pictures import Pictures
from edgekit.data.place import placed
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec import Resize

NAME = "instances.json"
_LARGEST = 2**29
Box = tuple[float, float, float, float]


def of_coco(path: Path, wanted: Wanted) -> Found:
    """Return the pictures of an ``instances.json`` with their boxes.

    Pictures lie beside the file, in ``images`` beside it, or in a folder of the name that follows ``instances_``.
    Classes are numbered in order of the categories' ids, from 0 on; crowds are left out, as is what lies outside of
    the input.

    Raises:
        DataError: If it cannot be read, with what is wrong in it, or if the model gives no boxes.
    """
    image, steps = wanted.image(path)
    names = {spec.meaning: spec.name for spec in wanted.outputs}
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path} has {path.stat().st_size / 1e9:.1f} GB.", hint="Take a part of the pictures.")
    with reading(path, hint="COCO has images, annotations and categories; see docs/data.md."):
        told = json.loads(path.read_bytes())
        pictures = {entry["id"]: entry for entry in told["images"]}
        categories = sorted(told.get("categories", ()), key=lambda entry: int(entry["id"]))
        numbers = {entry["id"]: number for number, entry in enumerate(categories)}
        boxes, faults = _boxes(told.get("annotations", ()), pictures, numbers)
        if faults:
            raise DataError(f"{path} has {len(faults)} wrong annotations:{listed(faults)}", hint=HINT)
        files = _files(path, [str(entry["file_name"]) for entry in pictures.values()])
        there = [_placed_boxes(boxes[key], *_size(entry, file), steps.resize)
                 for (key, entry), file in zip(pictures.items(), files, strict=True)]  # fmt: skip
    notes = [f"{path.name}: {len(numbers)} categories are numbered in order of their ids: " + shortened(
        [f"{number} {entry.get('name', '')}" for number, entry in enumerate(categories)]) + "."]  # fmt: skip
    targets = {}
    if "boxes" in names and "classes" in names:
        targets = _arrays(there, names["boxes"], names["classes"])
    else:
        notes = [f"{path.name}: its boxes are not used, for no outputs mean boxes and classes."]
    samples = Samples(inputs={image: Pictures(files, steps)}, targets=targets)
    return Found(samples=samples, files=tuple(files), notes=tuple(notes))


def pictures_of(path: Path) -> list[Path]:
    """Return the pictures that COCO's JSON names; none if it cannot be read, which reading it will tell."""
    try:
        told = json.loads(path.read_bytes())
        return _files(path, [str(entry["file_name"]) for entry in told["images"]])
    except Exception:  # whatever stands in it
        return []


def _boxes(
    annotations: Any, pictures: dict[Any, Any], numbers: dict[Any, int]
) -> tuple[dict[Any, list[tuple[Box, int]]], list[str]]:
    """Return corners and class of each box by picture, and what is wrong."""
    found: dict[Any, list[tuple[Box, int]]] = defaultdict(list)
    faults = []
    for place, entry in enumerate(annotations):
        where = f"annotations[{place}]"
        if entry.get("iscrowd"):
            continue
        box = entry.get("bbox")
        sizes = [float(value) for value in box] if isinstance(box, list) and len(box) == 4 else [math.nan]
        if not all(map(math.isfinite, sizes)) or min(sizes[2:]) < 0:
            faults.append(f"{where}.bbox: {str(box)[:80]} is not left, top, width and height")
        elif entry.get("image_id") not in pictures:
            faults.append(f"{where}.image_id: no image has {str(entry.get('image_id'))[:80]}")
        elif entry.get("category_id") not in numbers:
            faults.append(f"{where}.category_id: no category has {str(entry.get('category_id'))[:80]}")
        else:
            left, top, width, height = sizes
            corners = (left, top, left + width, top + height)
            found[entry["image_id"]].append((corners, numbers[entry["category_id"]]))
    return found, faults


def _files(path: Path, names: list[str]) -> list[Path]:
    """Return where the pictures lie."""
    split = path.stem.removeprefix("instances_")
    folders = [path.parent, path.parent / "images", path.parent / split, path.parent.parent / split,
               path.parent.parent / "images" / split]  # fmt: skip
    folder = next((one for one in folders if names and (one / names[0]).is_file()), path.parent)
    files = [folder / name for name in names]
    if missing := [name for name, file in zip(names, files, strict=True) if not file.is_file()]:
        raise DataError(
            f"{path} names {len(missing)} of {len(names)} pictures that do not exist in {folder}: {shortened(missing)}",
            hint="Put them beside the file or into a folder images beside it.",
        )
    if not files:
        raise DataError(f"{path} has no images.", hint=HINT)
    return files


def _size(entry: dict[str, Any], file: Path) -> tuple[int, int]:
    if "width" in entry and "height" in entry:
        size = int(entry["width"]), int(entry["height"])
    else:
        with Image.open(file) as picture:
            size = picture.size
    if min(size) < 1:
        raise DataError(f"{file.name} has the size {size[0]} x {size[1]}.", hint="Correct width and height.")
    return size


def _placed_boxes(boxes: list[tuple[Box, int]], width: int, height: int, resize: Resize) -> list[tuple[Box, int]]:
    """Return the boxes where they come to lie in the input, without those that lie outside of it."""
    place = placed(width, height, resize)
    left, top, right, bottom = place.kept
    across, down = place.width / (right - left), place.height / (bottom - top)
    found = []
    for (x1, y1, x2, y2), number in boxes:
        xs = [min(max((x - left) * across + place.left, 0), resize.width) for x in (x1, x2)]
        ys = [min(max((y - top) * down + place.top, 0), resize.height) for y in (y1, y2)]
        if xs[1] > xs[0] and ys[1] > ys[0]:
            found.append(((xs[0], ys[0], xs[1], ys[1]), number))
    return found


def _arrays(there: list[list[tuple[Box, int]]], boxes: str, classes: str) -> dict[str, "np.ndarray[Any, Any]"]:
    most = max(1, *map(len, there), 1)
    corners = np.zeros((len(there), most, 4), np.float32)
    numbers = np.full((len(there), most), -1, np.int64)
    for row, found in enumerate(there):
        for place, (box, number) in enumerate(found):
            corners[row, place], numbers[row, place] = box, number
    return {boxes: corners, classes: numbers}
