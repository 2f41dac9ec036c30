"""Import a person's Python file and find a function in it; nothing in it ends the process."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Never

from edgekit.base import digest
from edgekit.errors import EdgeKitError
from edgekit.spec.schema import did_you_mean


def load_function(file: Path, function: str, *, key: str, error: type[EdgeKitError]) -> Callable[..., Any]:
    """Import a file and return a function of it.

    Args:
        file: The Python file.
        function: The name of the function.
        key: The place in the project file that names it, for messages.
        error: The class to raise.

    Raises:
        EdgeKitError: Of the class ``error``, if the file fails or has no such function.
    """
    module = _import(file, key, error)
    found = getattr(module, function, None)
    if not callable(found):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise error(f"{file} has no function {function}{did_you_mean(function, known)}", hint=f"Correct {key}.")
    result: Callable[..., Any] = found
    return result


def _import(file: Path, key: str, error: type[EdgeKitError]) -> ModuleType:
    # The name is the file's and its use's own: no other project's model.py, no installed module, and not the same file
    # imported for another use can be meant by it.
    name = f"edgekit_{digest.of_bytes(f'{key}:{file.resolve()}'.encode())[:16]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise error(f"{file} is no Python file.", hint=f"Correct {key}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and torch look modules up while their classes are made and used
    try:
        with contained():
            spec.loader.exec_module(module)
    except Exception as fault:  # anything may be raised by a person's code
        del sys.modules[name]
        raise error(f"Importing {place(file, fault)}", hint="Does `python` run this file?") from fault
    return module


class Ended(Exception):  # noqa: N818 - it says what a person's code did
    """A person's code asked for the end of the process, or raised what no ``except Exception`` catches."""


@contextmanager
def contained() -> Iterator[None]:
    """Let a person's code end itself alone: what would end the process is raised as `Ended` instead.

    An interrupt from the keyboard stays one. A child process that the code forks may end as it likes.
    """
    process, leave = os.getpid(), os._exit

    def refuse(status: int = 0) -> Never:
        if os.getpid() != process:
            leave(status)
        raise Ended(f"os._exit({status}) was called, which would end EdgeKit itself")

    os._exit = refuse
    try:
        yield
    except (Exception, GeneratorExit):
        raise
    except SystemExit as error:
        raise Ended(f"sys.exit({error.code!r}) was called, which would end EdgeKit itself") from error
    except KeyboardInterrupt as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line or ""
        if not line.startswith("raise"):
            raise
        raise Ended("KeyboardInterrupt was raised by the code itself") from error
    except BaseException as error:
        raise Ended(f"{type(error).__name__}: {error}") from error
    finally:
        os._exit = leave


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours; afterwards ``sys.path`` and the neighbours' names are as they were.

    No byte code is written: a file that is edited twice within a second would be taken for the old one.
    """
    entry = str(folder.resolve())
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    path_before, quiet_before = list(sys.path), sys.dont_write_bytecode
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
    sys.path.insert(0, entry)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path_before, quiet_before
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(hidden)


def place(file: Path, error: Exception) -> str:
    """Return file, line and reason; the line is the last one in the file itself."""
    lines = _lines(file, error)
    if not lines and error.__cause__ is not None:  # it was contained
        lines = _lines(file, error.__cause__)
    line = f":{lines[-1]}" if lines else ""
    kind = "" if isinstance(error, Ended) else f"{type(error).__name__}: "
    return f"{file}{line} failed: {kind}{error}"


def _lines(file: Path, error: BaseException) -> list[int | None]:
    """Return the lines of a file that an error went through, the innermost last."""
    own = {str(file), str(file.absolute()), str(file.resolve())}
    return [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
