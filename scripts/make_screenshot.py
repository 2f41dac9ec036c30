"""Take the pictures in docs/report.md: the page of a profiled bundle, whose folder is given, as Chromium shows it."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

# By the section that it begins with.
_PICTURES = {"": "report.png", "#network": "report-network.png", "#layers": "report-layers.png"}


def main() -> None:
    """Open the page, and keep what is seen, in few colours."""
    page = Path(sys.argv[1]).resolve() / "report.html"
    docs = Path(__file__).resolve().parent.parent / "docs"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for section, name in _PICTURES.items():
            tab = browser.new_page(viewport={"width": 1120, "height": 1180}, reduced_motion="reduce")
            tab.goto(page.as_uri() + section)
            tab.wait_for_selector("[data-plot=sensitivity] svg")
            shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
            few = shot.quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(docs / name, optimize=True)
            sys.stdout.write(f"wrote {docs / name}: {(docs / name).stat().st_size / 1000:.0f} kB\n")
        browser.close()


if __name__ == "__main__":
    main()
