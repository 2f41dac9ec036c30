"""A model that is named on the command line: what is wrong is told at once, without torch."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.peek import Peek, peek
from edgekit.errors import ProjectError
from edgekit.spec.asked import AskedShape, asked
from edgekit.spec.project import load
from edgekit.spec.schema import check
from edgekit.spec.sections import Project
from edgekit.spec.written import Guess, written
from tests.unit.test_cli import error_of, run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model file and a file of weights, that the process is in."""
    (tmp_path / "net.py").write_text("raise RuntimeError('nobody runs this')")
    (tmp_path / "w.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (tmp_path / "train").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test", "eval"])
def test_one_folder_of_two_sets(held_out: str, here: Path) -> None:
    """It is taken apart where its sub-folders say what they are."""
    for name in ("train", held_out):
        (here / "data" / name / "cat").mkdir(parents=True)
    found = named(calibration=None, data="data")
    assert (found.calibration, found.evaluation) == ("data/train", f"data/{held_out}")
    assert found.data is None
    with pytest.raises(ProjectError, match="leave one of them out"):
        named(data="data")
    assert (named(calibration=None, data="train").data, named().data) == ("train", "train")


def named(**change: Any) -> Any:
    """Name the model of the folder, but for some options."""
    return asked(**{"model": "net.py:Net", "weights": Path("w.safetensors"), "calibration": "train", **change})


SHAPES = {
    "3x224x224": {"": AskedShape(sizes=(3, 224, 224))},
    "3,8": {"": AskedShape(sizes=(3, 8))},
    "5": {"": AskedShape(sizes=(5,))},
    "a=5 b=2x3:int64": {"a": AskedShape(sizes=(5,)), "b": AskedShape(sizes=(2, 3), dtype="int64")},
    "7:bool": {"": AskedShape(sizes=(7,), dtype="bool")},
}


@pytest.mark.parametrize("text", SHAPES)
def test_shapes(text: str, here: Path) -> None:
    """By name or of the only input, with and without a type."""
    assert named(shapes=text.split()).shapes == SHAPES[text]


def test_arguments(here: Path) -> None:
    """Values are JSON, or texts."""
    given = ("classes=10", "width=0.5", "wide=true", "kind=small", 'name="5"', "sizes=[1, 2]")
    expected = {"classes": 10, "width": 0.5, "wide": True, "kind": "small", "name": "5", "sizes": [1, 2]}
    assert named(arguments=given).arguments == expected


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "file": ({"model": "nte.py:Net"}, "did you mean net.py?"),
    "no function": ({"model": "net.py"}, "FILE.py:NAME"),
    "a module's name": ({"model": "net:Net"}, "FILE.py:NAME"),
    "weights": ({"weights": Path("w.safetensor")}, "did you mean w.safetensors?"),
    "weights of another kind": ({"weights": Path("net.py")}, "is Python code"),
    "data": ({"evaluation": "tran"}, "did you mean train?"),
    "a function of no file": ({"evaluation": "dat.py:test"}, "dat.py: does not exist"),
    "sizes": ({"shapes": ("3xx5",)}, "is no shape"),
    "a size of nothing": ({"shapes": ("3x0",)}, "is no shape"),
    "huge": ({"shapes": ("3x99999999999",)}, "is no shape"),
    "type": ({"shapes": ("3:int46",)}, "did you mean int64?"),
    "twice": ({"shapes": ("a=3", "a=4")}, "there is another"),
    "two without names": ({"shapes": ("3", "a=4")}, "there is another"),
    "no weights": ({"weights": None}, "--weights FILE: missing"),
    "no model": ({"model": None}, "which holds no network"),
    "argument": ({"arguments": ("10",)}, "KEY=VALUE"),
    "nothing": ({"arguments": ("norm=null",)}, "no null"),
}


@pytest.mark.parametrize("change", WRONG)
def test_what_is_wrong_is_named(change: str, here: Path) -> None:
    """With the nearest name, or what the option takes."""
    options, words = WRONG[change]
    with pytest.raises(ProjectError) as caught:
        named(**options)
    assert words in caught.value.message


def test_all_faults_are_told_together(here: Path) -> None:
    """One line each."""
    with pytest.raises(ProjectError) as caught:
        named(model="a.py:b", weights=Path("w.pth"), calibration="x", evaluation="y", shapes=["-"], arguments=["-"])
    assert len(caught.value.message.splitlines()) == 7


@pytest.mark.parametrize(
    "options",
    [("--shape", "3"), ("--calibration", "train"),
     ("--model", "net.py:Net", "--weights", "w.safetensors"),
     ("--model", "net.py:Net", "--weights", "w.safetensors", "--calibration", "train", "--sample"),
     ("--model", "net.py:Net", "--weights", "w.safetensors", "--calibration", "train", "--project", ".")],
)  # fmt: skip
def test_options_that_lack_others(options: tuple[str, ...], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A usage error says which."""
    code, out, _ = run(capfd, "build", "--target", "android-arm64", *options, "--json")
    assert (code, error_of(out)["class"]) == (2, "UsageError")


def test_a_wrong_path_is_told_without_torch(here: Path) -> None:
    """Within a second or two of whole process, and with nothing heavy imported."""
    program = (
        "import sys, contextlib\nfrom edgekit.cli import main\nwith contextlib.suppress(SystemExit):\n"
        "    main(['build', '--target', 'android-arm64', '--model', 'net.py:Net', '--weights', 'x.pth'])\n"
        "print(*sys.modules)"
    )
    began = time.process_time()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "x.pth: does not exist" in done.stderr
    assert not {"torch", "onnx", "numpy", "executorch"} & set(done.stdout.split())
    assert time.process_time() - began < 1


def test_init_overwrites_nothing(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A project that is there is seen before the model is."""
    (here / "edgekit.toml").write_text("mine")
    code, out, _ = run(capfd, "init", ".", "--model", "net.py:Net", "--weights", "w.safetensors", "--json")
    assert code == ProjectError.exit_code
    assert "already has edgekit.toml" in error_of(out)["message"]
    assert (here / "edgekit.toml").read_text() == "mine"


TEXTS = st.text(max_size=12)
PROJECT: dict[str, Any] = {
    "model": {"name": "net", "source": "net.py:Net", "weights": "w.pth"},
    "inputs": [{"name": "x", "shape": ["batch", 3]}, {"name": "mask", "dtype": "bool", "shape": ["batch", "n"]}],
    "outputs": [{"name": "y", "shape": ["batch", 10], "meaning": "logits"}],
    "dimensions": {"n": {"min": 2, "max": 8}},
    "preprocessing": {"resize": {"height": 8, "width": 9}, "mean": [0.485, 1e-7, 0.0], "std": [1.0]},
    "data": {"calibration": "a", "evaluation": "b"},
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    labels=st.lists(TEXTS, max_size=4),
    file=TEXTS.filter(bool),
    argument=TEXTS,
    value=st.floats(allow_nan=False, allow_infinity=False),
    reason=TEXTS,
)
def test_what_is_written_is_read_again(labels: list[str], file: str, argument: str, value: float, reason: str) -> None:
    """Whatever the texts hold, quotes, line ends and control characters, in values and in the marks."""
    content = {
        **({"labels": labels} if labels else {}),
        **PROJECT,
        "model": {**PROJECT["model"], "arguments": {argument: value, "deep": {"a b": [True, file]}}},
        "data": {"calibration": file, "evaluation": "b"},
    }
    project, faults = check(content, Project)
    assert project is not None, faults
    guesses = [
        Guess(place=place, value="", reason=reason)
        for place in ("labels", "inputs[1].dtype", "preprocessing.mean", "data.calibration")
    ]
    text = written(project, guesses)
    again, faults = check(tomllib.loads(text), Project)
    assert not faults
    assert again == project
    assert text.count("# guessed:") >= 3 + bool(labels)


def test_pictures_are_looked_at(tmp_path: Path) -> None:
    """Folders name classes, pictures their size where all have the same; what is damaged or foreign tells nothing."""
    for number, (name, size) in enumerate((("cat", (9, 8)), ("dog", (9, 8)), ("cow", (9, 8)))):
        (tmp_path / "a" / name).mkdir(parents=True)
        Image.new("L", size).save(tmp_path / "a" / name / f"{number}.png")
    (tmp_path / "a" / "empty").mkdir()
    (tmp_path / "a" / "dog" / "Thumbs.db").touch()
    (tmp_path / "a" / "dog" / "broken.png").write_bytes(b"\x89PNG")
    told = "the folders of the data, in order"
    found = peek([tmp_path / "a"])
    assert found == Peek(pictures=True, size=(8, 9), grey=True, labels=("cat", "cow", "dog"), told=told, classes=3)
    (tmp_path / "b").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "b" / "1.png")
    both = peek([tmp_path / "a", tmp_path / "b"])
    assert (both.size, both.grey, both.labels) == (None, False, ("cat", "cow", "dog"))


def test_arrays_are_looked_at(tmp_path: Path) -> None:
    """Types and the shapes of a row, and the number of classes."""
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3, 2), np.float16), ids=np.zeros((4, 5), np.int64), labels=np.arange(4))
    found = peek([tmp_path / "a.npz"])
    assert found.arrays["x"] == ("float16", (3, 2))
    assert found.arrays["ids"] == ("int64", (5,))
    assert found.classes == 4
    assert not found.pictures
    np.savez(tmp_path / "b.npz", pictures=np.zeros((4, 8, 9), np.uint8))
    assert peek([tmp_path / "b.npz"]) == Peek(
        pictures=True, size=(8, 9), grey=True, arrays={"pictures": ("uint8", (8, 9))}
    )
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04damaged")
    assert peek([tmp_path / "c.npz", tmp_path / "missing.bin"]) == Peek()


def test_a_project_that_is_written_loads(here: Path) -> None:
    """The reader of projects takes it, the files being there."""
    project, _ = check(
        {**PROJECT, "preprocessing": None, "data": {"calibration": "train", "evaluation": "train"}}, Project
    )
    assert project is not None
    Path("w.pth").touch()
    Path("edgekit.toml").write_text(written(project, []))
    assert load(here).spec.model.name == "net"
