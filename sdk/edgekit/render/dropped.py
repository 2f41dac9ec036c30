"""What was dropped into an app, in both languages."""

import dataclasses
from typing import Any

from rich.console import Console
from rich.text import Text

from edgekit.apps.values import Dropped, Pin
from edgekit.render.layout import fields, heading, indented
from edgekit.render.numbers import kilobytes


def data(done: Dropped) -> dict[str, Any]:
    """Return what was done as JSON."""
    return {
        "app": {"path": str(done.app.root), "platform": done.app.platform.value, "pins": _path(done.app.pins)},
        "bundle": str(done.bundle),
        "model": done.model,
        "target": done.target,
        "verdict": done.verdict,
        "folder": str(done.folder),
        "manifest_sha256": done.manifest_sha256,
        "changed": done.changed,
        "copied": done.copied,
        "files": [{"file": name, "bytes": size} for name, size in done.files],
        "removed": list(done.removed),
        "pins": [{**dataclasses.asdict(pin), "changed": pin.changed} for pin in done.pins],
        "notes": list(done.notes),
    }


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def show(console: Console, done: Dropped) -> None:
    """Print what was done, and what remains to be done."""
    heading(console, str(done.app.root), f"{done.model} for {done.target}")
    grid = fields()
    grid.add_row("verdict", Text(done.verdict, "green" if done.verdict == "passed" else "bold red"))
    grid.add_row("bundle", Text(str(done.bundle)))
    total = sum(size for _, size in done.files)
    grid.add_row("files", f"{len(done.files)}, {kilobytes(total)}, each read back and compared with its sha256")
    grid.add_row("in the app", Text(str(done.folder)))
    for pin in done.pins:
        grid.add_row("pinned", Text(_pin(pin)))
    for name in done.removed:
        grid.add_row("removed", name)
    for note in done.notes:
        grid.add_row("note", Text(note, "yellow"))
    console.print(indented(grid))
    if not done.changed:
        console.print("Nothing to do: the app has this bundle, and its runtimes are pinned.")


def _pin(pin: Pin) -> str:
    if not pin.changed:
        return f"{pin.key} {pin.after}"
    return f"{pin.key} {pin.after} (it was {pin.before or 'not there'})"
