"""Where Arm's model converter is: its package puts a program beside Python, which need not be on the path."""

import os
import shutil
import sys
from pathlib import Path

VARIABLE = "MODEL_CONVERTER_PATH"
"""What ExecuTorch reads to find it."""


def place() -> str:
    """Return the program: the one that the variable names, else the environment's own."""
    beside = Path(sys.executable).parent
    found = shutil.which("model-converter", path=os.pathsep.join((str(beside), os.environ.get("PATH", ""))))
    return os.environ.get(VARIABLE) or found or "model-converter"
