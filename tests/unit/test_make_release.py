"""A release dates the changelog, and is refused where it does not agree with the version; the lock is whole."""

import datetime
import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DAY = datetime.date(2027, 1, 31)
TEXT = "# Changelog\n\n## 0.2.0 (unreleased)\n\n* New.\n\n## 0.1.0 (2026-12-01)\n\n* Old.\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("make_release", ROOT / "scripts" / "make_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_changelog_is_dated(script: ModuleType) -> None:
    """The head alone changes, and the notes are those of this version."""
    text, notes = script.dated(TEXT, "0.2.0", DAY)
    assert text == TEXT.replace("(unreleased)", "(2027-01-31)")
    assert notes == "* New.\n"


@pytest.mark.parametrize(
    ("text", "version", "words"),
    [
        (TEXT.replace("unreleased", "2027-01-01"), "0.2.0", "no unreleased version"),
        (TEXT, "0.3.0", "has 0.2.0 unreleased, and the package is 0.3.0"),
        (TEXT.replace("* New.\n", ""), "0.2.0", "nothing stands under 0.2.0"),
    ],
)
def test_what_does_not_agree_is_refused(text: str, version: str, words: str, script: ModuleType) -> None:
    """With what to do."""
    with pytest.raises(SystemExit, match=words) as caught:
        script.dated(text, version, DAY)
    assert "hint: " in str(caught.value.code)


def test_the_changelog_of_today_can_be_released(script: ModuleType) -> None:
    """Its unreleased version is the package's."""
    from edgekit import __version__

    _, notes = script.dated((ROOT / "CHANGELOG.md").read_text("utf-8"), __version__, DAY)
    assert notes.startswith("* ")


def unmet(lock: str) -> list[str]:
    """Return what the project asks of a developer, and a lock has not or has in another version."""
    lines = [Requirement(line.partition("#")[0]) for line in lock.splitlines() if line.strip() and line[0] != "#"]
    held = {(one.name.lower().replace("_", "-")): next(iter(one.specifier)).version for one in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [Requirement(one) for one in (*project["dependencies"], *extras["dev"])]
    for one in list(asked):
        asked += [Requirement(more) for extra in one.extras if one.name == "edgekit" for more in extras[extra]]
    wanted = {one.name.lower().replace("_", "-"): one.specifier for one in asked if one.name != "edgekit"}
    return [
        name
        for name, versions in wanted.items()
        if name not in held or not versions.contains(held[name], prereleases=True)
    ]


def test_the_lock_has_what_a_developer_installs() -> None:
    """Every dependency, in a version that the project takes; ``scripts/lock`` writes it anew."""
    lock = (ROOT / "requirements-dev.lock").read_text("utf-8")
    assert unmet(lock) == []
    assert unmet(lock.replace("\npytest==", "\npytest==0.")) == ["pytest"]
    assert unmet("\n".join(line for line in lock.splitlines() if not line.startswith("onnx=="))) == ["onnx"]
