"""The line of a person's code that an error, or a guard of the tracer, comes from."""

import linecache
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import ShapeEnv

_HERE = str(Path(__file__).parent.parent)
_TORCH = str(Path(torch.__file__).parent)
_LIBRARIES = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of code."""

    file: str
    number: int
    function: str

    @property
    def code(self) -> str:
        """What stands there."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        code = f": {self.code}" if self.code else ""
        return f"{self.file}:{self.number} in {self.function}{code}"


def of_error(error: BaseException) -> Line | None:
    """Return the innermost line of a person's own code that an error went through, or one that it came from.

    Where the whole model is a library's, the line is that library's: it says at least which part.
    """
    lines: list[Line] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = reversed(traceback.extract_tb(cause.__traceback__))
        lines += [Line(file=frame.filename, number=frame.lineno or 0, function=frame.name) for frame in frames]
        cause = cause.__cause__ or cause.__context__
    return _innermost(lines)


@contextmanager
def fixing_sizes() -> Iterator[list[Line]]:
    """Note the lines of a person's code at which the tracer fixes a size, or holds it to be one of some.

    torch says at the end of a trace that a size was fixed, and not where.
    """
    lines: list[Line] = []
    evaluate = ShapeEnv.evaluate_expr

    def noted(self: ShapeEnv, *arguments: Any, **named: Any) -> Any:
        before = len(self.guards), len(self.replacements)
        result = evaluate(self, *arguments, **named)
        changed = (len(self.guards), len(self.replacements)) != before
        if changed and (line := _innermost(_callers())) and line not in lines:
            lines.append(line)
        return result

    ShapeEnv.evaluate_expr = noted  # type: ignore[method-assign]
    try:
        yield lines
    finally:
        ShapeEnv.evaluate_expr = evaluate  # type: ignore[method-assign]


def _callers() -> Iterator[Line]:
    """Yield the lines that are running, the innermost first, up to EdgeKit's own call of the tracer."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_captured":
        yield Line(file=frame.f_code.co_filename, number=frame.f_lineno, function=frame.f_code.co_name)
        frame = frame.f_back


def _innermost(lines: Iterable[Line]) -> Line | None:
    """Return the first line of a person's own code or, where there is none, of a library that is not torch."""
    others = [line for line in lines if not line.file.startswith(("<", _HERE, _TORCH))]
    own = (line for line in others if not str(Path(line.file).resolve()).startswith(_LIBRARIES))
    return next(own, next((line for line in others if "site-packages" in line.file), None))
