"""Environments: EdgeKit's own, and one for every peer whose packages it lacks, made by `scripts/bench setup`."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".bench"
REQUIREMENTS = Path(__file__).parent / "requirements"
# The zoo's environment is none of a peer, and made by bench/zoo/environment.py.
NAMES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if path.stem != "zoo"))


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment; the empty name is EdgeKit's own."""
    return WORK / environment / "bin" / "python" if environment else Path(sys.executable)


def missing(environment: str) -> str:
    """Say why an environment cannot be used; empty if it can."""
    if not environment or _stamp(environment).is_file():
        return ""
    failure = WORK / f"{environment}.failed"
    if failure.is_file():
        return f"could not be installed: {failure.read_text(encoding='utf-8').strip()}"
    return "is not installed: scripts/bench setup"


def setup(environment: str) -> bool:
    """Make an environment of its requirements, unless it is there; honours pip's settings. False if pip failed."""
    requirements, stamp = REQUIREMENTS / f"{environment}.txt", _stamp(environment)
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return True
    venv.create(WORK / environment, with_pip=True, clear=True)
    command: list[str | Path] = [
        python_of(environment),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--quiet",
        "-r",
        requirements,
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    failure = WORK / f"{environment}.failed"
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        failure.write_text(errors[-1] if errors else f"pip ended with {done.returncode}", encoding="utf-8")
        return False
    failure.unlink(missing_ok=True)
    stamp.write_text(wanted, encoding="utf-8")
    return True


def _stamp(environment: str) -> Path:
    return WORK / environment / ".bench-stamp"
