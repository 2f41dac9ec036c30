"""The process that reads an artifact of others: ``python -m edgekit.inspection.reader``, started by ``isolated``."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from edgekit.base import child
from edgekit.base.frames import Facts
from edgekit.inspection.values import OnnxFile, PteFile
from edgekit.spec import Format

Read = Callable[[Path], PteFile | OnnxFile]


def reader(format: Format) -> Read:
    """Return what reads a format; its library is loaded now, before memory is limited, and no other."""
    match format:
        case Format.PTE:
            from executorch.exir._serialize import _program  # noqa: F401

            from edgekit.inspection import pte

            return pte.read
        case Format.ONNX:
            from edgekit.inspection import onnx

            return onnx.read
        case Format.AIMODEL:
            raise ValueError(f"there is no reader of .{format}")
        case _:
            assert_never(format)


def answer(read: Read, facts: Facts) -> tuple[Facts, tuple[bytes, ...]]:
    """Return what is in a file as JSON, or what is wrong with it."""
    try:
        found = read(Path(str(facts["file"])))
        return {"found": json.dumps({**dataclasses.asdict(found), "path": facts["path"]})}, ()
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes fail wherever a reader happens to step on them
        return {"error": f"{type(error).__name__}: {error}"[:1000]}, ()


if __name__ == "__main__":
    of_format = reader(Format(sys.argv[-1]))
    child.serve(lambda facts, parts: answer(of_format, facts))
