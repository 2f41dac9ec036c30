"""The process that holds Apple's runtime, ``python -m edgekit.chips.coreai.runner``: see `simulator`."""

import asyncio
import hashlib
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import NDArray

from edgekit.base.frames import Facts
from edgekit.chips.simulator import Batch, Loaded, serve

_FOLDER = "model.aimodel"
_FILES = ("main.hash", "main.mlirb", "metadata.json")


def load(data: bytes, facts: Facts) -> Loaded:
    """Load an .aimodel in an archive; the runtime compiles it for this processor."""
    loop = asyncio.new_event_loop()
    scratch = tempfile.TemporaryDirectory()
    folder = Path(scratch.name) / _FOLDER
    folder.mkdir()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in _FILES:
            (folder / name).write_bytes(archive.read(f"{_FOLDER}/{name}"))
    if hashlib.sha256((folder / "main.mlirb").read_bytes()).digest() != (folder / "main.hash").read_bytes():
        raise ValueError("main.mlirb is not what main.hash says")  # the runtime itself does not look
    held = AIModelAsset.load(folder).executable()
    model = loop.run_until_complete(held.__aenter__())
    function = model.load_function("main")
    outputs: Any = facts["outputs"]

    def run(batch: Batch) -> list[Any]:
        inputs: Any = {name: NDArray(np.ascontiguousarray(array)) for name, array in batch.items()}
        found: Any = loop.run_until_complete(function(inputs))
        return [np.array(found[name].numpy()) for name in outputs]

    run.__dict__["held"] = held, scratch  # as long as it runs
    return run, {}, ()


if __name__ == "__main__":
    serve(load)
