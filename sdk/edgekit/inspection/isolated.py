"""Look into an artifact in a process of its own: what is made to crash its reader takes nothing along."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from edgekit.base.child import Child, ChildError
from edgekit.base.frames import Facts
from edgekit.errors import RunError
from edgekit.spec import Format

T = TypeVar("T")
# What readers, one of which goes through JSON, may take for a file: far more than for any that a build writes.
_LEAST, _PER_BYTE = 2**30, 256
_LEAST_S, _BYTES_A_SECOND = 10.0, 2**20


def read(path: Path, format: Format, kind: type[T]) -> T:
    """Return what the reader of a format finds in a file.

    Args:
        path: The file.
        format: Its format.
        kind: The value that tells what is in it.

    Raises:
        RunError: If it is damaged, or its reader crashes, or takes longer or more memory than a file of its size may.
    """
    size = path.stat().st_size
    question: Facts = {"file": str(path.resolve()), "path": str(path)}
    try:
        child = Child("edgekit.inspection.reader", format.value, memory=_LEAST + _PER_BYTE * size)
        found, _ = child.ask(question, seconds=_LEAST_S + size / _BYTES_A_SECOND)
    except ChildError as error:
        raise RunError(f"{path} {error} when it is read.", hint=hint(format)) from error
    child.close()
    if "error" in found:
        raise RunError(f"{path} is damaged: {found['error']}", hint=hint(format))
    try:
        return TypeAdapter(kind).validate_json(str(found["found"]))
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {error.errors()[0]['msg']}", hint=hint(format)) from error


def hint(format: Format) -> str:
    """Return what to do about a damaged file."""
    return f"The file is cut off or no .{format}. Copy it again, or build it again."
