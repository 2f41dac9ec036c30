"""A new project from the sample."""

from pathlib import Path

import pytest

from edgekit.errors import ProjectError
from edgekit.spec import Dimension, project, scaffold


def test_writes_a_project_that_loads(tmp_path: Path) -> None:
    """The written files are those of the sample, comments included, but for the batch, which is one, as on a phone."""
    folder = tmp_path / "deep" / "project"
    written = scaffold.init(folder)
    assert {path.name for path in written} >= {"edgekit.toml", "model.py", "weights.safetensors"}
    for path in written:
        assert path.parent == folder
        expected = (project.SAMPLE / path.name).read_bytes()
        if path.name == "edgekit.toml":
            expected = expected.replace(b"\nbatch = 64\n", b"\nbatch = 1\n")
        assert path.read_bytes() == expected
    assert project.load(folder).spec.sizes == {"batch": Dimension(max=1)}
    assert project.load(project.SAMPLE).spec.sizes == {"batch": Dimension(max=64)}


def test_overwrites_nothing(tmp_path: Path) -> None:
    """Where one of the files is there already, it is named and nothing at all is written."""
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(ProjectError, match=r"already has model\.py"):
        scaffold.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]
    assert (tmp_path / "model.py").read_text() == "mine"


def test_other_files_may_be_there(tmp_path: Path) -> None:
    """A folder with other things in it is taken."""
    (tmp_path / "README.md").write_text("mine")
    scaffold.init(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A path that is taken by a file is refused."""
    (tmp_path / "project").write_text("")
    with pytest.raises(ProjectError, match="cannot be written"):
        scaffold.init(tmp_path / "project")
