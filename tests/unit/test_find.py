"""Which project a command takes: the sample only where nothing else can be meant."""

import shutil
from pathlib import Path

import pytest

from edgekit.errors import ProjectError
from edgekit.spec import project
from edgekit.spec.find import find
from tests.unit.test_cli import error_of, run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the process is in."""
    folder = tmp_path / "deep" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "there", [(), (".git/config",), ("notes.txt", "pyproject.toml"), ("artifacts/digits/android-arm64/model.pte",),
              ("pictures/1.png", "scripts/train.py", "baseline.npz")],
)  # fmt: skip
def test_the_sample_is_taken_where_nothing_else_can_be_meant(there: tuple[str, ...], here: Path) -> None:
    """An empty folder, one with other things, and one that the sample was built in before."""
    for name in there:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    assert find(None).is_sample


NEAR = ("edgekit.tml", "edgkit.toml", "Edgekit.TOML", "edgekit.toml.txt", "edgekit.yaml", "edge-kit.toml")
MODELS = (
    "model.py", "weights.pth", "W.PTH", "w.pt", "net.pt2", "net.onnx", "pytorch_model.bin", "model.safetensors",
    "a.ckpt", "train.ipynb", "checkpoints/best.pth", "a.pkl",
)  # fmt: skip


@pytest.mark.parametrize("name", [*NEAR, *MODELS, "lite0/edgekit.toml", "../edgekit.toml", "../../edgekit.toml"])
def test_the_sample_is_no_guess(name: str, here: Path) -> None:
    """What is there is named, with the ways to say what is meant; asked for, the sample is taken all the same."""
    (here / name).parent.mkdir(exist_ok=True)
    (here / name).touch()
    with pytest.raises(ProjectError, match=Path(name).name) as caught:
        find(None)
    assert "--sample" in caught.value.hint
    assert find(None, sample=True).is_sample


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_is_asked_about_may_stand_beside_the_sample(name: str, here: Path) -> None:
    """``edgekit compare model.onnx`` needs the file to be somewhere."""
    (here / name).parent.mkdir(exist_ok=True)
    (here / name).touch()
    assert find(None, strict=False).is_sample


def test_what_is_named_is_taken_or_refused(here: Path) -> None:
    """A folder without a project is no reason to build something else, not even this folder."""
    for folder in (here, Path(), here / "missing"):
        with pytest.raises(ProjectError, match=r"has no edgekit\.toml"):
            find(folder)
    (here / "edgekit.tml").touch()
    with pytest.raises(ProjectError, match=r"did you mean edgekit\.tml"):
        find(here)
    with pytest.raises(ProjectError, match="Both"):
        find(here, sample=True)


def test_the_project_of_this_folder_is_taken(here: Path) -> None:
    """Named or not; one that is wrong, or a link to nothing, is an error, even where the sample could be taken."""
    shutil.copytree(project.SAMPLE, here, dirs_exist_ok=True)
    assert find(None).root == Path()
    assert find(here).root == here
    assert not find(None).is_sample
    (here / "edgekit.toml").write_text("model = 1")
    with pytest.raises(ProjectError, match="model"):
        find(None)
    (here / "edgekit.toml").unlink()
    for file in here.glob("*.*"):
        file.unlink()
    (here / "edgekit.toml").symlink_to(here / "gone")
    with pytest.raises(ProjectError):
        find(None)


@pytest.mark.parametrize("verb", [("build", "--target", "android-arm64"), ("baseline", "record")])
def test_commands_refuse_to_take_the_sample_for_a_model(
    verb: tuple[str, ...], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code is that of a wrong project."""
    (here / "net.py").touch()
    code, out, _ = run(capfd, *verb, "--json")
    assert code == ProjectError.exit_code
    assert "net.py" in error_of(out)["message"]
