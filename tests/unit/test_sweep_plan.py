"""Sweep files and the plan of their cells: all faults at once, and keys that change with what cells are made from."""

import shutil
from pathlib import Path

import pytest

from edgekit.errors import ProjectError, SweepError, TargetError
from edgekit.pipeline.sweeping.plan import Plan, plan
from edgekit.pipeline.sweeping.sweep import engine_of, sweep
from edgekit.spec.sweep import read
from tests.sweeps import project, sweep_file

TWO = 'projects = ["one", "two"]\ntargets = ["android-arm64", "linux-arm64"]\n'


def planned(file: Path) -> Plan:
    """Return the plan of a sweep file."""
    return plan(read(file), "store")


def keys(file: Path) -> dict[str, str]:
    """Return the keys of a sweep file's cells, by name."""
    return {str(task.name): task.key for task in planned(file).tasks}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A sweep of two projects for two targets."""
    project(tmp_path, "one")
    project(tmp_path, "two", width=16)
    return sweep_file(tmp_path, TWO)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """With their places, and the nearest names."""
    project(tmp_path, "one")
    broken = project(tmp_path, "broken")
    (broken / "weights.safetensors").unlink()
    file = sweep_file(
        tmp_path,
        'projects = ["one", "onee", "broken"]\ntargets = ["web", "web"]\nschemes = ["int8"]\n'
        '[settings.a]\nscheme = "float"\n',
    )
    with pytest.raises(ProjectError) as caught:
        read(file)
    told = caught.value.message
    assert "onee has no edgekit.toml" in told
    assert "did you mean one?" in told
    assert "weights.safetensors does not exist" in told
    assert "targets: web stands there twice" in told
    assert "settings.a.scheme: stands against schemes" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "projects: missing"),
        ('projects = []\ntargets = ["web"]', "projects"),
        ('projects = ["one"]\ntargets = ["web"]\nscheme = ["int8"]', "scheme: unknown key; did you mean schemes?"),
        ('projects = ["one"]\ntargets = ["web"]\nschemes = ["int9"]', "must be one of int8"),
        (
            'projects = ["one"]\ntargets = ["web"]\n[settings.a]\nequalisation = false',
            "settings.a.equalisation: unknown key",
        ),
        ('projects = ["one"]\ntargets = ["web"]\n[resources]\ncpus = 0', "resources.cpus = 0: must be greater than 0"),
        ("projects =", "is not TOML"),
    ],
)
def test_a_fault_has_a_place(text: str, told: str, tmp_path: Path) -> None:
    """Each of these is found before anything is built."""
    project(tmp_path, "one")
    with pytest.raises(ProjectError, match=told):
        read(sweep_file(tmp_path, text))


def test_models_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their cells could not be told apart."""
    project(tmp_path / "x", "one")
    project(tmp_path / "y", "one")
    with pytest.raises(ProjectError, match="both have a model named one"):
        read(sweep_file(tmp_path, 'projects = ["x/one", "y/one"]\ntargets = ["web"]'))


def test_cells_are_the_product(two: Path) -> None:
    """Of projects, targets, schemes and settings; each has a key of its own."""
    two.write_text(f'{TWO}schemes = ["int8", "float"]\n[settings.full]\n[settings.plain]\nequalization = false\n')
    found = keys(two)
    assert len(found) == len(set(found.values())) == 16
    assert "one/android-arm64/int8/plain" in found


def test_keys_are_of_the_content_alone(two: Path, tmp_path: Path) -> None:
    """A copy has the same ones; every input that changes changes those of its cells, and of no others."""
    before = keys(two)
    assert keys(two) == before
    shutil.copytree(two.parent, copied := tmp_path / "copy")
    assert keys(copied / "sweep.toml") == before
    for name in ("weights.safetensors", "evaluation.npz", "calibration.npz", "model.py"):
        shutil.copy(two.parent / "two" / name, kept := tmp_path / "kept")
        (two.parent / "two" / name).write_bytes(kept.read_bytes() + b" ")
        after = keys(two)
        assert {cell for cell in before if before[cell] != after[cell]} == {
            cell for cell in before if cell[:3] == "two"
        }
        shutil.copy(kept, two.parent / "two" / name)
    assert keys(two) == before
    two.write_text(f"{TWO}[settings.project]\nbias_correction = false\n")
    assert not set(keys(two).values()) & set(before.values())


def test_the_same_by_two_names_is_one_cell(two: Path) -> None:
    """Settings that say what the project says anyway change no key."""
    two.write_text(f"{TWO}[settings.a]\n[settings.b]\nequalization = true\n")
    found = keys(two)
    assert (len(found), len(set(found.values()))) == (8, 4)


def test_what_cannot_be_is_left_out_with_the_reason(two: Path) -> None:
    """A chip that computes no such scheme; a format that holds none is left out of the cell alone."""
    two.write_text('projects = ["one"]\ntargets = ["android-arm64", "web"]\nschemes = ["w8a16", "8da4w"]\n')
    found = planned(two)
    assert [str(task.name) for task in found.tasks] == [
        "one/android-arm64/w8a16/project",
        "one/web/w8a16/project",
        "one/android-arm64/8da4w/project",
    ]
    assert [[str(format) for format in task.target.formats] for task in found.tasks] == [["onnx"], ["onnx"], ["pte"]]
    assert list(found.left_out) == ["one/web/8da4w/project"]
    two.write_text('projects = ["one"]\ntargets = ["web"]\nschemes = ["8da4w"]\n')
    with pytest.raises(ProjectError, match="has no cell that can be"):
        planned(two)


def test_what_nobody_has_is_told_before_anything_runs(two: Path, tmp_path: Path) -> None:
    """A target, a label's target, an engine, a tag, data that a function returns."""
    with pytest.raises(SweepError, match="no engine 'slurm'"):
        engine_of("slurm", read(two))
    with pytest.raises(ProjectError, match=r"tag '\.\./x'"):
        sweep(two, store=tmp_path / "store", tag="../x")
    two.write_text('projects = ["one"]\ntargets = ["wab"]\n')
    with pytest.raises(TargetError, match="did you mean web"):
        planned(two)
    two.write_text(f'{TWO}[resources.labels]\nandroid-arm = "device:adb:1"\n')
    with pytest.raises(ProjectError, match="did you mean android-arm64"):
        planned(two)
    file = two.parent / "one" / "edgekit.toml"
    file.write_text(file.read_text().replace('"evaluation.npz"', '"model.py:build"'))
    two.write_text('projects = ["one"]\ntargets = ["web"]\n')
    with pytest.raises(ProjectError, match="cannot be in a sweep"):
        planned(two)
