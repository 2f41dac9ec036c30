"""Bundles, manifests, reports and cache entries that are damaged or made to harm: an EdgeKitError, and nothing else."""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgekit import bundles
from edgekit.base import cache, digest
from edgekit.bundles import golden
from edgekit.bundles.compare import read_side
from edgekit.bundles.manifest import Manifest, parse
from edgekit.drift.statistics import intervals, mean_of
from edgekit.errors import BundleError, ProjectError
from edgekit.spec import Bootstrap, Resize
from edgekit.spec.agreement import MOST_NUMBERS
from edgekit.spec.project import load
from edgekit.spec.scaffold import init
from tests.unit import examples

KEY = "0" * 64
STRANGE: list[Any] = [
    None, True, -1, 0, 2**63, 10**400, 1.5, 1e308, "", "\ud800", "x" * 70000, [], [[]], {}, {"": None}, [None] * 1000,
    "../../etc/passwd", "NaN",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def changed(text: str, chance: random.Random) -> str:
    """A JSON text with one value replaced or left out."""
    value = json.loads(text)
    path = chance.choice([place for place in places(value) if place])
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if chance.random() < 0.2:
        del holder[path[-1]]
    else:
        holder[path[-1]] = chance.choice(STRANGE)
    return json.dumps(value)


@pytest.mark.parametrize("seed", range(60))
def test_a_changed_manifest_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    """Each value replaced by what it is not: what reads it ends in a BundleError or in an answer."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    folder = examples.write_bundle(tmp_path / "bundle")
    text = (folder / "manifest.json").read_text()
    for _ in range(20):
        (folder / "manifest.json").write_text(changed(text, chance), encoding="utf-8", errors="surrogatepass")
        try:
            manifest = bundles.read(folder)
            golden.read(folder, manifest)
            read_side(folder)
        except BundleError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1e999",
        b'{"schema_version": 1' + b"0" * 5000 + b"}",
        b"\0" * 100,
    ],
    ids=range(7),
)
def test_what_is_no_manifest_is_told(tmp_path: Path, data: bytes) -> None:
    """Deep, long, of other bytes: a BundleError."""
    folder = examples.write_bundle(tmp_path / "bundle")
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError):
        bundles.read(folder)
    (folder / "report.json").write_bytes(data)
    with pytest.raises(BundleError):
        read_side(folder / "report.json")


def test_a_link_out_of_a_bundle_is_refused(tmp_path: Path) -> None:
    """Its content may be right: it is not the bundle's."""
    folder = examples.write_bundle(tmp_path / "bundle")
    (tmp_path / "secret").write_bytes((folder / "model.pte").read_bytes())
    (folder / "model.pte").unlink()
    (folder / "model.pte").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="link out of the bundle"):
        bundles.read(folder)


def entry_of(**changes: Any) -> bytes:
    """A cache entry with a right digest whose metadata or members are others."""
    metadata: dict[str, Any] = {"kind": "bundle", "key": KEY, "files": {"a": digest.of_bytes(b"a")}, "facts": {}}
    method = changes.pop("method", zipfile.ZIP_STORED)
    member = changes.pop("member", b"a")
    metadata |= changes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("metadata.json", json.dumps({**metadata, "sha256": digest.of_json(metadata)}))
        archive.writestr("0", member)
    return buffer.getvalue()


ENTRIES = {
    "bomb": entry_of(method=zipfile.ZIP_DEFLATED, member=b"\0" * 10**7),
    "bzip2": entry_of(method=zipfile.ZIP_BZIP2),
    "lists": entry_of(files=[1, 2]),
    "no facts": entry_of(facts=None),
    "a number": entry_of(files=7),
    "empty": b"",
    "no zip": b"PK\x03\x04" + b"\0" * 200,
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_broken_entry_is_dropped(tmp_path: Path, name: str) -> None:
    """It counts as missing, is removed, and never breaks a build."""
    store = cache.Cache(folder=tmp_path)
    path = tmp_path / "bundle" / f"{KEY}.zip"
    path.parent.mkdir()
    path.write_bytes(ENTRIES[name])
    assert cache.get(store, "bundle", KEY) is None
    assert not path.exists()


def test_mutants_of_an_entry_are_dropped(tmp_path: Path) -> None:
    """Each byte of the archive's directory counts: encrypted, of other versions, with other names."""
    store, chance = cache.Cache(folder=tmp_path), random.Random(0)  # noqa: S311 - no secret
    cache.put(store, "bundle", KEY, cache.Entry(files={"a": b"abc", "b/c": b"d" * 100}, facts={"imported": {}}))
    path = tmp_path / "bundle" / f"{KEY}.zip"
    whole = path.read_bytes()
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        path.write_bytes(data)
        found = cache.get(store, "bundle", KEY)
        assert found is None or found.files["a"] == b"abc"


def test_limits_are_stated() -> None:
    """What would take hours or all memory is refused with the limit."""
    with pytest.raises(ValidationError, match="less than or equal to 100000"):
        Bootstrap(resamples=10**9)
    with pytest.raises(ValidationError, match="33554432 pixels"):
        Resize(height=20000, width=20000)


def test_a_tensor_has_a_largest_size(tmp_path: Path) -> None:
    """At the largest sizes of its dimensions."""
    init(tmp_path)
    file = tmp_path / "edgekit.toml"
    file.write_text(file.read_text().replace("\nbatch = 1\n", "\nbatch = 1000000000\n"))
    with pytest.raises(ProjectError, match=f"{MOST_NUMBERS:,} are the limit"):
        load(tmp_path)


@pytest.mark.parametrize(
    "value", ["-1", "[]", "{}", "true", '""', "nan", "1979-05-27", f'"{"x" * 300}"', '"a\\u0000b"'], ids=range(9)
)
def test_any_value_in_a_project_is_told(tmp_path: Path, value: str) -> None:
    """In place of each value in turn: a ProjectError, or a project."""
    init(tmp_path)
    file = tmp_path / "edgekit.toml"
    lines = file.read_text().split("\n")
    for number, line in enumerate(lines):
        key, equals, _ = line.partition("=")
        if equals and not line.startswith("#"):
            file.write_text("\n".join((*lines[:number], f"{key}= {value}", *lines[number + 1 :])))
            with contextlib.suppress(ProjectError):
                load(tmp_path)


def test_a_whole_manifest_still_reads() -> None:
    """The bounds hold nothing real out."""
    whole = examples.manifest()
    assert parse(whole.to_json(), where="m") == whole
    assert isinstance(whole, Manifest)


BOUNDS = """
import numpy as np
from edgekit.drift.statistics import intervals, mean_of
from edgekit.spec import Bootstrap
columns = np.random.default_rng(1).normal(size=3001)
print(repr(intervals({"m": mean_of(columns)}, 3001, Bootstrap())["m"]))
"""


def test_bounds_do_not_depend_on_threads() -> None:
    """To the last digit, whatever libraries add with."""
    said = {
        subprocess.run(
            [sys.executable, "-c", BOUNDS],
            env={**os.environ, "OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("1", "2")
    }
    assert len(said) == 1


def test_bounds_are_those_of_a_matrix_product() -> None:
    """The sums are the same, but for their last digits."""
    columns = np.random.default_rng(0).normal(size=500)
    found = intervals({"m": mean_of(columns)}, 500, Bootstrap())["m"]
    assert found.low is not None
    assert found.high is not None
    assert found.low < columns.mean() < found.high
