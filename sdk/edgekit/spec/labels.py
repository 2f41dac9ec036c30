"""Names of classes that stand in a file of their own: a thousand of them would bury the rest of a project."""

from pathlib import Path
from typing import Any

from edgekit.base.paths import is_dir, is_file
from edgekit.spec import schema


def read_in(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[str]]:
    """Return a project's data with the lines of the file that ``labels`` names in its place, and what is wrong with it.

    What stands there otherwise is left as it is. Empty lines at the end of the file are no names.
    """
    name = data.get("labels")
    if not isinstance(name, str):
        return data, []
    path = root / name
    names, fault = _lines(path)
    return {**data, "labels": names}, [f"labels: {fault}"] if fault else []


def _lines(path: Path) -> tuple[list[str], str]:
    if not is_file(path):
        beside = [other.name for other in path.parent.iterdir()] if is_dir(path.parent) else []
        nearest = schema.did_you_mean(path.name, beside)
        return [], f"{path} is a folder" if is_dir(path) else f"{path} does not exist{nearest}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [], f"{path} cannot be read: {error}"
    names = [line.strip() for line in text.rstrip().split("\n")]
    return ([], f"line {names.index('') + 1} of {path} is empty") if "" in names else (names, "")
