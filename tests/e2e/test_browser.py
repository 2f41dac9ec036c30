"""The pages in a real Chromium: no errors, sorting, filtering, choosing, the keyboard, narrow screens, dark, print.

Screenshots go to ``.screenshots`` in the checkout.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, sync_playwright
from playwright.sync_api import Page as Tab

from edgekit.bundles import manifest
from edgekit.bundles.changes import Side
from edgekit.bundles.compare import compare_builds
from edgekit.bundles.manifest import Manifest
from edgekit.render.page import build
from edgekit.render.page.changes import of_changes
from edgekit.render.page.many import of_bundles
from tests.unit import examples, profiles

pytestmark = pytest.mark.slow
SCREENSHOTS = Path(__file__).parent.parent.parent / ".screenshots"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
PAGES = ("build", "profile", "failed", "compare", "many")
# The least contrast of text against what is behind it, by kind of element, as WCAG 2.2 defines it.
CONTRAST = """() => {
  const parse = (text) => { // "rgb(1, 2, 3)", and "color(srgb 0.1 0.2 0.3)" of what is mixed
    const found = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color") ? found.map((value, i) => (i < 3 ? 255 * value : value)) : found;
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * linear(rgb[i] / 255), 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest("svg, script, .skip") || !node.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = `${node.tagName}.${node.className}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}"""


@dataclass(kw_only=True)
class Opened:
    """A page in the browser, and what it complained of."""

    tab: Tab
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium once."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium); the pages were not opened")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one page of each kind."""
    place = tmp_path_factory.mktemp("pages")
    good, bad = examples.manifest(), examples.manifest(breach=True, large=True)
    reports = [manifest.report(one) for one in (good, bad)]
    sides = [Side(path=one.verdict, report=one, drift=one.drift) for one in reports]
    texts = {
        "build": build.of_bundle(good),
        "profile": build.of_bundle(stays(good), profiles.profile(layers=40), drawing=examples.drawing(8)),
        "failed": build.of_bundle(bad),
        "compare": of_changes(compare_builds(*sides)),
        "many": of_bundles(sides, [None, None]),
    }
    assert tuple(texts) == PAGES
    for name, text in texts.items():
        (place / f"{name}.html").write_text(text, encoding="utf-8")
    SCREENSHOTS.mkdir(exist_ok=True)
    return place


def stays(built: Manifest) -> Manifest:
    """Return a manifest whose first file computes an operation in float, outside of the delegate."""
    left = examples.left_out("hardswish", "features.1.act", outside=True)
    return built.model_copy(
        update={"artifacts": (built.artifacts[0].model_copy(update={"left_out": (left,)}), *built.artifacts[1:])}
    )


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Opened]:
    """Open the page of a profile; whatever a test does, nothing may be complained of and nothing fetched."""
    with_tab = open_page(browser, folder / "profile.html")
    yield with_tab
    with_tab.tab.close()
    assert with_tab.complaints == []


# The page draws one plot after the other; those that are hidden wait.
DRAWN = "[...document.querySelectorAll('[data-plot]')].every((one) => !one.clientWidth || one.querySelector('svg'))"


def open_page(browser: Browser, file: Path, *, width: int = 1200, scheme: Literal["light", "dark"] = "light") -> Opened:
    """Open a page, and listen to what it says."""
    found = Opened(tab=browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme))
    found.tab.on("console", lambda message: found.complaints.append(message.text))
    found.tab.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.tab.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else found.complaints.append(request.url),
    )
    found.tab.goto(file.as_uri())
    if file.stem == "profile":
        tries = 0
        while not found.tab.evaluate(DRAWN):  # the page's own policy lets no string wait in it
            tries += 1
            assert tries < 1000, "the plots are not drawn"
            found.tab.wait_for_timeout(20)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 768, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_pages_open_at_any_width_and_in_both_schemes(
    browser: Browser, folder: Path, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Nothing is complained of, the page never scrolls sideways, and all text stands out from what is behind it."""
    found = open_page(browser, folder / f"{name}.html", width=width, scheme=scheme)
    found.tab.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
    assert found.tab.evaluate("document.documentElement.scrollWidth") == width
    background = found.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 150) == (scheme == "dark")
    faint = {place: ratio for place, ratio in found.tab.evaluate(CONTRAST).items() if ratio < 4.5}
    assert faint == {}
    found.tab.close()
    assert found.complaints == []


def test_faint_text_and_complaints_are_noticed(browser: Browser, folder: Path) -> None:
    """The negative twin of the above: pale grey, an image from elsewhere, an error, and something too wide."""
    found = open_page(browser, folder / "build.html", width=360)
    found.tab.add_style_tag(content="caption { color: color-mix(in srgb, #aaa 99%, #fff) !important }")
    assert "CAPTION." in {place for place, ratio in found.tab.evaluate(CONTRAST).items() if ratio < 4.5}
    found.tab.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
    found.tab.wait_for_timeout(100)
    assert "img-src" in found.complaints[0]
    found.tab.evaluate("document.querySelector('main').style.width = '500px'")
    assert found.tab.evaluate("document.documentElement.scrollWidth") > 360
    found.tab.close()


def column(table: Locator, number: int) -> list[str]:
    """Return the texts of a column's visible cells."""
    return table.locator(f"tbody tr:visible > :nth-child({number})").all_inner_texts()


def test_tables_sort_by_value(opened: Opened) -> None:
    """By numbers as numbers, up and down, the direction told to assistive technology; empty cells stay last."""
    table = opened.tab.locator("#layer-table")
    gain = table.get_by_role("button", name="gain dB")
    gain.click()
    values = [float(text) for text in column(table, 5)]
    assert values == sorted(values)
    assert len(values) == 40
    assert gain.locator("xpath=..").get_attribute("aria-sort") == "ascending"
    gain.press("Enter")
    assert [float(text) for text in column(table, 5)] == sorted(values, reverse=True)
    table.get_by_role("button", name="int8").click()
    sizes = [
        float(text)
        for text in table.locator("tbody tr > :nth-child(6) data").evaluate_all("a => a.map((d) => d.value)")
    ]
    assert sizes == sorted(sizes)
    shown = column(table, 6)
    assert shown.index("208 B") < shown.index("1.5 kB")  # by bytes, not by letters


def test_tables_filter(opened: Opened) -> None:
    """What is typed must be in the row; how many are left is said, and nothing is lost."""
    table = opened.tab.locator("#layer-table")
    field_ = opened.tab.get_by_label("Filter the layers")
    field_.fill("se.fc")
    assert column(table, 2) == ["features.1.se.fc1", "features.1.se.fc2", "features.3.se.fc1"]
    assert opened.tab.locator("#layers output").inner_text() == "3 of 40"
    field_.fill("nothing of the kind")
    assert column(table, 2) == []
    field_.fill("")
    assert len(column(table, 2)) == 40


def test_the_chosen_layer_is_shown(opened: Opened) -> None:
    """First the one that costs most; then, by mouse or keyboard, the one that is asked for, with its histograms."""
    details = opened.tab.locator("#layer-details article:visible")
    assert details.locator("h3 code").inner_text() == "features.0"
    opened.tab.get_by_role("button", name="features.3.se.fc1").click()
    assert details.count() == 1
    assert details.locator("h3 code").inner_text() == "features.3.se.fc1"
    assert details.locator("svg").count() == 2
    chosen = opened.tab.locator("#layer-table button[aria-pressed=true]")
    assert chosen.inner_text() == "features.3.se.fc1"
    chosen.press("ArrowDown")
    opened.tab.keyboard.press("Enter")
    assert details.locator("h3 code").inner_text() == "features.3.project.0"
    opened.tab.locator("#layers").screenshot(path=SCREENSHOTS / "layers.png")


def test_the_keyboard_reaches_everything(opened: Opened) -> None:
    """The first stop leads past the navigation; focus is always to be seen, and never leaves the page early."""
    opened.tab.keyboard.press("Tab")
    assert opened.tab.evaluate("document.activeElement.className") == "skip"
    opened.tab.keyboard.press("Enter")
    seen = set()
    for _ in range(40):
        opened.tab.keyboard.press("Tab")
        focus = opened.tab.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.tagName + ':' + (e.type ?? e.className), s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
        )
        assert focus[1:] == ["solid", 2] or focus[1] == "auto"
        seen.add(focus[0])
    assert {"BUTTON:button", "INPUT:search", "DIV:scroll", "SUMMARY:"} <= {one.replace("undefined", "") for one in seen}


def test_plots_are_drawn_from_the_json(opened: Opened) -> None:
    """One mark for each figure: layers, sizes, bins, moved answers; and the pictures of the samples."""
    assert opened.tab.locator("[data-plot=sensitivity] circle").count() == 80
    assert opened.tab.locator("[data-plot=moved]").count() == 2
    assert opened.tab.locator("[data-plot=latency] rect").count() >= 4 * 40
    widths = opened.tab.evaluate(
        "[...document.querySelectorAll('[data-plot=sizes] rect')].map((r) => r.width.baseVal.value)"
    )
    assert len(widths) == 2 * 39  # the addition has no weights
    assert max(widths) > 10 * min(width for width in widths if width)
    loaded = opened.tab.evaluate("[...document.images].map((i) => i.complete && i.naturalWidth)")
    assert loaded == [16] * 6
    for name in ("sensitivity", "sizes", "latency", "moved", "range"):
        assert opened.tab.locator(f"[data-plot={name}] svg[aria-label]").count() >= 1


def test_every_table_has_a_caption_and_headings_step_down_one_by_one(opened: Opened) -> None:
    """What assistive technology goes by: captions, scopes, labels, one first heading and no level left out."""
    counts = opened.tab.evaluate(
        "({captions: [...document.querySelectorAll('table')].filter((t) => !t.caption?.textContent.trim()).length,"
        " scopes: document.querySelectorAll('th:not([scope])').length,"
        " labels: [...document.querySelectorAll('input')].filter((i) => !i.labels.length).length,"
        " alts: document.querySelectorAll('img:not([alt])').length,"
        " twice: [...document.querySelectorAll('[id]')].filter((e) => document.getElementById(e.id) !== e).length})"
    )
    assert counts == {"captions": 0, "scopes": 0, "labels": 0, "alts": 0, "twice": 0}
    levels = opened.tab.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def boxes(tab: Tab) -> list[str]:
    """Return the names of the boxes that are drawn."""
    return [text.split(" ")[0] for text in tab.locator(".network-name").all_inner_texts()]


def test_the_network_is_drawn_folded_and_opens(opened: Opened) -> None:
    """By a click and by the keyboard, in and out again, past modules that hold one other alone."""
    tab = opened.tab
    assert boxes(tab) == ["stem", "features", "head"] or boxes(tab) == ["stem", "features", "0"]
    assert tab.locator(".network-board path").count() == 2
    tab.locator(".network-board button", has_text="features").click()
    assert boxes(tab) == [str(number) for number in range(8)]
    assert tab.evaluate("document.activeElement.closest('.network-board') !== null")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    assert boxes(tab) == ["expand", "act", "project", "add"]
    assert tab.locator(".network-path").inner_text() == "model / features / 1"
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    assert len(boxes(tab)) == 3
    tab.locator(".network-board button", has_text="features").click()
    tab.get_by_role("button", name="model", exact=True).click()
    assert len(boxes(tab)) == 3


def test_the_network_is_coloured_by_what_is_chosen(opened: Opened) -> None:
    """Shares and words follow the choice; an operation says why it is in float."""
    tab = opened.tab

    def share(name: str) -> float:
        box = tab.locator(".network-board button", has_text=name).first
        return float(box.evaluate("(e) => parseFloat(e.style.getPropertyValue('--share'))"))

    offered = tab.locator("#network-by option").all_inner_texts()
    assert {"bytes", "dB lost", "delegate", "precision", "time, estimated"} <= set(offered)
    tab.select_option("#network-by", "bytes")
    assert share("features") == 42
    assert 0 < share("stem") < 42
    tab.select_option("#network-by", "delegate")
    assert (share("features"), share("stem")) == (42, 0)
    assert "1 of 40 outside" in tab.locator(".network-board button", has_text="features").inner_text()
    tab.select_option("#network-of", "1")
    assert share("features") == 0
    tab.select_option("#network-of", "0")
    tab.locator(".network-board button", has_text="features").click()
    tab.locator(".network-board button").nth(1).click()
    tab.locator(".network-board button", has_text="act").click()
    assert "there is no int8 kernel for it" in tab.locator(".network-told").inner_text()
    tab.locator("#network").screenshot(path=SCREENSHOTS / "network.png")


def test_the_network_is_drawn_as_a_treemap(opened: Opened) -> None:
    """Boxes fill the picture, each as large as its bytes; they open and close as those of the graph, by keys, too."""
    tab = opened.tab
    tab.select_option("#network-by", "bytes")
    tab.select_option("#network-as", "map")
    areas = """(all) => all.map((e) => [parseFloat(e.style.width) * parseFloat(e.style.height), e.innerText])"""
    boxes_of = tab.locator(".network-board.map button")
    told = boxes_of.evaluate_all(areas)
    whole = tab.locator(".network-board").evaluate("(e) => parseFloat(e.style.width) * parseFloat(e.style.height)")
    assert sum(area for area, _ in told) == pytest.approx(whole, rel=1e-3)
    assert [area for area, _ in told] == sorted((area for area, _ in told), reverse=True)
    sizes = [float(found[1]) * (1000 if found[2] == "kB" else 1) for found in (
        re.search(r"([0-9.]+) (kB|B)", text) for _, text in told
    ) if found is not None]  # fmt: skip
    shares = [area / whole for area, _ in told]
    assert shares[0] == pytest.approx(sizes[0] / sum(sizes), rel=0.05)
    boxes_of.first.click()
    tab.locator("#network").screenshot(path=SCREENSHOTS / "treemap.png")
    assert tab.locator(".network-path").inner_text().endswith("features")
    assert tab.locator(".network-board path").count() == 0
    first = tab.evaluate("document.activeElement.title")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.title") != first
    tab.keyboard.press("Escape")
    assert tab.locator(".network-path").inner_text() == "model"
    tab.select_option("#network-as", "graph")
    assert tab.locator(".network-board path").count() == 2


def test_ranges_are_shown_as_is_chosen(opened: Opened) -> None:
    """Counts by their square root, as they are, or by their logarithm; weights together, or channel by channel."""
    plot = opened.tab.locator("#layer-details article:visible [data-plot=range]").last

    def heights() -> list[float]:
        bars = plot.locator("svg g").filter(has=opened.tab.locator("rect")).last.locator("rect")
        return [float(one) for one in bars.evaluate_all("(all) => all.map((r) => r.height.baseVal.value)")]

    seen = {}
    for scale in ("sqrt", "linear", "log"):
        opened.tab.select_option("#range-by-counts", scale)
        seen[scale] = sorted(heights())
        assert max(seen[scale]) == pytest.approx(88, abs=1)
    middle = len(seen["sqrt"]) // 3
    assert seen["linear"][middle] < seen["sqrt"][middle] < seen["log"][middle]
    opened.tab.select_option("#range-by-weights", "channel")
    assert "by channel" in str(plot.locator("svg").get_attribute("aria-label"))
    assert len(heights()) == 3
    assert heights() == sorted(heights())
    opened.tab.locator("#layers").screenshot(path=SCREENSHOTS / "channels.png")
    opened.tab.locator("#layer-table tbody button").nth(3).click()  # what was chosen holds for every layer
    assert "by channel" in str(plot.locator("svg").get_attribute("aria-label"))


def test_a_box_leads_to_the_ranges_of_its_layer(opened: Opened) -> None:
    """Where the profile has them."""
    tab = opened.tab
    tab.locator(".network-board button", has_text="features").click()
    tab.locator(".network-board button").nth(3).click()
    tab.locator(".network-board button", has_text="project").click()
    tab.locator(".network-board button").first.click()
    tab.get_by_role("button", name="Its ranges and histograms").click()
    assert tab.locator("#layer-details article:visible h3 code").inner_text() == "features.3.project.0"


def test_the_ranges_of_any_of_300_layers_are_shown(browser: Browser, tmp_path: Path) -> None:
    """Those of the first ones stand in the page, those of the others are made when they are asked for."""
    text = build.of_bundle(examples.manifest(), profiles.profile(layers=300), drawing=examples.drawing(60))
    (tmp_path / "profile.html").write_text(text, encoding="utf-8")
    found = open_page(browser, tmp_path / "profile.html")
    last = found.tab.locator("#layer-table tbody button").nth(250)
    name = last.inner_text()
    last.click()
    shown = found.tab.locator("#layer-details article:visible")
    assert shown.locator("h3 code").inner_text() == name
    assert shown.locator("svg").count() == 2
    assert "values are clipped" in shown.inner_text()
    found.tab.close()
    assert found.complaints == []


def test_paper_shows_all_of_it(opened: Opened) -> None:
    """In print everything folded is open, on white, without controls, and no table is cut off."""
    opened.tab.emulate_media(media="print", color_scheme="dark")
    opened.tab.pdf(path=SCREENSHOTS / "profile.pdf", format="A4")
    assert opened.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.tab.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
    assert opened.tab.evaluate("document.documentElement.scrollWidth") == 718
    assert opened.tab.locator("nav").first.is_hidden()
    assert opened.tab.locator("input").first.is_hidden()
    assert opened.tab.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    opened.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.tab.locator("details:not([open])").count() == 0
    opened.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.tab.locator("details[open]").count() == 0


def test_without_scripts_the_figures_are_there(browser: Browser, folder: Path) -> None:
    """Tables and details need no script; only the plots do."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((folder / "profile.html").as_uri())
    assert tab.locator("article.detail:visible").count() == 40
    assert tab.locator("#layer-table tbody tr").count() == 40
    context.close()
