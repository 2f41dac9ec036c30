"""Take ``docs/report.png``, the picture in docs/report.md: the page of a bundle, as Chromium shows it.

Give the bundle's folder, and a section of its page to begin with, for instance ``layers``.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

_SIZE = {"width": 1120, "height": 1180}


def main() -> None:
    """Open the page, and keep what is seen, with few colours."""
    folder, name = Path(sys.argv[1]).resolve(), sys.argv[2]
    picture = Path(__file__).resolve().parent.parent / "docs" / f"report-{name}.png"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=_SIZE, reduced_motion="reduce")  # type: ignore[arg-type]
        page.goto(f"{(folder / 'report.html').as_uri()}#{name}")
        page.wait_for_timeout(500)
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    shot.convert("RGB").quantize(64, method=Image.Quantize.MEDIANCUT).save(picture, optimize=True)
    sys.stdout.write(f"wrote {picture}: {picture.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
