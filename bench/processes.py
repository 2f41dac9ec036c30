"""A job in a process of its own, with a log and a limit."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.environments import ROOT


def logged(command: Sequence[str | Path], environment: Mapping[str, str], log: Path, limit_s: float) -> str:
    """Run a command to its end, and say what was wrong if it leaves no report.

    Args:
        command: What to run, from the root of the repository.
        environment: Its environment variables.
        log: The file that takes what it prints.
        limit_s: After so many seconds it is stopped.
    """
    with log.open("w", encoding="utf-8") as file:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=file, stderr=file, check=False, timeout=limit_s
            )
            return f"the process ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            return f"not done after {limit_s} s"
