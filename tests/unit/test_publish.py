"""Bundles on the hub: round trips with equal digests through the library's own client, and a token that nobody sees."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import hub as stand_in
from tests.hub import TOKEN, Hub
from tests.unit import examples

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that runs on this machine."""
    with stand_in.running() as found:
        yield found


def run(hub: Hub, home: Path, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with the hub's address: its client reads that once, on import."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    more = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN, **changes}
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, arguments)],
        env={**kept, **more},
        capture_output=True,
        text=True,
        check=False,
    )


def bundle(folder: Path, *, breach: bool = False) -> Path:
    """Write a bundle with one file that is large for the hub."""
    path = examples.write_bundle(folder / "bundle", examples.manifest(breach=breach))
    (path / "report.html").write_bytes(b"<html>" + bytes(stand_in.LFS))
    return path


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bundle_goes_there_and_back(hub: Hub, tmp_path: Path) -> None:
    """With equal digests, small files and large ones, and with a card; the token is sent, and shown nowhere."""
    source = bundle(tmp_path)
    done = run(hub, tmp_path / "home", "publish", source, "me/digits", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["files"] == digests(source)
    stored = hub.files("me/digits", answer["revision"])
    assert stored is not None
    assert {name: hashlib.sha256(data).hexdigest() for name, data in stored.items() if name != "README.md"} == answer[
        "files"
    ]
    assert hub.blobs
    card = stored["README.md"].decode()
    assert card.startswith("---\nlibrary_name: edgekit")
    assert f"Bearer {TOKEN}" in hub.tokens
    everything = done.stdout + done.stderr + "".join(data.decode(errors="replace") for data in stored.values())
    assert TOKEN not in everything
    assert not any(TOKEN.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "words"),
    [
        (["publish", "BUNDLE", "digits"], {}, 3, "OWNER/NAME"),
        (["publish", "BUNDLE", "../me/digits"], {}, 3, "OWNER/NAME"),
        (["publish", "BUNDLE", "me/digits"], {"HF_TOKEN": "hf_wrongwrongwrong"}, 11, "does not take"),
        (["publish", "BUNDLE", "me/digits"], {"HF_HUB_OFFLINE": "1"}, 11, "does not take"),
        (["publish", "EMPTY", "me/digits"], {}, 11, "not a bundle"),
    ],
    ids=["name", "path", "token", "offline", "no bundle"],
)
def test_what_goes_wrong_is_said(
    arguments: list[str], changes: dict[str, str], code: int, words: str, hub: Hub, tmp_path: Path
) -> None:
    """With the exit code of its kind, and without the token."""
    (tmp_path / "empty").mkdir()
    places = {"BUNDLE": str(bundle(tmp_path)), "EMPTY": str(tmp_path / "empty")}
    done = run(hub, tmp_path / "home", *(places.get(one, one) for one in arguments), **changes)
    assert words in done.stderr
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert not any(value in done.stderr for value in (TOKEN, "hf_wrongwrongwrong"))
    assert not hub.files("me/digits", "main")


def test_a_bundle_over_its_budget_stays_here(hub: Hub, tmp_path: Path) -> None:
    """Unless somebody wants it there."""
    source = bundle(tmp_path, breach=True)
    assert run(hub, tmp_path / "home", "publish", source, "me/digits").returncode == 20
    assert run(hub, tmp_path / "home", "publish", source, "me/digits", "--force").returncode == 0
    found = hub.files("me/digits", "main")
    assert found is not None
    assert "failed" in found["README.md"].decode()
