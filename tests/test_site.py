"""The documentation as a site: it builds without a warning, its links lead somewhere, and it fetches nothing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import edgekit

pytest.importorskip("mkdocs", reason="the site takes the extra docs")
pytest.importorskip("material", reason="the site takes the extra docs")
pytest.importorskip("mkdocstrings", reason="the site takes the extra docs")

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow  # building the site takes ten seconds of a processor


@dataclass
class Read(HTMLParser):
    """What a page of the site links to, fetches, and has as places."""

    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start as the parser does."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given["href"])
        elif "src" in given:
            self.fetched.append(given["src"])


def read(page: Path) -> Read:
    """Return what a page refers to."""
    found = Read()
    found.feed(page.read_text("utf-8"))
    found.close()
    return found


def built(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """Build a site into a folder, as scripts/docs does."""
    words = ("build", "--strict", "--config-file", config, "--site-dir", folder)
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    done = built(folder, ROOT / "mkdocs.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def faults(site: Path) -> Iterator[str]:
    """Yield every link that leads nowhere, and everything that a page would fetch from the network."""
    pages = {page: read(page) for page in site.rglob("*.html")}
    for page, found in pages.items():
        name = page.relative_to(site).as_posix()
        yield from (f"{name} fetches {one}" for one in found.fetched if re.match(r"(https?:)?//", one))
        if name == "404.html":
            continue  # its links begin at the root of the server
        for link in (*found.links, *found.fetched):
            if re.match(r"[a-z]+:|//", link):
                continue
            path, place = urldefrag(link)
            led = (page.parent / unquote(path)).resolve() if path else page
            if not led.exists():
                yield f"{name}: nothing is at {link}"
            elif place and led in pages and unquote(place) not in pages[led].places:
                yield f"{name}: {path or name} has no place {place}"


def test_links_lead_somewhere_and_nothing_is_fetched(site: Path) -> None:
    """On every page, places within pages among them; and from its styles, too."""
    assert len(list(site.rglob("*.html"))) > 50
    assert not list(faults(site))
    styles = [(path.name, path.read_text("utf-8")) for path in site.rglob("*.css")]
    assert len(styles) > 2
    assert not [name for name, text in styles if re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text)]


def test_a_wrong_link_and_a_foreign_font_are_found(tmp_path: Path) -> None:
    """The negative twin."""
    (tmp_path / "a.html").write_text(
        '<link href="https://fonts.example/x.css"><a href="b.html">b</a><a href="#c">c</a>'
    )
    assert len(list(faults(tmp_path))) == 3


def test_a_warning_ends_the_build(tmp_path: Path) -> None:
    """A link to a page that is not there."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Site\n\n[nowhere](gone.md)\n")
    config = tmp_path / "mkdocs.yml"
    config.write_text("site_name: x\nstrict: true\n")
    done = built(tmp_path / "site", config)
    assert done.returncode != 0
    assert "gone.md" in done.stdout + done.stderr


def test_what_markdown_means_is_what_is_shown(site: Path) -> None:
    """Lists, tables and code are such on the site as well, whose Markdown wants blank lines where others do not."""
    left = re.compile(r"<p>(?:(?!</p>).)*(?:\n(?:\* |- |\d\. |\|)|```)", re.DOTALL)
    wrong = [page.relative_to(site).as_posix() for page in site.rglob("*.html") if left.search(page.read_text("utf-8"))]
    assert not wrong


def test_the_api_is_whole(site: Path) -> None:
    """Every public name has its place, with a text."""
    found = read(site / "api.html").places
    public = {f"edgekit.{name}" for name in edgekit.__all__ if name != "__version__"}
    assert public <= found, public - found


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_from_a_folder(site: Path, width: int, scheme: str) -> None:
    """In Chromium, without a server: nothing is asked of the network, nothing is wrong or wider than the page."""
    playwright = pytest.importorskip("playwright.sync_api")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium)
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked: list[str] = []
        wrong: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        for name in ("index", "tutorials/ten-minutes", "project", "zoo", "api", "terms"):
            tab.goto((site / f"{name}.html").as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        tab.goto((site / "index.html").as_uri() + "?q=fallback")  # search, in all pages
        tab.wait_for_selector(".md-search-result__item a[href*='quantize.html']", state="attached")
        browser.close()
    assert not wrong
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
