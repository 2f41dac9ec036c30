"""The key of a build: it changes with every input, and with nothing else."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import targets
from edgekit.base import environment
from edgekit.pipeline import buildkey
from edgekit.spec import Scheme, project, scaffold
from edgekit.spec.project import OpenProject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the sample project, with its baseline."""
    scaffold.init(tmp_path / "project")
    shutil.copy(project.SAMPLE / "baseline.npz", tmp_path / "project")
    return tmp_path / "project"


def key(folder: Path) -> str:
    """Return the digest of a project's files."""
    found = buildkey.of_files(project.load(folder))
    assert found
    return found


def touch_byte(name: str) -> Callable[[Path], object]:
    """Return what appends a byte to a file."""

    def change(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(b"\n")

    return change


def pictures(folder: Path, name: str = "0", content: bytes = b"picture") -> None:
    """Put one picture in the place of the evaluation file."""
    (folder / "pictures" / name).mkdir(parents=True)
    (folder / "pictures" / name / "a.png").write_bytes(content)
    file = folder / "edgekit.toml"
    file.write_text(file.read_text().replace('"evaluation.npz"', '"pictures"'))


@pytest.mark.parametrize(
    "change",
    [
        touch_byte("model.py"),
        touch_byte("weights.safetensors"),
        touch_byte("calibration.npz"),
        touch_byte("evaluation.npz"),
        touch_byte("baseline.npz"),
        lambda folder: (folder / "baseline.npz").unlink(),
        lambda folder: (folder / "helper.py").write_text(""),
        lambda folder: [(folder / "parts").mkdir(), (folder / "parts" / "sizes.json").write_text("[1]")],
        lambda folder: (folder / "edgekit.toml").write_text(
            (folder / "edgekit.toml").read_text().replace("min_sqnr_db = 25", "min_sqnr_db = 26")
        ),
        pictures,
    ],
)
def test_every_input_changes_the_key(folder: Path, change: Callable[[Path], object]) -> None:
    """Project, code, weights, data and baseline."""
    before = key(folder)
    change(folder)
    assert key(folder) != before


def test_what_is_no_input_does_not_change_the_key(folder: Path, tmp_path: Path) -> None:
    """Comments, bundles, byte code, hidden files, environments, the place and the time."""
    before = key(folder)
    touch_byte("edgekit.toml")(folder)
    for name in ("__pycache__/model.pyc", ".git/hook.py", "venv/pyvenv.cfg", "venv/lib/torch.py", "README.md",
                 "artifacts/x/manifest.json", "artifacts/x/report.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "circle").symlink_to(folder)
    assert key(folder) == before
    (folder / "circle").unlink()
    shutil.copytree(folder, tmp_path / "copy")
    assert key(tmp_path / "copy") == before


def test_pictures_count_with_their_names_and_bytes(folder: Path) -> None:
    """A sub-folder's name is a label, also behind a link."""
    pictures(folder)
    before = key(folder)
    (folder / "pictures" / "0").rename(folder / "pictures" / "1")
    renamed = key(folder)
    (folder / "pictures" / "1" / "a.png").write_bytes(b"another")
    changed = key(folder)
    (folder / "pictures" / "1").rename(folder.parent / "elsewhere")
    (folder / "pictures" / "1").symlink_to(folder.parent / "elsewhere")
    linked = key(folder)
    (folder / "pictures" / "1" / "a.png").write_bytes(b"a third")
    assert linked == changed
    assert len({before, renamed, changed, key(folder)}) == 4


def test_a_file_that_cannot_be_read_has_no_key(folder: Path) -> None:
    """The build is left to say which."""
    opened = project.load(folder)
    (folder / "weights.safetensors").unlink()
    assert buildkey.of_files(opened) is None


def test_the_target_changes_the_key() -> None:
    """Its settings count, and not its name alone."""
    target = targets.load("android-arm64")
    changed = target.model_copy(update={"budget": target.budget.model_copy(update={"total": target.budget.server})})
    assert changed.quantization is Scheme.INT8
    keys = [buildkey.of_bundle("0", one) for one in (target, changed, targets.load("ios-arm64"))]
    assert len({*keys, buildkey.of_bundle("1", target)}) == 4


def test_tools_and_host_change_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """EdgeKit's own source, installed distributions, the processor and what sets the number of threads."""
    target = targets.load("android-arm64")
    keys = [buildkey.of_bundle("0", target)]
    assert buildkey.of_bundle("0", target) == keys[0]
    (tmp_path / "torch-9.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    keys.append(buildkey.of_bundle("0", target))
    monkeypatch.setattr(environment, "cpu_name", lambda: "another")
    keys.append(buildkey.of_bundle("0", target))
    monkeypatch.setenv("OMP_NUM_THREADS", "97")
    keys.append(buildkey.of_bundle("0", target))
    (tmp_path / "pipeline.py").write_text("")
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    keys.append(buildkey.of_bundle("0", target))
    assert len(set(keys)) == len(keys)


def test_code_of_another_checkout_is_known_after_its_import(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may import what is installed from a working copy, whose version says nothing."""
    outside = tmp_path / "checkout" / "edgekit_test_layers.py"
    outside.parent.mkdir()
    outside.write_text("")
    monkeypatch.syspath_prepend(outside.parent)
    monkeypatch.setitem(sys.modules, "edgekit_test_layers", __import__("edgekit_test_layers"))
    opened: OpenProject = project.load(folder)
    found = buildkey.imported_files(opened)
    assert str(outside.resolve()) in found
    assert not [path for path in found if "site-packages" in path or path.startswith(str(folder.resolve()))]
    mine = {str(outside.resolve()): found[str(outside.resolve())]}
    assert buildkey.unchanged(mine)
    outside.write_text("# changed")
    assert not buildkey.unchanged(mine)
    outside.unlink()
    assert not buildkey.unchanged(mine)
