"""Run a .tflite in LiteRT's own environment, in a process that answers questions on its standard input."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.environments import python_of

Array = npt.NDArray[Any]
_PROGRAM = Path(__file__).with_name("litert_runner.py")


def execute(path: Path, samples: Array) -> Array:
    """Run samples of shape (samples, ...) one by one and return the first output."""
    with tempfile.TemporaryDirectory() as folder:
        given, wanted = Path(folder) / "inputs.npy", Path(folder) / "outputs.npy"
        np.save(given, samples)
        subprocess.run(
            [python_of("litert"), _PROGRAM, path, given, wanted],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        outputs: Array = np.load(wanted, allow_pickle=False)
    return outputs


class Timer:
    """Times runs of one sample; a context that ends the process."""

    def __init__(self, path: Path, sample: Array) -> None:
        self.folder = tempfile.TemporaryDirectory()
        given = Path(self.folder.name) / "inputs.npy"
        np.save(given, sample)
        self.process = subprocess.Popen(
            [python_of("litert"), _PROGRAM, path, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, count: int) -> list[float]:
        """Run so often and return the seconds of each run."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(count, file=self.process.stdin, flush=True)
        seconds: list[float] = json.loads(self.process.stdout.readline())
        return seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
        self.folder.cleanup()


def runtime_version() -> str:
    """Return the version of the runtime in its environment."""
    code = "from importlib.metadata import version; print(version('ai-edge-litert'))"
    done = subprocess.run([python_of("litert"), "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()
