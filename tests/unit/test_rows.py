"""Rows that are read when they are asked for are the rows of an array, wherever they lie."""

import gc
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from edgekit.base.ahead import ahead
from edgekit.data import archives, trace
from edgekit.data.files import load_samples
from edgekit.data.gathered import Collected, Gathered, temporary, write
from edgekit.data.pictures import Pictures, Pixels
from edgekit.data.preprocess import to_array
from edgekit.data.rows import Array, InFile, Joined, Lazy, Rows, chunks, converted, in_memory, some, whole
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec

WHOLE: Array = np.random.default_rng(0).normal(size=(23, 3, 2)).astype(np.float32)
STEPS = Preprocessing(color="grey", resize=Resize(height=4, width=4))
IMAGE = (TensorSpec(name="image", shape=("batch", 1, 4, 4), meaning="image"),)


def in_a_file(array: Array, before: int = 5) -> InFile:
    """Return an array in a file, behind some other bytes."""
    file = temporary()
    write(file, np.zeros(before, np.uint8))
    write(file, array)
    return InFile(file, before, array.dtype, array.shape)


def kinds() -> dict[str, Rows]:
    """Return the same rows in every kind."""
    stored = in_a_file(WHOLE)
    turned = np.random.default_rng(1).permutation(len(WHOLE))
    return {
        "array": WHOLE,
        "in a file": stored,
        "picked": some(some(in_a_file(WHOLE[turned]), np.arange(len(WHOLE))), np.argsort(turned)),
        "joined": Joined([WHOLE[:7], WHOLE[7:8], WHOLE[8:]]),
        "converted": converted(in_a_file(WHOLE.astype(np.float64)), np.float32),
    }


@pytest.mark.parametrize("kind", kinds())
@given(data=st.data())
def test_rows_are_those_of_the_array(kind: str, data: st.DataObject) -> None:
    """By slices, by places in any order and again, and of what was taken before."""
    source = kinds()[kind]
    bounds = st.one_of(st.none(), st.integers(-30, 30))
    cut = slice(data.draw(bounds), data.draw(bounds), data.draw(st.sampled_from([None, 1, 2, -1])))
    places = np.array(data.draw(st.lists(st.integers(0, len(WHOLE) - 1), max_size=40)), dtype=np.int64)
    assert (source.shape, source.dtype, source.ndim, source.size) == (WHOLE.shape, WHOLE.dtype, 3, WHOLE.size)
    for rows in (cut, places):
        assert np.array_equal(source[rows], WHOLE[rows])
        taken = some(source, rows)
        assert taken.shape == WHOLE[rows].shape
        assert np.array_equal(in_memory(taken), WHOLE[rows])
        assert np.array_equal(in_memory(some(taken, slice(1, None))), WHOLE[rows][1:])


@pytest.mark.parametrize("kind", kinds())
def test_chunks_are_all_rows_in_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are read at once."""
    monkeypatch.setattr("edgekit.data.rows._ELEMENTS", 13)
    found = list(chunks(kinds()[kind]))
    assert [len(part) for _, part in found] == [2] * 11 + [1]
    assert all(np.array_equal(part, WHOLE[rows]) for rows, part in found)
    assert np.array_equal(np.concatenate([part for _, part in found]), WHOLE)


def test_what_is_read_is_the_readers_own() -> None:
    """Batches and maps may be written to; the source stays as it is."""
    stored = in_a_file(WHOLE, before=8)
    mapped = whole(stored)
    for array in (in_memory(stored), in_memory(WHOLE), stored[:3], mapped):
        array[:] = 0
    assert np.array_equal(stored[:], WHOLE)
    for batch in Samples(inputs={"x": WHOLE}).batches(4):
        batch.array("x")[:] = 0
    assert WHOLE.any()


def test_bytes_of_another_machine_are_turned() -> None:
    """Torch takes none of the other order."""
    found = in_memory(in_a_file(WHOLE.astype(">f4")))
    assert found.dtype.isnative
    assert np.array_equal(found, WHOLE)


def test_a_file_that_was_cut_off_is_an_error() -> None:
    """Never rows of zeros."""
    file = temporary()
    write(file, WHOLE[:20])
    source = InFile(file, 0, WHOLE.dtype, WHOLE.shape)
    assert np.array_equal(source[:20], WHOLE[:20])
    with pytest.raises(OSError, match="cut off"):
        source[19:21]


def test_work_is_done_ahead_in_order_and_not_too_far() -> None:
    """No more results wait than there are threads, and the first failure comes in its place."""
    begun: list[int] = []

    def noted(number: int) -> int:
        begun.append(number)
        return number

    running = ahead(noted, range(100))
    assert [next(running), next(running)] == [0, 1]
    time.sleep(0.05)
    assert len(begun) <= 2 + 1 + 4
    running.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("edgekit-ahead")]


def test_a_failure_comes_in_its_place() -> None:
    """After the results before it."""

    def divided(number: int) -> float:
        return 1 / (3 - number)

    running = ahead(divided, range(9))
    assert [next(running) for _ in range(3)] == [1 / 3, 1 / 2, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(running)


@pytest.mark.parametrize("held", [0, 10**9], ids=["file", "memory"])
def test_outputs_are_gathered(held: int) -> None:
    """Rows beyond those that are wanted fill a batch up, and are left out."""
    second = np.arange(23, dtype=np.int64)
    found = Gathered(23, held)
    for start in (0, 8, 16):
        rows = np.arange(start, start + 8) % 23
        found.add({"one": WHOLE[rows], "two": second[rows]})
    rows_ = found.rows()
    assert isinstance(rows_["one"], InFile) is (held == 0)
    assert np.array_equal(rows_["one"], WHOLE)
    assert np.array_equal(rows_["two"], second)
    with pytest.raises(DataError, match="rows of shape"):
        found.add({"one": WHOLE[:, :1], "two": second})


def test_outputs_without_room_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way out; what fits in memory needs none."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10, used=9, free=1))
    Gathered(100, 10**9).add({"one": WHOLE})
    with pytest.raises(DataError, match=r"take 0\.0 GB") as caught:
        Gathered(100, 0).add({"one": WHOLE})
    assert "TMPDIR" in caught.value.hint


@pytest.mark.parametrize("held", [None, 0, 200, 10**9])
def test_batches_of_a_loader_are_collected(held: int | None) -> None:
    """In memory, in files, and first the one and then the other."""
    found = Collected(held)
    for start in range(0, 23, 5):
        found.add("one", WHOLE[start : start + 5])
        found.add("two", np.arange(start, min(start + 5, 23)))
    rows = found.rows()
    assert isinstance(rows["one"], InFile) is (held in (0, 200))
    assert np.array_equal(rows["one"], WHOLE)
    assert np.array_equal(rows["two"], np.arange(23))
    with pytest.raises(DataError, match="different kinds"):
        found.add("one", WHOLE.astype(np.float64))


def archives_of(folder: Path, arrays: dict[str, Array]) -> Iterator[tuple[Path, str]]:
    """Write arrays in every form that is read."""
    for name, save in (("stored.npz", np.savez), ("compressed.npz", np.savez_compressed)):
        save(folder / name, **arrays)  # type: ignore[arg-type]
        yield folder / name, name
    save_file(arrays, folder / "all.safetensors", metadata={"who": "me"})
    yield folder / "all.safetensors", "safetensors"


@pytest.mark.parametrize("held", [0, 10**9], ids=["file", "memory"])
def test_archives(tmp_path: Path, held: int) -> None:
    """Large arrays stay in their file, and are the same."""
    arrays: dict[str, Array] = {
        "x": WHOLE, "half": WHOLE.astype(np.float16), "ids": np.arange(23), "true": WHOLE[:, 0, 0] > 0,
        "bytes": np.arange(23, dtype=np.uint8),
    }  # fmt: skip
    for path, name in archives_of(tmp_path, arrays):
        found = (archives.of_safetensors if name == "safetensors" else archives.of_npz)(path, held)
        assert found.keys() == arrays.keys()
        for key, array in arrays.items():
            assert isinstance(found[key], Lazy) is (held == 0)
            assert found[key].dtype == array.dtype
            assert np.array_equal(found[key], array)


def test_arrays_in_another_order_of_dimensions_are_read(tmp_path: Path) -> None:
    """Their rows lie nowhere together."""
    np.savez(tmp_path / "x.npz", x=np.asfortranarray(WHOLE))
    assert np.array_equal(archives.of_npz(tmp_path / "x.npz", 0)["x"], WHOLE)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_in_large_arrays_is_found_at_once(tmp_path: Path, save: object) -> None:
    """A flipped byte, a cut end and a pickle are refused before any row is used."""
    path = tmp_path / "x.npz"
    large = np.random.default_rng(0).normal(size=(400, 300))
    save(path, x=large)  # type: ignore[operator]
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 255
    path.write_bytes(flipped)
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        archives.of_npz(path, 0)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(zipfile.BadZipFile):
        archives.of_npz(path, 0)
    np.savez(path, x=np.array([{}, {}], dtype=object))
    with pytest.raises(ValueError, match="pickles"):
        archives.of_npz(path, 0)


def test_a_trace_of_files_gives_the_same_bytes(tmp_path: Path) -> None:
    """Read into memory or not, and written again."""
    origin = trace.Origin(program="float", device="cpu", device_name="", dtype="float32", kernels="", versions={})
    samples = Samples(inputs={"x": WHOLE}, labels=np.arange(23), targets={"y": WHOLE})
    trace.save(trace.Trace(samples=samples, outputs={"y": WHOLE}, origin=origin), tmp_path / "a.npz")
    lazy = Samples(inputs={"x": in_a_file(WHOLE)}, labels=np.arange(23), targets={"y": in_a_file(WHOLE)})
    trace.save(trace.Trace(samples=lazy, outputs={"y": in_a_file(WHOLE)}, origin=origin), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert lazy.digest == samples.digest == trace.load(tmp_path / "a.npz").samples.digest
    assert Samples(inputs={"x": in_a_file(WHOLE[::-1])}).digest != Samples(inputs={"x": WHOLE}).digest


def test_files_are_closed_without_a_warning() -> None:
    """When the last reader is gone, whoever that is."""
    stored = in_a_file(WHOLE)
    taken, file = some(stored, slice(2)), stored._file
    del stored
    gc.collect()
    assert np.array_equal(taken[:], WHOLE[:2])
    assert not file.closed


def picture_folder(folder: Path, count: int) -> list[Path]:
    """Write a flat folder of pictures."""
    generator = np.random.default_rng(0)
    files = [folder / f"{number:03d}.png" for number in range(count)]
    folder.mkdir()
    for file in files:
        Image.fromarray(generator.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(file)
    return files


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["grey", "rgb", "bgr"])
def test_pictures_know_their_shape_unread(tmp_path: Path, layout: str, color: str) -> None:
    """And are what the preprocessing makes of each, from files and from bytes."""
    steps = Preprocessing.model_validate({**STEPS.model_dump(), "layout": layout, "color": color})
    files = picture_folder(tmp_path / "pictures", 5)
    expected = np.concatenate([to_array(Image.open(file), steps) for file in files])
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    for source in (Pictures(files, steps), Pixels(pixels, steps), Pixels(in_a_file(pixels), steps)):
        assert (source.shape, source.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(source[:], expected)
        assert np.array_equal(source[np.array([4, 0])], expected[[4, 0]])


def test_a_damaged_picture_is_named_in_the_first_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading reads every picture once, whether they are held or not."""
    files = picture_folder(tmp_path / "pictures", 40)
    monkeypatch.setattr("edgekit.base.memory.Memory.held", 0)
    samples = load_samples(tmp_path / "pictures", IMAGE, STEPS, ())
    assert isinstance(samples.inputs["image"], Lazy)
    expected = np.concatenate([to_array(Image.open(file), STEPS) for file in files])
    assert np.array_equal(np.concatenate([part.array("image") for part in samples.batches(7)]), expected)
    files[33].write_bytes(files[33].read_bytes()[:60])
    with pytest.raises(DataError, match=r"033\.png"):
        load_samples(tmp_path / "pictures", IMAGE, STEPS, ())


def test_the_row_that_is_no_number_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and in a file."""
    bad = np.zeros((50, 1, 4, 4), np.float32)
    bad[37, 0, 2, 2] = np.inf
    np.savez(tmp_path / "x.npz", image=bad)
    for held in (10**9, 0):
        monkeypatch.setattr("edgekit.base.memory.Memory.held", held)
        with pytest.raises(DataError, match="image contains NaN or infinity, first in row 37"):
            load_samples(tmp_path / "x.npz", IMAGE, None, ())
