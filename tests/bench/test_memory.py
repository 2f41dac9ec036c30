"""Memory does not grow with the number of samples; scaled down, and by hand in full: ``scripts/memory``."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.memory import build, write_project

pytestmark = pytest.mark.slow

# What the largest of these sets would take in memory as float32, once.
_WHOLE_MB = 1200 * 3 * 224 * 224 * 4 / 1e6
_ALLOWED_MB = 150


def test_more_pictures_take_no_more_memory(tmp_path: Path) -> None:
    """Their inputs alone are some 700 MB; of 200 as many batches are on their way at once as of more."""
    peaks = []
    for count in (200, 1200):
        write_project(tmp_path / str(count), "classifier", count, 224, 1000)
        peaks.append(build(tmp_path / str(count), ("onnx",))["peak_mb"])
    assert _WHOLE_MB > 4 * _ALLOWED_MB
    assert abs(peaks[1] - peaks[0]) < _ALLOWED_MB


def test_what_is_held_is_seen() -> None:
    """The twin: arrays that a process holds count."""
    script = (
        "import numpy as np\nfrom bench.memory import peak_mb\nbefore = peak_mb()\n"
        f"held = np.ones({int(_ALLOWED_MB * 4)} * 10**6, np.uint8)\nprint(peak_mb() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 3 * _ALLOWED_MB
