"""Consoles, and progress as a person or a log reads it."""

import contextlib
import os
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from edgekit.base.text import plain

LOG_WIDTH = 100


class _Console(Console):
    """A console whose terminal obeys EdgeKit alone: what control characters stand in a text is written out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of what is shown; those of rich itself, which move the cursor, as they are."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(plain(piece.text), piece.style)


def console(stream: TextIO) -> Console:
    """Return a console on a stream; NO_COLOR, COLUMNS and TERM are honoured, in a pipe as well.

    rich would measure the terminal through file descriptors 0 to 2, which are not ours (see ``cli.quiet``).
    """
    said = os.environ.get("COLUMNS", "")
    width = int(said) if said.isdecimal() else 0
    if width == 0:
        width = LOG_WIDTH
        with contextlib.suppress(OSError, ValueError):
            width = os.get_terminal_size(stream.fileno()).columns or LOG_WIDTH
    return _Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def symbol(target: Console, fancy: str, plain: str) -> str:
    """Return ``fancy`` where the console can show it."""
    return fancy if target.encoding.startswith("utf") else plain


class TerminalProgress:
    """Tells the stages of a run: animated on a terminal, one line a stage anywhere else. Implements `Progress`."""

    def __init__(self, stream: TextIO, notes: TextIO | None = None, *, quiet: bool = False) -> None:
        """Take the stream that stages are told on, and the one for notes; the same one unless given.

        Args:
            stream: Where stages are told.
            notes: Where notes are.
            quiet: Tell no stages.
        """
        self._console = console(stream)
        self._quiet = quiet
        self._since = time.monotonic()
        self._notes = console(notes or stream)
        self._running: dict[str, float] = {}
        self._end: float | None = None
        self._live: Live | None = None
        if not quiet and stream.isatty() and not self._console.is_dumb_terminal:
            self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line")
            self._live = Live(
                console=self._console,
                get_renderable=self._line,
                transient=True,
                redirect_stdout=False,  # what libraries print goes elsewhere, see ``cli.quiet``
                redirect_stderr=False,
            )

    def __enter__(self) -> Self:
        """Show at once that something is going on: the first stage may be seconds away, while libraries are loaded."""
        self._go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.clear()
        self._stop()

    def note(self, text: str) -> None:
        """Say what a person must know before the work begins."""
        self._stop()  # the note may go to another stream of the same terminal
        self._notes.print(Text(text), soft_wrap=not self._notes.is_terminal)
        self._go_on()

    def start(self, stage: str, left: float | None = None) -> None:
        """Say that a stage begins."""
        now = time.monotonic()
        self._running[stage] = now
        self._end = None if left is None else now + left
        self._go_on()

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Say that a stage ended."""
        self._running.pop(stage, None)
        self._since = time.monotonic()
        if self._quiet:
            return
        if self._live is None:
            self._console.print(f"[{seconds:6.1f} s] {stage}{': ' if detail else ''}{detail}", soft_wrap=True)
            return
        mark = (symbol(self._console, "✓", "+"), "green")
        self._console.print(Text.assemble(mark, f" {stage}", (f"  {seconds:.1f} s", "cyan"), (f"  {detail}", "dim")))

    def _go_on(self) -> None:
        if self._live is not None and not self._live.is_started:
            self._live.start(refresh=True)  # now, and not a quarter of a second later

    def _stop(self) -> None:
        if self._live is not None and self._live.is_started:
            self._live.stop()

    def _line(self) -> Text:
        stage, since = list(self._running.items())[-1] if self._running else ("preparing", self._since)
        now = time.monotonic()
        frame = self._spinner.render(now)
        text = frame.copy() if isinstance(frame, Text) else Text()
        text.append(f"  {stage}  {now - since:.1f} s")
        if self._end is not None and self._end > now:
            text.append(f"  about {self._end - now:.0f} s left", "dim")
        text.truncate(max(self._console.width - 1, 1), overflow="ellipsis")
        return text
