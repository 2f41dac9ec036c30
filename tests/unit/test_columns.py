"""Parquet files and folders of ``datasets``: pictures, numbers, texts and classes in columns."""

import importlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.data import files
from edgekit.data.found import Found, Wanted
from edgekit.data.preprocess import to_array
from edgekit.data.rows import Lazy
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec

pytest.importorskip("pyarrow")
arrow: Any = importlib.import_module("pyarrow")
parquet: Any = importlib.import_module("pyarrow.parquet")

STEPS = Preprocessing(color="grey", resize=Resize(height=4, width=4))
IMAGE = (TensorSpec(name="image", shape=("batch", 1, 4, 4), meaning="image"),)
NUMBERS = (TensorSpec(name="x", shape=("batch", 3)),)
LOGITS = (TensorSpec(name="logits", shape=("batch", 2), meaning="logits"),)


def pixels(seed: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a picture."""
    return np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)


def png(seed: int) -> bytes:
    """Return a picture's file."""
    file = io.BytesIO()
    Image.fromarray(pixels(seed)).save(file, "PNG")
    return file.getvalue()


def read(path: Path, held: int = 10**6, **changes: Any) -> Found:
    """Find and check what lies at a place."""
    given: dict[str, Any] = {"inputs": IMAGE, "outputs": LOGITS, "preprocessing": STEPS, "labels": ("cat", "dog")}
    wanted = Wanted(**given | changes, held=held)
    return files.checked(files.find(path, wanted), path, wanted)


def write(path: Path, table: Any, kind: str) -> Path:
    """Write a table as a Parquet file of several groups, or as ``Dataset.save_to_disk`` does."""
    if kind == "parquet":
        parquet.write_table(table, path / "data.parquet", row_group_size=4)
        return path / "data.parquet"
    (path / "state.json").write_text("{}")
    for number in range(2):
        with arrow.ipc.new_stream(str(path / f"data-{number:05}-of-00002.arrow"), table.schema) as writer:
            writer.write_table(table.slice(5 * number, 5))
    return path


@pytest.mark.parametrize("kind", ["parquet", "datasets"])
@pytest.mark.parametrize("held", [10**6, 0])
def test_pictures_in_columns(tmp_path: Path, kind: str, held: int) -> None:
    """As ``datasets`` keeps them: bytes beside a path, and numbers whose names stand in the schema."""
    about = {"info": {"features": {"label": {"names": ["dog", "cat"]}}}}
    cells = [{"bytes": png(number), "path": None} for number in range(10)]
    table = arrow.table({"image": cells, "label": [number % 2 for number in range(10)]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    found = read(write(tmp_path, table, kind), held)
    assert isinstance(found.samples.inputs["image"], Lazy) == (held == 0)
    expected = np.concatenate([to_array(Image.fromarray(pixels(number)), STEPS) for number in range(10)])
    np.testing.assert_array_equal(found.samples.inputs["image"][:], expected)
    np.testing.assert_array_equal(found.samples.inputs["image"][np.array([9, 0])], expected[[9, 0]])
    assert found.samples.labels is not None
    assert found.samples.labels.tolist() == [1, 0] * 5


@pytest.mark.parametrize("kind", ["parquet", "datasets"])
def test_numbers_in_columns(tmp_path: Path, kind: str) -> None:
    """Lists named after the input, classes by name, groups, and true values."""
    rows = np.random.default_rng(0).random((10, 3), dtype=np.float32)
    outputs = (*LOGITS, TensorSpec(name="size", shape=("batch", 2), meaning="regression"))
    table = arrow.table({
        "x": rows.tolist(), "label": ["cat", "dog"] * 5, "patient": list("aabbccddee"),
        "target.size": [[1.0, 2.0]] * 10, "remark": ["-"] * 10,
    })  # fmt: skip
    found = read(write(tmp_path, table, kind), inputs=NUMBERS, outputs=outputs, preprocessing=None)
    np.testing.assert_array_equal(found.samples.inputs["x"], rows)
    assert found.samples.targets["size"][:].tolist() == [[1.0, 2.0]] * 10
    assert found.groups == tuple("aabbccddee")


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    """Missing, uneven and damaged ones; several splits; classes that are none."""

    def fault(table: Any, **changes: Any) -> str:
        write(tmp_path, table, "parquet")
        with pytest.raises(DataError) as caught:
            read(tmp_path / "data.parquet", **changes)
        return caught.value.message

    assert "there are: y" in fault(arrow.table({"y": [1]}))
    assert "has no samples" in fault(arrow.table({"x": arrow.array([], arrow.float32())}))
    uneven = arrow.table({"x": [[1.0, 2.0, 3.0], [1.0]]})
    assert "x in" in fault(uneven, inputs=NUMBERS, preprocessing=None)
    assert "x has shape (1, 2)" in fault(arrow.table({"x": [[1.0, 2.0]]}), inputs=NUMBERS, preprocessing=None)
    broken = arrow.table({"image": [png(0), b"no picture", png(1)[:60]]})
    message = fault(broken)
    assert "row 1 cannot be read" in message
    assert "row 2 cannot be read" in message
    named = arrow.table({"image": [png(0)], "label": ["bird"]})
    assert "row 0: 'bird' is no label" in fault(named)
    data = (tmp_path / "data.parquet").read_bytes()
    for content in (b"", data[:50], data[:-9] + bytes(9), b"PAR1" * 9):
        (tmp_path / "data.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"data\.parquet cannot be read"):
            read(tmp_path / "data.parquet")
    (tmp_path / "splits" / "train").mkdir(parents=True)
    (tmp_path / "splits" / "dataset_dict.json").write_text("{}")
    with pytest.raises(DataError, match="holds the splits train"):
        read(tmp_path / "splits")
