"""The process that reads a .pte of others: ``python -m edgekit.inspection.reader``, started by ``pte``."""

import dataclasses
import json
from pathlib import Path

from executorch.exir._serialize import _program  # noqa: F401 - loaded before memory is limited

from edgekit.base import child
from edgekit.base.frames import Facts
from edgekit.inspection import pte


def answer(facts: Facts, parts: list[bytes]) -> tuple[Facts, tuple[bytes, ...]]:
    """Return what is in a file as JSON, or what is wrong with it."""
    try:
        return {"file": json.dumps(dataclasses.asdict(pte.read(Path(str(facts["file"])))))}, ()
    except MemoryError:
        raise
    except Exception as error:  # a damaged flatbuffer fails wherever the reader happens to step on it
        return {"error": f"{type(error).__name__}: {error}"[:1000]}, ()


if __name__ == "__main__":
    child.serve(answer)
