"""Draw ``docs/build.svg``, the picture in the README: the real table of a real build of the sample."""

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from edgekit import targets
from edgekit.api import build_project
from edgekit.render.summary import show_summary
from edgekit.render.tables import show_build
from edgekit.render.terminal import TerminalProgress
from edgekit.spec import project


def main() -> None:
    """Build the sample and draw what the command line prints at the end."""
    picture = Path(__file__).resolve().parent.parent / "docs" / "build.svg"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        sample = project.load(project.SAMPLE)
        progress = TerminalProgress(sys.stderr)
        result = build_project(sample, (targets.load("android-arm64"),), Path("artifacts"), progress)
        console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True, legacy_windows=False)
        show_summary(console, result)
        show_build(console, result)
        drawn = console.export_svg(title="edgekit build -t android-arm64", unique_id="build")
    # The font would be fetched from the network by whoever opens the picture; any monospaced one will do.
    drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)
    picture.write_text(drawn + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {picture}\n")


if __name__ == "__main__":
    main()
