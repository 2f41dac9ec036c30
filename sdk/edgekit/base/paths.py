"""Whether there is a file or a folder of a name that somebody wrote down: also of one that no system can have."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is such a file; of names that are too long, or hold what names cannot, there is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether there is such a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    """Whether there is anything of that name."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
