"""Kinds of data beside archives: folders as people have them, tables of paths, single arrays; and what is doubted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edgekit.data import doubts, files
from edgekit.data.found import Found, Wanted
from edgekit.data.preprocess import to_array
from edgekit.data.rows import Array, Lazy
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec

IMAGE = (TensorSpec(name="image", shape=("batch", 1, 4, 4), meaning="image"),)
STEPS = Preprocessing(color="grey", resize=Resize(height=4, width=4))
LOGITS = (TensorSpec(name="logits", shape=("batch", 2), meaning="logits"),)
WANTED = Wanted(
    inputs=IMAGE, outputs=LOGITS, preprocessing=STEPS, labels=("cat", "dog"), held=10**6
)  # fmt: skip


def picture(path: Path, seed: int) -> npt.NDArray[np.float32]:
    """Write a picture, and return the input that it becomes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    row: npt.NDArray[np.float32] = to_array(Image.fromarray(pixels), STEPS)[0]
    return row


def read(path: Path, **changes: Any) -> Found:
    """Find and check what lies at a place."""
    wanted = Wanted(**({name: getattr(WANTED, name) for name in WANTED.__dataclass_fields__} | changes))
    return files.checked(files.find(path, wanted), path, wanted)


def fault(path: Path, **changes: Any) -> str:
    """Return what reading is refused with."""
    with pytest.raises(DataError) as caught:
        read(path, **changes)
    assert caught.value.hint
    return caught.value.message


def labels_of(found: Found) -> list[int] | None:
    """Return the classes."""
    return None if found.samples.labels is None else found.samples.labels.tolist()


def test_strays_are_left_out_with_a_note(tmp_path: Path) -> None:
    """What systems and people leave in folders is no reason to stop, and is not passed over in silence."""
    one, two = picture(tmp_path / "cat" / "a.JPEG", 1), picture(tmp_path / "dog" / "b.PNG", 2)
    for name in ("README", "cat/Thumbs.db", "dog/note.txt", "dog/.DS_Store", "__MACOSX/._b.PNG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = read(tmp_path)
    np.testing.assert_array_equal(found.samples.inputs["image"], np.stack([one, two]))
    assert labels_of(found) == [0, 1]
    (note,) = found.notes
    assert note.endswith("3 files of another kind left out: README, cat/Thumbs.db, dog/note.txt.")


def test_folders_inside_of_sub_folders(tmp_path: Path) -> None:
    """One level more is read; deeper ones are refused rather than passed over."""
    picture(tmp_path / "cat" / "day1" / "a.png", 1)
    picture(tmp_path / "cat" / "day2" / "a.png", 2)
    picture(tmp_path / "dog" / "b.png", 3)
    assert labels_of(read(tmp_path)) == [0, 0, 1]
    picture(tmp_path / "dog" / "x" / "y" / "c.png", 3)
    assert "lies too deep" in fault(tmp_path)


def test_sub_folders_without_labels(tmp_path: Path) -> None:
    """They are the classes where there are as many, as numbers or in order of name; else they are none."""
    for number, name in enumerate(("b", "a")):
        picture(tmp_path / "names" / name / "1.png", number)
        picture(tmp_path / "numbers" / str(number) / "1.png", number)
    picture(tmp_path / "films" / "one" / "1.png", 0)
    names, numbers, films = (read(tmp_path / kind, labels=()) for kind in ("names", "numbers", "films"))
    assert labels_of(names) == [0, 1]
    assert "in order of name: a, b" in names.notes[0]
    assert labels_of(numbers) == [0, 1]
    assert not numbers.notes
    assert labels_of(films) is None
    assert "not taken for classes" in films.notes[0]


def test_all_damaged_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first five by name, the others by their number; in memory or streamed."""
    for number in range(30):
        picture(tmp_path / f"{number:02}.png", number)
    for number in range(3, 30, 3):
        (tmp_path / f"{number:02}.png").write_bytes(b"no picture")
    for held in (10**6, 0):
        message = fault(tmp_path, held=held)
        assert message.startswith("9 files cannot be read:\n")
        assert "03.png" in message
        assert "15.png" in message
        assert "18.png" not in message
        assert message.endswith("and 4 more")


TABLES = {
    "comma.csv": "path,label\npics/a.png,cat\npics/b.png,dog\n",
    "semicolon.CSV": "\ufefflabel ; File\ndog;pics/b.png\ncat;pics/a.png\n".replace(" ", ""),
    "tabs.tsv": "filename\tclass\npics/a.png\t0\npics/b.png\t1\n",
    "lines.jsonl": '{"image": "pics/a.png", "label": "cat"}\n\n{"image": "pics/b.png", "label": 1}\n',
    "quoted.csv": 'path,label,remark\n"pics/a.png","cat","a, b"\n"pics/b.png","dog",""\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_paths(tmp_path: Path, name: str) -> None:
    """Columns are found by name; paths start from the table's folder; classes are names or numbers."""
    rows = {0: picture(tmp_path / "pics" / "a.png", 1), 1: picture(tmp_path / "pics" / "b.png", 2)}
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8")
    found = read(tmp_path / name, held=0)
    assert isinstance(found.samples.inputs["image"], Lazy)
    labels = labels_of(found)
    assert labels is not None
    assert sorted(labels) == [0, 1]
    np.testing.assert_array_equal(found.samples.inputs["image"], np.stack([rows[label] for label in labels]))
    absolute = tmp_path / "elsewhere" / "absolute.csv"
    absolute.parent.mkdir()
    absolute.write_text(f"path\n{tmp_path / 'pics' / 'a.png'}\n../pics/b.png\n")
    assert labels_of(read(absolute)) is None
    assert files.files_named_by(absolute) == [tmp_path / "pics" / "a.png", absolute.parent / "../pics/b.png"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "path,label\npics/a.png,cat\npics/c.png,cat\npics,dog\n",
            ["t.csv:3: pics/c.png does not", "t.csv:4: pics is a"],
        ),
        ("path,label\npics/a.png,cats\n", ["t.csv:2: 'cats' is no label; did you mean cat?"]),
        ("path,label\npics/a.png,2\n", ["t.csv:2: the class is 2; there are 2"]),
        ("path,label\npics/a.png,-1\n", ["t.csv:2: '-1' is no label"]),
        ("path,label\npics/a.png,cat\npics/a.png,\n", ["t.csv:3: there is no class"]),
        ("a,b\n1,2\n", ["t.csv:2: no column names a file; there are: a, b"]),
        ("path,label\npics/a.png\n", ["line 2 has 1 values for 2 columns"]),
        ("path,label\n", ["has no samples"]),
        ("", ["has no samples"]),
        ("path\npics/bad.png\n", ["t.csv:2: ", "bad.png cannot be read as a picture"]),
        ("path\n" + "missing.png\n" * 9, ["9 wrong lines", "t.csv:2", "and 4 more"]),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, expected: list[str]) -> None:
    """With file, line and reason."""
    picture(tmp_path / "pics" / "a.png", 1)
    (tmp_path / "pics" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "t.csv").write_text(text)
    message = fault(tmp_path / "t.csv")
    assert all(part in message for part in expected), message
    assert len(message.splitlines()) <= 7


@pytest.mark.parametrize(
    "text", ["[1]\n", "{\n", '{"path": 3}\n', '{"path": "a\\u0000"}\n', "[" * 100_000, "\xff\xfe", "{}"]
)
def test_wrong_lines_of_json_are_refused(tmp_path: Path, text: str) -> None:
    """Whatever stands in them."""
    (tmp_path / "t.jsonl").write_bytes(text.encode("latin-1"))
    assert "t.jsonl" in fault(tmp_path / "t.jsonl")


def test_true_values_in_tables(tmp_path: Path) -> None:
    """Numbers in CSV, lists of them in JSON-lines; all lines have them or none."""
    outputs = (TensorSpec(name="size", shape=("batch", 1), meaning="regression"),)
    picture(tmp_path / "a.png", 1)
    (tmp_path / "t.csv").write_text("path,target.size\na.png,0.5\na.png,2\n")
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"path": "a.png", "target.size": [value]}) + "\n" for value in (0.5, 2))
    )
    for name in ("t.csv", "t.jsonl"):
        found = read(tmp_path / name, outputs=outputs, labels=())
        assert found.samples.targets["size"][:].tolist() == [[0.5], [2.0]]
    (tmp_path / "t.csv").write_text("path,target.size\na.png,0.5\na.png,large\n")
    assert "target.size in" in fault(tmp_path / "t.csv", outputs=outputs, labels=())


def test_single_arrays(tmp_path: Path) -> None:
    """An ``.npy`` file is the only input or pictures; a folder of them is what an archive is."""
    inputs: Array = np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)
    np.save(tmp_path / "x.npy", inputs)
    np.save(tmp_path / "p.NPY.npy", np.full((2, 6, 5), 7, np.uint8))
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "image.npy", np.asfortranarray(inputs))
    np.save(folder / "labels.npy", np.array([0, 1, 1]))
    for held in (10**6, 0):
        np.testing.assert_array_equal(read(tmp_path / "x.npy", held=held).samples.inputs["image"], inputs)
        assert read(tmp_path / "p.NPY.npy", held=held).samples.inputs["image"].shape == (2, 1, 4, 4)
        found = read(folder, held=held)
        np.testing.assert_array_equal(found.samples.inputs["image"], inputs)
        assert labels_of(found) == [0, 1, 1]
    two = (*IMAGE, TensorSpec(name="mask", shape=("batch", 2)))
    assert "is one array, and the model takes 2" in fault(tmp_path / "x.npy", inputs=two)
    np.save(folder / "imgae.npy", inputs)
    assert "imgae; did you mean image?" in fault(folder)


@pytest.mark.parametrize(
    "array", [np.zeros(2, "datetime64[s]"), np.zeros(2, complex), np.array(["a", "b"]), np.zeros(2, "V3")]
)
def test_types_that_no_tensor_has(tmp_path: Path, array: Array) -> None:
    """Are refused for every name, not by whoever meets them first."""
    for name in ("image", "labels", "target.logits", "pictures"):
        np.savez(tmp_path / "x.npz", allow_pickle=False, **{name: array})
        assert "which no tensor is" in fault(tmp_path / "x.npz")


def test_the_label_that_no_logit_has(tmp_path: Path) -> None:
    """Is refused where labels have no names, too."""
    np.savez(tmp_path / "x.npz", image=np.zeros((2, 1, 4, 4), np.float32), labels=np.array([0, 9]))
    assert "has the label 9; there are 2 labels" in fault(tmp_path / "x.npz", labels=())


def test_doubts() -> None:
    """Constant, repeated and shared samples, and one class alone, are told; ordinary data raises none."""
    random = np.random.default_rng(0)
    ordinary = Samples(inputs={"x": random.random((20, 3), dtype=np.float32)}, labels=np.arange(20) % 2)
    other = Samples(inputs={"x": random.random((20, 3), dtype=np.float32)}, labels=np.zeros(20, np.int64))
    assert not doubts.of_samples(ordinary, "data")
    assert not doubts.of_both(ordinary, other)
    assert not doubts.of_both(ordinary, ordinary)
    constant = Samples(inputs={"x": np.full((20, 3), 0.5, np.float32)})
    assert doubts.of_samples(constant, "data")[0].startswith("Every value of x in the data is 0.5")
    repeated = ordinary.rows(np.arange(20) % 4)
    assert doubts.of_samples(repeated, "data") == ("The data has 20 samples, of which 4 differ.",)
    assert doubts.of_both(ordinary, repeated)[0].startswith("20 of 20 evaluation samples")
    assert not doubts.of_classes(ordinary.labels, "data")
    assert doubts.of_classes(other.labels, "data")[0].startswith("All 20 samples of the data are of class 0")
