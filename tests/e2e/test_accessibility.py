"""The pages by axe-core, which checks the rules of WCAG that a machine can: at a desk, on a phone, dark, in print."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page

from tests.e2e.test_browser import PAGES, browser, folder, open_page

VERSION = "4.10.3"
__all__ = ["browser", "folder"]  # fixtures

LOOKS: dict[str, tuple[int, Literal["light", "dark"], bool]] = {
    "desktop": (1440, "light", False),
    "phone": (390, "light", False),
    "dark": (1440, "dark", False),
    "print": (720, "light", True),
}


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fetch axe-core from npm once."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed; the pages were not checked by axe-core")
    place = tmp_path_factory.mktemp("axe")
    wanted = ["npm", "install", "--no-save", "--ignore-scripts", "--prefix", str(place), f"axe-core@{VERSION}"]
    done = subprocess.run(wanted, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"axe-core cannot be had from npm: {done.stderr.strip()[-200:]}")
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(tab: Page, axe: str) -> list[str]:
    """Return what breaks a rule, with the first place of each."""
    tab.evaluate(axe)
    found: dict[str, Any] = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found["violations"]]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_no_rule_is_broken(browser: Browser, folder: Path, axe: str, name: str, look: str) -> None:
    """Of any page, with all that is folded open."""
    width, scheme, printed = LOOKS[look]
    found = open_page(browser, folder / f"{name}.html", width=width, scheme=scheme)
    if printed:
        found.tab.emulate_media(media="print")
    found.tab.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert violations(found.tab, axe) == []
    found.tab.close()


def test_broken_rules_are_found(browser: Browser, folder: Path, axe: str) -> None:
    """The negative twin: a picture without words, a field without a label, and pale text."""
    found = open_page(browser, folder / "build.html")
    found.tab.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input><img src=\"data:,\">')")
    found.tab.add_style_tag(content=".lead { color: #aaa !important }")
    rules = {one.partition(":")[0] for one in violations(found.tab, axe)}
    assert {"label", "image-alt", "color-contrast"} <= rules
    found.tab.close()
