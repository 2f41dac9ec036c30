"""A folder that holds a person's files is never replaced or removed: only what is a bundle, and nothing beside it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import bundles
from edgekit.apps.drop import drop
from edgekit.base import digest
from edgekit.bundles.own import foreign
from edgekit.errors import AppError, BundleError
from tests.unit import examples
from tests.unit.test_drop import android_app, assets, files_in, manifest


def written(folder: Path) -> dict[str, bytes]:
    """The content of a bundle that another build has made."""
    source = examples.write_bundle(folder, manifest(classes=9))
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}


def a_file(folder: Path) -> None:
    """Beside the bundle."""
    (folder / "thesis.txt").write_text("years")


def a_hidden_file(folder: Path) -> None:
    """Which a listing does not show."""
    (folder / ".env").write_text("token")


def a_folder(folder: Path) -> None:
    """An empty one."""
    (folder / "photos").mkdir()


def a_file_among_the_vectors(folder: Path) -> None:
    """In a folder of the bundle."""
    (folder / "golden" / "mine.bin").write_text("years")


def a_link(folder: Path) -> None:
    """In place of a file of the bundle."""
    (folder / "golden" / "0.image.bin").unlink()
    (folder / "golden" / "0.image.bin").symlink_to("/etc/hostname")


def an_empty_manifest(folder: Path) -> None:
    """Of an app, say."""
    (folder / "manifest.json").write_text("{}")


def no_json(folder: Path) -> None:
    """Nothing that can be read."""
    (folder / "manifest.json").write_bytes(b"\xff[[[")


def deep_json(folder: Path) -> None:
    """More levels than a reader takes."""
    (folder / "manifest.json").write_text("[" * 100_000)


def another_manifest(folder: Path) -> None:
    """A web app's."""
    (folder / "manifest.json").write_text('{"name": "web app", "icons": [], "schema_version": 3}')


def no_manifest(folder: Path) -> None:
    """A folder of files."""
    (folder / "manifest.json").unlink()


KINDS = (
    a_file, a_hidden_file, a_folder, a_file_among_the_vectors, a_link, an_empty_manifest, no_json, deep_json,
    another_manifest, no_manifest,
)  # fmt: skip


@pytest.mark.parametrize("change", KINDS, ids=lambda one: one.__name__)
def test_a_persons_files_are_left_alone(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A build refuses the folder, before any work and when it writes, and every byte stays."""
    folder = examples.write_bundle(tmp_path / "bundle")
    change(folder)
    before = files_in(folder)
    content = written(tmp_path / "other")
    with pytest.raises(BundleError, match="left alone") as caught:
        bundles.check_place(folder)
    assert caught.value.hint
    with pytest.raises(BundleError, match="left alone"):
        bundles.write(folder, content)
    assert files_in(folder) == before


def test_what_a_bundle_may_have_beside_it_goes(tmp_path: Path) -> None:
    """What was measured of it, what file managers leave, and what a killed writer has left are no person's files."""
    folder = examples.write_bundle(tmp_path / "bundle")
    for name in ("profile.json", "device.json", "report.json", ".DS_Store", f".report.html.{'a' * 16}.edgekit-new"):
        (folder / name).write_text("")
    content = written(tmp_path / "other")
    bundles.write(folder, content)
    assert files_in(folder) == content


def test_a_damaged_bundle_is_still_one(tmp_path: Path) -> None:
    """Its manifest names its files, whatever is in them; one of another version does, too."""
    content = written(tmp_path / "other")
    for text in (
        None,
        (tmp_path / "other" / "manifest.json").read_text().replace('"schema_version": 1', '"schema_version": 7'),
    ):
        folder = examples.write_bundle(tmp_path / "bundle")
        (folder / "model.pte").write_bytes(b"")
        if text is not None:
            (folder / "manifest.json").write_text(text)
        bundles.write(folder, content)
        assert files_in(folder) == content
        shutil.rmtree(folder)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    """And stays."""
    (tmp_path / "bundle").symlink_to(tmp_path / "missing")
    with pytest.raises(BundleError, match="leads nowhere"):
        bundles.check_place(tmp_path / "bundle")
    assert (tmp_path / "bundle").is_symlink()


def test_a_drop_removes_bundles_alone(tmp_path: Path) -> None:
    """A folder whose name looks like a digest, and a bundle that something lies in, stay."""
    app = android_app(tmp_path / "demo")
    first = drop(app, bundle=examples.write_bundle(tmp_path / "one", manifest())).folder
    (first / "mine.txt").write_text("years")
    named = assets(app) / "0123456789abcdef"
    named.mkdir()
    (named / "mine.txt").write_text("years")
    (assets(app) / "fedcba9876543210").symlink_to(tmp_path / "one")
    done = drop(app, bundle=examples.write_bundle(tmp_path / "two", manifest(classes=9)))
    assert done.removed == ()
    assert (first / "mine.txt").read_text() == (named / "mine.txt").read_text() == "years"
    assert (tmp_path / "one" / "manifest.json").is_file()


def test_a_drop_replaces_no_persons_files(tmp_path: Path) -> None:
    """Where the bundle would go, something else lies: it is told, and stays."""
    source = examples.write_bundle(tmp_path / "bundle", manifest())
    app = android_app(tmp_path / "demo")
    folder = assets(app) / digest.of_file(source / "manifest.json")[:16]
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("years")
    with pytest.raises(AppError, match="left alone"):
        drop(app, bundle=source)
    assert files_in(folder) == {"mine.txt": b"years"}


def test_the_network_is_of_a_bundle_and_a_bundle_is_whole_without_it(tmp_path: Path) -> None:
    """What is kept in the cache is taken with graph.json and without; with another file it is not."""
    folder = examples.write_bundle(tmp_path / "bundle")
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    content |= {"report.json": b"{}", "report.html": b"a page"}
    assert bundles.checked(content, where="it") == bundles.checked(content | {"graph.json": b"{}"}, where="it")
    with pytest.raises(BundleError, match="has not the files"):
        bundles.checked(content | {"other.json": b"{}"}, where="it")
    (folder / "graph.json").write_text("{}")
    assert foreign(folder) == ()
