"""A folder is replaced in one step: killed at any moment, the previous one is whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.base import lock
from edgekit.base.atomic import check_writable, replace_file, replace_folder
from edgekit.errors import BundleError

WRITER = """
import sys
from pathlib import Path
from edgekit.base.atomic import replace_folder
folder = Path(sys.argv[1])
number = 0
print("ready", flush=True)
while True:
    number += 1
    text = str(number).encode() * 20000
    replace_folder(folder, {f"part{i}": text for i in range(8)})
"""


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    """The new files stand, the old ones are gone, and nothing is left beside."""
    folder = tmp_path / "bundle"
    replace_folder(folder, {"old.txt": b"old", "golden/0.bin": b"0"})
    replace_folder(folder, {"new.txt": b"new"})
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert (folder / "new.txt").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["bundle"]  # noqa: PTH208 - hidden files count


@pytest.mark.parametrize("after", [0.01, 0.05, 0.13, 0.31])
def test_a_killed_writer_leaves_a_whole_folder(tmp_path: Path, after: float) -> None:
    """Whenever the writer dies, all parts are there and of the same generation; the next writer sweeps up."""
    folder = tmp_path / "bundle"
    replace_folder(folder, {f"part{i}": b"0" * 20000 for i in range(8)})
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(after)
        writer.send_signal(signal.SIGKILL)
    parts = [(folder / f"part{i}").read_bytes() for i in range(8)]
    assert len(set(parts)) == 1
    assert len(parts[0]) >= 20000
    replace_folder(folder, {"next": b""})
    assert os.listdir(tmp_path) == ["bundle"]  # noqa: PTH208 - hidden files count


def test_a_folder_that_cannot_be_written_is_a_bundle_error(tmp_path: Path) -> None:
    """The reason of the operating system is passed on, with a way out."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="cannot be written") as caught:
        replace_folder(tmp_path / "file" / "bundle", {"a": b""})
    assert caught.value.hint
    with pytest.raises(BundleError, match="cannot be written"):
        check_writable(tmp_path / "file" / "bundle")
    check_writable(tmp_path / "new" / "folder")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Into a folder that is made for it, and nothing else is left there."""
    path = tmp_path / "deep" / "file.json"
    for data in (b"first", b"second"):
        replace_file(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_a_file_that_cannot_be_written_is_a_bundle_error(tmp_path: Path) -> None:
    """What stood there stays."""
    (tmp_path / "file.json").mkdir()
    with pytest.raises(BundleError, match="cannot be written"):
        replace_file(tmp_path / "file.json", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    """The link stays, and nothing is left beside it."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "bundle", target_is_directory=True)
    for text in (b"old", b"new"):
        replace_folder(tmp_path / "link", {"file": text})
        assert (tmp_path / "disk" / "bundle" / "file").read_bytes() == text
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bundle", "disk", "file", "link"]


def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    """The name that a folder has while it is written is no longer than its own may be; longer ones are told."""
    longest = tmp_path / ("ü" * 127)
    replace_folder(longest, {"file": b"1"})
    replace_file(longest / ("n" * 255), b"2")
    assert len(list(longest.iterdir())) == 2
    with pytest.raises(BundleError, match="cannot be written: File name too long"):
        replace_folder(tmp_path / ("x" * 256), {})
    with pytest.raises(BundleError, match="cannot be written: File name too long"):
        replace_file(tmp_path / ("x" * 256), b"")


def test_others_are_waited_for(tmp_path: Path) -> None:
    """Who never lets go is told of, with a way out."""
    with (
        lock.held(tmp_path) as alone,
        pytest.raises(BundleError, match="Somebody else writes"),
        lock.held(tmp_path, patience=0.05),
    ):
        pass
    assert alone
    with lock.held(tmp_path, patience=0.05):
        pass
