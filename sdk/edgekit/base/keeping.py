"""Where to keep what a build makes on its way, if anywhere."""

import os
from pathlib import Path

VARIABLE = "EDGEKIT_KEEP"


def keep_folder(given: str | Path | None) -> Path | None:
    """Return the folder that was given or, unless one was, the one that ``EDGEKIT_KEEP`` names; None: keep nothing."""
    named = given or os.environ.get(VARIABLE)
    return Path(named) if named else None
