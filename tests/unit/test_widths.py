"""No answer breaks a word or a number, however narrow the terminal, and in a pipe."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from edgekit import targets
from edgekit.base.cache import Cache, Kept
from edgekit.bundles.compare import compare_builds
from edgekit.bundles.verified import VerifiedRun
from edgekit.inspection import inspect_file
from edgekit.inspection.doctor import Check
from edgekit.render import changes, inspection, settings, summary, tables
from edgekit.render.profile import show_profile
from edgekit.render.terminal import LOG_WIDTH, console
from edgekit.render.verified import show_verified
from tests.unit import examples, profiles
from tests.unit.test_outputs import side
from tests.unit.test_verified import found as verified

PROFILES = tuple(targets.load(name) for name in targets.names())


def build(target: Console) -> None:
    """Print all of a build."""
    for show in (summary.show_summary, tables.show_build, tables.show_details):
        show(target, examples.built(breach=True, fallback=True))


def bundle(target: Console) -> None:
    """Print what is inside a bundle."""
    inspection.show(target, inspect_file(_bundle()))


def _bundle() -> Path:
    folder = Path("bundle")
    return folder if folder.is_dir() else examples.write_bundle(folder)


def checks(target: Console) -> None:
    """Print what the doctor found."""
    found = (
        Check(name="onnxruntime", status="fail", found="1.20.0", wanted=">=1.32", remedy="pip install onnxruntime"),
        Check(name="torch", status="ok", found="2.13.0+cpu", wanted=">=2.13,<2.14", remedy=""),
    )
    settings.show_checks(target, found)


ANSWERS: dict[str, Callable[[Console], None]] = {
    "build": build,
    "changes": lambda target: changes.show_changes(target, compare_builds(side("old"), side("new", breach=True))),
    "profile": lambda target: show_profile(target, profiles.profile(), "profile.json"),
    "inspect": bundle,
    "verify": lambda target: show_verified(
        target, verified(VerifiedRun(artifact="model.onnx", cpu_model="", skipped="There is no header.")), "bundle"
    ),
    "trace": lambda target: tables.show_trace(target, examples.baseline("cpu"), "baseline.npz"),
    "targets": lambda target: settings.show_targets(target, PROFILES),
    "target": lambda target: settings.show_target(target, PROFILES[0]),
    "cache": lambda target: settings.show_cache(
        target, Cache(folder=Path("cache")), (Kept(kind="bundle", entries=3, bytes=12_345_678),)
    ),
    "doctor": checks,
}
LONG = 36
"""A word of more letters may be broken where there is no room for it: a path, a digest."""


def words(show: Callable[[Console], None], width: int) -> tuple[str, set[str]]:
    """Return what is shown at a width, and its words."""
    stream = io.StringIO()
    show(Console(file=stream, width=width, markup=False, emoji=False, highlight=False))
    return stream.getvalue(), set(re.sub(r"[─━]+", " ", stream.getvalue()).split())


def broken(found: set[str], whole: set[str]) -> set[str]:
    """Return the words that are none of the whole ones, nor a piece of one that no line could hold."""
    long = [word for word in whole if len(word) >= LONG]
    return {word for word in found - whole if not any(word in one for one in long)}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ANSWERS)
def test_words_are_whole(name: str, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word of a narrow answer stands in the widest one, and the other way round but for columns left out."""
    monkeypatch.chdir(tmp_path)
    _, all_words = words(ANSWERS[name], 400)
    text, found = words(ANSWERS[name], width)
    told = {word for line in re.findall(r"No room for: [^.]*\.[^.]*\.", text) for word in line.split()}
    assert not broken(found - told, all_words)
    if not told:
        assert not {word for word in all_words - found if len(word) < LONG}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_pipe_is_as_wide_as_columns_says(
    name: str, columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a terminal of that width shows; a table uses the room that it has, and no more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.StringIO()
    target = console(stream)
    ANSWERS[name](target)
    assert target.width == columns
    if name == "targets":
        assert columns - 20 < max(len(line.rstrip()) for line in stream.getvalue().splitlines()) <= columns
    assert words(ANSWERS[name], columns)[0] == stream.getvalue()


@pytest.mark.parametrize("said", ["", "0", "wide", "-80"])
def test_columns_that_are_no_width_say_nothing(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is then 100 wide."""
    monkeypatch.setenv("COLUMNS", said)
    assert console(io.StringIO()).width == LOG_WIDTH


@pytest.mark.parametrize("name", ANSWERS)
def test_a_pipe_has_a_width_of_its_own_and_no_colours(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither escapes nor broken words."""
    monkeypatch.chdir(tmp_path)
    stream = io.StringIO()
    ANSWERS[name](console(stream))
    assert "\x1b" not in stream.getvalue()
    _, all_words = words(ANSWERS[name], 400)
    told = {word for line in re.findall(r"No room for: [^.]*\.[^.]*\.", stream.getvalue()) for word in line.split()}
    found = set(re.sub(r"[─━]+", " ", stream.getvalue()).split())
    assert not broken(found - told, all_words)


def test_a_broken_word_is_found() -> None:
    """The negative twin: a table that folds its cells breaks them, and the words tell."""

    def folded(target: Console) -> None:
        from rich.table import Table

        table = Table.grid()
        table.add_column(overflow="fold", width=7)
        table.add_row("model.pte")
        target.print(table)

    _, found = words(folded, 60)
    assert broken(found, {"model.pte"})
