"""Following a page of the documentation in an empty folder: its files are written, its code and commands run."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a page asks for once: a file, some Python, or a command."""

    kind: str
    """``file``, ``edit``, ``python``, ``command``, or ``text``: what the step before has printed."""
    text: str
    """The code, the command, or what the file holds."""
    file: str = ""
    """The file to write, or to add to."""


def steps(page: str) -> Iterator[Step]:
    """Yield what a page asks for, in order; a block that says ``skip`` is for a person alone."""
    for language, options, text in _BLOCK.findall(page):
        if "skip" in options.split():
            continue
        if title := _TITLE.search(options):
            yield Step(kind="edit" if language == "toml" else "file", text=text, file=title[1])
        elif language == "sh":
            for line in text.splitlines():
                if command := line.partition("#")[0].strip():
                    yield Step(kind="command", text=command)
        elif language in ("python", "text"):
            yield Step(kind=language, text=text)


def command(line: str, folder: Path) -> str:
    """Run a command of a page, which must end well, and return what it prints."""
    words = shlex.split(line)
    given = {"edgekit": [sys.executable, "-m", "edgekit"], "python": [sys.executable]}[words[0]]
    done = subprocess.run(
        [*given, *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "COLUMNS": "80", "EDGEKIT_CACHE": str(folder.parent / "cache")},
        check=False,
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


def follow(page: str, folder: Path, names: dict[str, Any] | None = None) -> list[str]:
    """Do all that a page asks for, and return what its commands print; Python runs in the current folder."""
    space = {"__name__": "tutorial"} if names is None else names
    printed = []
    for step in steps(page):
        place = folder / step.file
        match step.kind:
            case "file":
                place.write_text(step.text, encoding="utf-8")
            case "edit":
                place.write_text(place.read_text(encoding="utf-8") + "\n" + step.text, encoding="utf-8")
            case "python":
                exec(step.text, space)  # noqa: S102 - our own page
            case "command":
                printed.append(command(step.text, folder))
            case "text":
                assert shape(step.text) <= shape(printed[-1]), shape(step.text) - shape(printed[-1])
    return printed


def shape(text: str) -> set[str]:
    """Return the words of a text with its figures left out: what a page shows of a command must be said by it."""
    return {re.sub(r"[\d.,]+", "0", word) for word in text.split()}
