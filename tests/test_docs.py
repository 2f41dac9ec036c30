"""The documentation is about this code: generated pages are fresh, links lead somewhere, examples work."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import yaml

from tests.programs.networks import Small, images
from tests.programs.test_streaming import Network, walks
from tests.programs.test_weights import net, refused
from tests.tutorials import follow

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_the_example_of_streaming_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run as it stands, with a recurrent network and sequences in its names."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "streaming.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {
        "model": Network("gru"),
        "example": walks(1, 8),
        "sequences": walks(4, 20),
        "held_out": walks(2, 20, seed=1),
    }
    exec(example, names)  # noqa: S102 - our own page
    assert (tmp_path / "artifacts" / "stepmodel" / "linux-arm64" / "manifest.json").is_file()


def test_the_example_of_python_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole block is run, with a small network in its names; what it prints is one line each."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    pictures = [torch.from_numpy(images(32, seed).inputs["image"]) for seed in range(3)]
    names = {"model": Small(), "example": pictures[0][:1], "batches": pictures[:2], "held_out": pictures[2]}
    exec(example, names)  # noqa: S102 - our own page
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("<build: <small for android-arm64: ")
    assert lines[1].startswith("small ")
    assert lines[2] == "report.html"
    assert lines[3].endswith(" same>")


@pytest.mark.slow
def test_the_plug_ins_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is followed as it stands: a metric, a quantizer with its observer, and a chip that a package brings."""
    page = (ROOT / "docs" / "plug-ins.md").read_text("utf-8")
    (points,) = re.findall(r"```toml\n(\[project\.entry-points\.\"(edgekit\.chips)\"\]\n.*?)```", page, re.DOTALL)
    info = tmp_path / "mychip-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mychip\nVersion: 1.0\n", encoding="utf-8")
    named = tomllib.loads(points[0])["project"]["entry-points"][points[1]]
    lines = [f"[{points[1]}]", *(f"{name} = {place}" for name, place in named.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    follow(page, tmp_path)
    sys.modules.pop("mychip")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("{'worst': ")
    assert said[1] == "True"
    assert said[2].startswith("<build: <sequential for my-board: passed, model.onnx ")
    (model,) = (tmp_path / "artifacts").glob("*/my-board/model.onnx")
    assert {"npu.cores": "2"}.items() <= {one.key: one.value for one in onnx.load(model).metadata_props}.items()


def test_the_examples_of_weights_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The snippet of Python reads a checkpoint; what the page shows of an error, and its table of TOML, are real."""
    page = (ROOT / "docs" / "weights.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "last.ckpt"
    small = net(hidden=20)
    torch.save({"ema": {"module": small.state_dict()}, "classes": ["a", "b", "c", "d"], "mean": [0.5]}, path)
    exec(example, {"path": path})  # noqa: S102 - our own page
    assert capsys.readouterr().out.splitlines()[0] == "dict_keys(['ema.module'])"
    (table,) = re.findall(r"```toml\n\[model\]\n(.*?)```", page, re.DOTALL)
    assert tomllib.loads(table)["weights_key"] == "ema.module"
    torch.save(small.state_dict(), tmp_path / "weights.pth")
    error = refused(tmp_path, "weights.pth")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    message = error.message.replace(f"{tmp_path}/", "")
    first, *lines, last = [line for line in shown.splitlines() if "hint:" not in line]
    assert first == f"error: {message.splitlines()[0]}"
    assert all(line in message for line in (*lines, last))
    assert error.hint in shown


def test_generated_pages_are_fresh() -> None:
    """``scripts/make-docs`` was run after the last change of a docstring or a target."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that exists."""
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_commands_of_the_documentation_exist() -> None:
    """Every ``edgekit VERB`` in a code block is a verb, and its options are known."""
    from edgekit.cli import main

    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    lines = [
        line for block in blocks for line in block.splitlines() if re.search(r"(^|/)edgekit |^PIP.*edgekit ", line)
    ]
    assert len(lines) > 5
    for line in lines:
        words = line.split("#")[0].split("edgekit ", 1)[1].split()
        command = main.commands[words[0]]
        inner = getattr(command, "commands", {}).get(words[1]) if len(words) > 1 else None
        known = {option for parameter in (inner or command).params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_workflow_is_one_and_its_commands_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow file parses, has the shape that GitHub asks for, and its command lines are taken."""
    from edgekit.cli import main
    from edgekit.cli.group import HELP_OPTIONS

    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "gate.md").read_text("utf-8"), re.DOTALL)
    workflow = yaml.safe_load(text)
    assert workflow[True] == "pull_request"  # `on`, which YAML 1.1 takes for a truth value
    steps = workflow["jobs"]["gate"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    lines = [line for step in steps if "run" in step for line in step["run"].splitlines() if line.startswith("edgekit")]
    assert [line.split()[1] for line in lines] == ["build", "build", "compare"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".base").mkdir()  # which the second checkout makes
    for line in lines:
        words = shlex.split(line.partition(" || ")[0])[1:]
        with main.commands[words[0]].make_context(
            words[0], words[1:], help_option_names=HELP_OPTIONS["help_option_names"]
        ) as context:
            assert context.params["summary"] == (Path("$GITHUB_STEP_SUMMARY") if "--summary" in words else None)


def test_the_tables_of_the_data_page_are_read() -> None:
    """Each TOML block holds keys of the project, in their types."""
    import tomllib

    from edgekit.spec import schema
    from edgekit.spec.sections import Project

    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "data.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        _, faults = schema.check(tomllib.loads(block), Project)
        assert not [fault for fault in faults if not fault.endswith(": missing")], block


def test_the_function_of_the_data_page_works() -> None:
    """It returns what the sample's model takes."""
    (example,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "data.md").read_text("utf-8"), re.DOTALL)
        if "def calibration" in block
    ]
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own page
    assert names["calibration"]()["image"].shape == (128, 1, 32, 32)
    assert [len(part) for part in next(iter(names["evaluation"]()))] == [16, 16]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/build.md", "docs/models.md"])
def test_the_python_examples_of_a_build_work(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is run as it stands, with a model and data in its names."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    pictures = torch.from_numpy(images(128, 0).inputs["image"])
    names = {
        "model": Small(),
        "example_inputs": pictures[:2],
        "loader": list(torch.split(pictures, 32)),
        "held_out": torch.from_numpy(images(64, 1).inputs["image"]),
    }
    exec(example, names)  # noqa: S102 - our own README
    assert (tmp_path / "artifacts" / "small" / "android-arm64" / "manifest.json").is_file()
