"""What was dropped into an app, in both languages."""

import dataclasses
from typing import Any

from rich.console import Console
from rich.text import Text

from edgekit.apps.values import Dropped, Pin, Placed
from edgekit.base.numbers import kilobytes
from edgekit.render.layout import fields, heading, indented
from edgekit.spec import CPU_CHIP


def data(done: Dropped) -> dict[str, Any]:
    """Return what was done as JSON."""
    return {
        "app": {"path": str(done.app.root), "platform": done.app.platform.value, "pins": _path(done.app.pins)},
        "model": done.model,
        **_placed(done.fallback),
        "chips": [{**_placed(one), "chip": one.chip, "socs": list(one.socs)} for one in done.chips],
        "changed": done.changed,
        "copied": done.copied,
        "removed": list(done.removed),
        "pins": [{**dataclasses.asdict(pin), "changed": pin.changed} for pin in done.pins],
        "notes": list(done.notes),
    }


def _placed(one: Placed) -> dict[str, Any]:
    return {
        "bundle": str(one.bundle),
        "target": one.target,
        "verdict": one.verdict,
        "folder": str(one.folder),
        "manifest_sha256": one.manifest_sha256,
        "copied": one.copied,
        "files": [{"file": name, "bytes": size} for name, size in one.files],
    }


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def show(console: Console, done: Dropped) -> None:
    """Print what was done, and what remains to be done."""
    heading(console, str(done.app.root), f"{done.model} for {', '.join(one.target for one in done.bundles)}")
    grid = fields()
    for one in done.bundles:
        if done.chips:
            grid.add_row("for", Text(_for(one)))
        grid.add_row("verdict", Text(one.verdict, "green" if one.verdict == "passed" else "bold red"))
        grid.add_row("bundle", Text(str(one.bundle)))
        total = sum(size for _, size in one.files)
        grid.add_row("files", f"{len(one.files)}, {kilobytes(total)}, each read back and compared with its sha256")
        grid.add_row("in the app", Text(str(one.folder)))
    for pin in done.pins:
        grid.add_row("pinned", Text(_pin(pin)))
    for name in done.removed:
        grid.add_row("removed", name)
    for note in done.notes:
        grid.add_row("note", Text(note, "yellow"))
    console.print(indented(grid))
    if not done.changed:
        what = "these bundles" if done.chips else "this bundle"
        console.print(f"Nothing to do: the app has {what}, and its runtimes are pinned.")


def _for(one: Placed) -> str:
    """Say which devices take a bundle."""
    if one.chip == CPU_CHIP:
        return "every device without a bundle of its own, and those on which that one fails"
    return f"{one.chip} of {', '.join(one.socs)}" if one.socs else one.chip


def _pin(pin: Pin) -> str:
    if not pin.changed:
        return f"{pin.key} {pin.after}"
    return f"{pin.key} {pin.after} (it was {pin.before or 'not there'})"
