"""The process that holds the reference model of TOSA for VGF, ``python -m edgekit.chips.arm.vgf_runner``."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from edgekit.base.frames import Facts
from edgekit.chips.arm.tosa_model import model_of
from edgekit.chips.arm.vgf_converter import place
from edgekit.chips.simulator import Loaded, serve


def load(data: bytes, facts: Facts) -> Loaded:
    """Convert a graph of TOSA, to hold the result against the file's; then run the graph."""
    flags: Any = facts["flags"]
    with tempfile.TemporaryDirectory() as scratch:
        graph, made = Path(scratch) / "graph.tosa", Path(scratch) / "graph.vgf"
        graph.write_bytes(data)
        words = [place(), *flags, "-i", str(graph), "-o", str(made)]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603
        stream = made.read_bytes()
    return model_of(data), {"figures": {"vgf_bytes": len(stream)}}, [stream]


if __name__ == "__main__":
    serve(load)
