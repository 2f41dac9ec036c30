"""The store of a sweep's results: many writers, damage, and what may be taken away."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.base.store import blobs
from edgekit.base.store.folder import Folder
from edgekit.base.store.place import Place, open_place
from edgekit.bundles.cells import CellName, Failure, Result
from edgekit.errors import StoreError
from edgekit.pipeline.sweeping import results, upkeep
from edgekit.pipeline.sweeping.results import Ordered, SweepRecord

NAME = CellName(model="net", target="web", scheme="int8", settings="project")


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of place: a folder, and an object store that fsspec holds in memory."""
    if request.param == "folder":
        yield open_place(str(tmp_path / "store"))
        return
    fsspec = pytest.importorskip("fsspec")
    yield open_place(f"memory://{tmp_path.name}")
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


def result(key: str, *held: str) -> Result:
    """Return a result that names blobs."""
    return Result(
        key=key, name=NAME, verdict="passed", blobs={str(at): blob for at, blob in enumerate(held)}, seconds=1.0,
        cpu_seconds=1.0, peak_bytes=None, stored_bytes=0, host="here", finished=0.0,
    )  # fmt: skip


def test_a_blob_is_kept_once_and_comes_back(place: Place) -> None:
    """Under the digest of its bytes; one that nobody stored is an error."""
    blob = blobs.put(place, b"bytes", ".html")
    assert blobs.put(place, b"bytes", ".html") == blob
    assert [name for name, _ in blobs.every(place)] == [blob]
    assert blobs.get(place, blob) == b"bytes"
    with pytest.raises(StoreError, match="lacks the blob"):
        blobs.get(place, blobs.name_of(b"other"))
    with pytest.raises(StoreError, match="no name of a blob"):
        blobs.get(place, "../../etc/passwd")


def test_a_damaged_blob_is_told_and_removed_with_its_result(place: Place) -> None:
    """And what is whole stays; a whole store has no fault."""
    good, bad = blobs.put(place, b"good"), blobs.put(place, b"bad")
    for key, blob in (("0" * 64, good), ("1" * 64, bad)):
        results.keep(place, result(key, blob))
    assert upkeep.verify(place).faults == ()
    place.write(blobs.path_of(bad), b"other")
    with pytest.raises(StoreError, match="is damaged"):
        blobs.get(place, bad)
    found = upkeep.verify(place)
    assert (found.results, found.blobs, len(found.faults), found.removed) == (2, 2, 2, 0)
    assert upkeep.verify(place, remove=True).removed == 2
    assert upkeep.verify(place).faults == ()
    assert results.stored(place) == {"0" * 64}


def test_a_result_that_is_none_is_told(place: Place) -> None:
    """With the field, and by verify, too."""
    place.write(results.path_of("2" * 64), b'{"version": 7}')
    with pytest.raises(StoreError, match="of another version of EdgeKit: version"):
        results.find(place, "2" * 64)
    assert len(upkeep.verify(place).faults) == 1


def test_what_no_sweep_and_no_result_names_goes(place: Place) -> None:
    """What is young stays, as does what is named; a dry run takes nothing."""
    kept, lost, stray = (blobs.put(place, text) for text in (b"kept", b"lost", b"stray"))
    results.keep(place, result("0" * 64, kept))
    results.keep(place, result("1" * 64, lost))
    results.record(place, SweepRecord(tag="v1", started=1.0, cells=(Ordered(name=NAME, key="0" * 64),)))
    results.record(place, SweepRecord(tag="v2", started=2.0, cells=(Ordered(name=NAME, key="1" * 64),)))
    assert (upkeep.collect(place).results, upkeep.collect(place).blobs) == (0, 0)
    dry = upkeep.collect(place, days=0, dry=True)
    assert (dry.results, dry.blobs) == (0, 1)
    assert {name for name, _ in blobs.every(place)} == {kept, lost, stray}
    with pytest.raises(StoreError, match="no sweep 'v3'"):
        upkeep.collect(place, drop=["v3"])
    gone = upkeep.collect(place, days=0, drop=["v2"])
    assert (gone.results, gone.blobs) == (1, 2)
    assert {name for name, _ in blobs.every(place)} == {kept}
    assert results.stored(place) == {"0" * 64}
    assert [sweep.tag for sweep in results.sweeps(place)] == ["v1"]


def test_a_failure_is_over_once_there_is_a_result(place: Place) -> None:
    """Until then it is listed, and is no result."""
    results.fail(place, Failure(key="3" * 64, name=NAME, reason="it was killed"))
    assert [one.reason for one in results.failures(place)] == ["it was killed"]
    assert results.stored(place) == set()
    results.keep(place, result("3" * 64))
    assert results.failures(place) == ()


def test_readers_see_whole_files_while_many_write(tmp_path: Path) -> None:
    """The same name is written by six at once: whoever reads sees one of the texts whole, and nothing is left over."""
    place = Folder(folder=tmp_path)
    texts = {bytes([65 + number]) * 200_000 for number in range(6)}
    place.write("results/x.json", min(texts))
    end = time.monotonic() + 1.0

    def write(text: bytes) -> None:
        while time.monotonic() < end:
            place.write("results/x.json", text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    seen = set()
    while time.monotonic() < end:
        data = place.read("results/x.json")
        assert data in texts
        seen.add(data)
    for writer in writers:
        writer.join()
    assert len(seen) > 1
    assert [item.name for item in place.items("results")] == ["results/x.json"]


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    """A name that is empty, a folder that is a file, a URL of no kind."""
    with pytest.raises(StoreError, match="has no name"):
        open_place("")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        open_place(str(tmp_path / "file")).write("results/x.json", b"")
    pytest.importorskip("fsspec")
    with pytest.raises(StoreError, match="nowhere://"):
        open_place("nowhere://bucket")
