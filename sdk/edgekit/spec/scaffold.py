"""A new project: the sample, written out in a form that a person edits."""

import shutil
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.spec.project import PROJECT_FILE, SAMPLE

_FILES = (PROJECT_FILE, "model.py", "weights.safetensors", "calibration.npz", "evaluation.npz")
_OPTIONAL = ("baseline.npz",)
# The sample itself keeps its larger batches: each build of it tries them on both files.
_BATCHES = ("\nbatch = 64\n", "\nbatch = 1\n")


def init(folder: Path) -> tuple[Path, ...]:
    """Write the sample project into a folder, which is created; return the written files.

    Raises:
        ProjectError: If files of these names are there, or the folder cannot be written; then nothing is overwritten.
    """
    names = _FILES + tuple(name for name in _OPTIONAL if (SAMPLE / name).is_file())
    if taken := [name for name in names if (folder / name).exists()]:
        raise ProjectError(
            f"{folder} already has {', '.join(taken)}; nothing was written.", hint="Choose an empty folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = tuple(Path(shutil.copyfile(SAMPLE / name, folder / name)) for name in names)
        settings = (folder / PROJECT_FILE).read_text(encoding="utf-8")
        (folder / PROJECT_FILE).write_text(settings.replace(*_BATCHES), encoding="utf-8")
        return written
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error}", hint="Choose another folder.") from error
