"""The cache: what is stored comes back, what is damaged does not, and a missing folder is no obstacle."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.base import cache as caches
from edgekit.base.cache import Cache, Entry
from edgekit.errors import CacheError

WRITER = """
import sys
from pathlib import Path
from edgekit.base import cache
from edgekit.base.cache import Cache, Entry
store = Cache(folder=Path(sys.argv[1]))
text = sys.argv[2].encode()
for number in range(60):
    cache.put(store, "bundle", "a" * 64, Entry(files={"one": text * 50000, "two": text}))
"""


def key(number: int) -> str:
    """Return a key."""
    return f"{number:064x}"


def entry(size: int = 10) -> Entry:
    """Return an entry of two files and some facts."""
    return Entry(files={"golden/0.bin": b"\0\1" * (size // 2), "empty": b""}, facts={"share": 0.1, "names": ["a"]})


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """Files and facts are the same; another key or kind has nothing."""
    store = Cache(folder=tmp_path)
    caches.put(store, "bundle", key(1), entry())
    assert caches.get(store, "bundle", key(1)) == entry()
    assert caches.get(store, "bundle", key(2)) is None
    assert caches.get(store, "artifact", key(1)) is None


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_a_damaged_entry_is_missing_and_removed(tmp_path: Path, place: int) -> None:
    """Wherever a byte flips in what is read, nothing wrong is handed out."""
    store = Cache(folder=tmp_path)
    caches.put(store, "bundle", key(1), entry(1000))
    (path,) = tmp_path.rglob("*.zip")
    data = bytearray(path.read_bytes())
    data[len(data) * place // 100] ^= 0x10
    path.write_bytes(data)
    found = caches.get(store, "bundle", key(1))
    assert found in (None, entry(1000))  # not every byte of a zip file is read, its dates for instance
    assert path.exists() == (found is not None)


def test_a_cut_or_exchanged_entry_is_missing(tmp_path: Path) -> None:
    """Half a file, and a file under another entry's name, are damage too."""
    store = Cache(folder=tmp_path)
    caches.put(store, "bundle", key(1), entry(1000))
    (path,) = tmp_path.rglob("*.zip")
    other = path.with_name(f"{key(2)}.zip")
    other.write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes()[:500])
    assert caches.get(store, "bundle", key(1)) is None
    assert caches.get(store, "bundle", key(2)) is None
    assert not list(tmp_path.rglob("*.zip"))


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """The bound holds, and reading an entry keeps it."""
    store = Cache(folder=tmp_path, limit=10_000)
    for number in range(3):
        caches.put(store, "bundle", key(number), entry(2500))
        os.utime(tmp_path / "bundle" / f"{key(number)}.zip", (number, number))
    assert caches.get(store, "bundle", key(0))
    caches.put(store, "artifact", key(3), entry(2500))
    assert [number for number in range(3) if caches.get(store, "bundle", key(number))] == [0, 2]
    assert sum(kept.bytes for kept in caches.show(store)) <= store.limit


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """One huge entry does not push out all others."""
    store = Cache(folder=tmp_path, limit=10_000)
    caches.put(store, "bundle", key(1), entry())
    caches.put(store, "bundle", key(2), entry(20_000))
    assert caches.get(store, "bundle", key(1))
    assert caches.get(store, "bundle", key(2)) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """A build works without a cache."""
    (tmp_path / "file").write_text("in the way")
    store = Cache(folder=tmp_path / "file" / "cache")
    caches.put(store, "bundle", key(1), entry())
    assert caches.get(store, "bundle", key(1)) is None
    assert sum(kept.entries for kept in caches.show(store)) == 0
    caches.clear(store)


def test_two_processes_may_write_the_same_key(tmp_path: Path) -> None:
    """Whoever reads meanwhile gets one of the two whole, never a mixture or half."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), text]) for text in "xy"]
    store, seen = Cache(folder=tmp_path), set()
    while any(writer.poll() is None for writer in writers):
        if found := caches.get(store, "bundle", "a" * 64):
            assert found.files["one"] == found.files["two"] * 50000
            seen.add(found.files["two"])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen
    assert seen <= {b"x", b"y"}
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_clear_removes_entries_and_nothing_else(tmp_path: Path) -> None:
    """Somebody may have named a folder that holds other things."""
    store = Cache(folder=tmp_path)
    caches.put(store, "bundle", key(1), entry())
    mine = [tmp_path / "thesis.zip", tmp_path / "bundle" / "thesis.zip"]
    for path in mine:
        path.write_text("years of work")
    left, fresh = (tmp_path / "bundle" / f".new-{name}" for name in ("killed", "running"))
    for path in (left, fresh):
        path.write_text("half")
    os.utime(left, (time.time() - 10_000,) * 2)
    caches.clear(store)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*mine, fresh])


def test_every_kind_is_counted_and_cleared(tmp_path: Path) -> None:
    """Nothing that a build keeps stays behind unseen; the peaks of its files did."""
    store = Cache(folder=tmp_path)
    assert {"peak", "times"} < set(caches.KINDS)
    for kind in caches.KINDS:
        caches.put(store, kind, key(1), entry())
    assert [(one.kind, one.entries) for one in caches.show(store)] == [(kind, 1) for kind in caches.KINDS]
    caches.clear(store)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1000", 1000), ("2GB", 2 * 10**9), ("1.5 gb", 15 * 10**8), ("500M", 5 * 10**8)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """Bytes, or a number with a unit."""
    assert caches.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "many", "-1", "2 XB", "1e9", "nan"])
def test_what_is_no_size_is_said(text: str) -> None:
    """The variable is named, and what it can be."""
    with pytest.raises(CacheError, match="EDGEKIT_CACHE_SIZE"):
        caches.parse_size(text)


def test_the_place_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The person's own folder goes first, then what the platform says."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert caches.from_environment() == Cache(folder=tmp_path / "own", limit=2_000_000_000)
    monkeypatch.delenv("EDGEKIT_CACHE")
    assert caches.from_environment().folder == tmp_path / "xdg" / "edgekit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    for platform, place in (("linux", ".cache/edgekit"), ("darwin", "Library/Caches/edgekit")):
        monkeypatch.setattr(sys, "platform", platform)
        assert caches.from_environment().folder == tmp_path / place
