"""Make the pictures of the first ten seconds: what real builds of the sample print, and what their pages show first.

Three builds: one that passes, one that fails, and one whose file nothing on this machine executes.
"""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from edgekit import targets
from edgekit.api import build_project
from edgekit.bundles import verdict
from edgekit.render.next_step import next_step
from edgekit.render.summary import show_summary
from edgekit.render.tables import show_build
from edgekit.render.terminal import TerminalProgress
from edgekit.spec import project, scaffold

_DOCS = Path(__file__).resolve().parent.parent / "docs"
# What a build is too far off for, so that the picture shows how a failure is told.
_STRICT = ("min_sqnr_db = 25", "min_sqnr_db = 45")


def main() -> None:
    """Build the sample as it is, with a limit that it cannot keep, and for a chip that is not here."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        scaffold.init(Path("strict"))
        file = Path("strict", "edgekit.toml")
        file.write_text(file.read_text(encoding="utf-8").replace(*_STRICT), encoding="utf-8")
        for name, place, target in (
            ("passed", project.SAMPLE, "android-arm64"),
            ("failed", Path("strict"), "android-arm64"),
            ("unmeasured", project.SAMPLE, "tensorrt"),
        ):
            bundle = draw("build.svg" if name == "passed" else f"build-{name}.svg", place, target)
            photograph(f"first-{name}.png", bundle / "report.html")


def draw(name: str, folder: Path, target: str) -> Path:
    """Build a project, draw what the command line prints at the end, and return the bundle."""
    progress = TerminalProgress(sys.stderr)
    result = build_project(project.load(folder), (targets.load(target),), Path("artifacts"), progress)
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
    drawn = console.export_svg(title=f"edgekit build -t {target}", unique_id=name.removesuffix(".svg"))
    # The font would be fetched from the network by whoever opens the picture; any monospaced one will do.
    drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)
    (_DOCS / name).write_text(drawn + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {_DOCS / name}\n")
    return result.bundles[0].folder


def photograph(name: str, page: Path) -> None:
    """Keep what is seen of a page before anybody scrolls, in few colours."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport={"width": 1120, "height": 640}, reduced_motion="reduce")
        tab.goto(page.resolve().as_uri())
        shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        browser.close()
    few = shot.quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(_DOCS / name, optimize=True)
    sys.stdout.write(f"wrote {_DOCS / name}: {(_DOCS / name).stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
