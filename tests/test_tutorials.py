"""The tutorials are followed as they stand: their files are written, their code and their commands run."""

import json
import re
from pathlib import Path

import pytest

from tests.tutorials import Step, command, follow, shape, steps

PAGES = Path(__file__).parent.parent / "docs" / "tutorials"
NEEDED = {"detector": "pycocotools", "text": "tokenizers"}


def manifests(folder: Path) -> list[dict[str, object]]:
    """Return the manifests of all bundles that lie in a folder."""
    return [json.loads(path.read_text("utf-8")) for path in folder.glob("**/artifacts/*/*/manifest.json")]


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_a_tutorial_works(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty folder; every bundle that it makes passed, in both formats."""
    if page in NEEDED:
        pytest.importorskip(NEEDED[page])
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    follow((PAGES / f"{page}.md").read_text("utf-8"), folder)
    made = manifests(folder)
    assert made
    assert {one["verdict"] for one in made} == {"passed"}


@pytest.mark.slow
def test_a_model_of_ones_own_takes_six_steps(tmp_path: Path) -> None:
    """From an empty folder: at most six commands and edits from the checkpoint to a bundle that passed.

    Every command and every edit that the page asks for counts, up to and with the one that leaves a passed bundle.
    """
    asked = list(steps((PAGES / "ten-minutes.md").read_text("utf-8")))
    training = next(number for number, step in enumerate(asked) if step.text == "python train.py")
    for step in asked[: training + 1]:
        done(step, tmp_path)
    assert (tmp_path / "weights.pth").is_file()
    count = 0
    for step in asked[training + 1 :]:
        count += step.kind in ("command", "edit", "file", "python")
        done(step, tmp_path)
        if any(one["verdict"] == "passed" for one in manifests(tmp_path)):
            break
    assert manifests(tmp_path)
    assert 1 <= count <= 6


def done(step: Step, folder: Path) -> None:
    """Do one step of a page."""
    if step.kind == "file":
        (folder / step.file).write_text(step.text, encoding="utf-8")
    elif step.kind == "command":
        command(step.text, folder)


def test_every_block_of_a_tutorial_is_followed() -> None:
    """But what says ``skip``, which is for a person with a phone."""
    for path in PAGES.glob("*.md"):
        text = path.read_text("utf-8")
        blocks = re.findall(r"^```(\w+)", text, re.MULTILINE)
        assert set(blocks) <= {"python", "sh", "text", "toml"}, path.name
        assert len(list(steps(text))) >= len(blocks) - text.count("```sh skip")
        assert text.count(" skip\n") <= 1


def test_what_a_page_shows_is_held_against_what_was_said(tmp_path: Path) -> None:
    """Figures may be others on another machine, words may not; a command that fails is an error."""
    assert shape("accuracy 99.66 % of 597") == shape("accuracy 12.50 % of 4")
    page = "```sh\npython -c 'print(\"PASSED in 3 s\")'\n```\n\n```text\nPASSED in 99 s\n```\n"
    assert follow(page, tmp_path) == ["PASSED in 3 s\n"]
    with pytest.raises(AssertionError, match="FAILED"):
        follow(page.replace("```text\nPASSED", "```text\nFAILED"), tmp_path)
    with pytest.raises(AssertionError, match="exit"):
        follow("```sh\npython -c 'exit(3)'\n```\n", tmp_path)
