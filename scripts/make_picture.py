"""Draw the pictures of the terminal in the documentation: what real builds of the sample print at the end."""

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edgekit import targets
from edgekit.api import build_project
from edgekit.render import verdict
from edgekit.render.next_step import next_step
from edgekit.render.summary import show_summary
from edgekit.render.tables import show_build
from edgekit.render.terminal import TerminalProgress
from edgekit.spec import project, scaffold

_DOCS = Path(__file__).resolve().parent.parent / "docs"
# What a build is too far off for, so that the picture shows how a failure is told.
_STRICT = ("min_sqnr_db = 25", "min_sqnr_db = 45")


def main() -> None:
    """Build the sample as it is, and with a limit that it cannot keep."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        draw("build.svg", project.SAMPLE)
        scaffold.init(Path("strict"))
        file = Path("strict", "edgekit.toml")
        file.write_text(file.read_text(encoding="utf-8").replace(*_STRICT), encoding="utf-8")
        draw("build-failed.svg", Path("strict"))


def draw(name: str, folder: Path) -> None:
    """Build a project, and draw what the command line prints at the end."""
    progress = TerminalProgress(sys.stderr)
    result = build_project(project.load(folder), (targets.load("android-arm64"),), Path("artifacts"), progress)
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    show_summary(console, result)
    show_build(console, result)
    for built in result.bundles:
        lines = list(verdict.of_manifest(built.manifest))
        if lines:
            console.print(Text.assemble(("error:", "bold red"), " over budget:"))
            for line in lines:
                console.print(Text(f"  - {built.manifest.target.name}: {line}"))
            console.print(
                Text.assemble(("hint:", "bold"), f" {next_step(built.manifest, built.folder, result.ranking)}")
            )
    drawn = console.export_svg(title="edgekit build -t android-arm64", unique_id=name.removesuffix(".svg"))
    # The font would be fetched from the network by whoever opens the picture; any monospaced one will do.
    drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)
    (_DOCS / name).write_text(drawn + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {_DOCS / name}\n")


if __name__ == "__main__":
    main()
