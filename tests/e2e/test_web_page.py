"""The page of the target web in a real Chromium, on a real .onnx: its self-test, planted faults, a dropped picture."""

import functools
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from edgekit import targets
from edgekit.base import digest
from edgekit.chips.web import library
from edgekit.chips.web.chip import page_files
from edgekit.inspection.predict import predict
from tests.e2e.conftest import Build
from tests.e2e.test_browser import CHROMIUM, CONTRAST, SCREENSHOTS, browser

__all__ = ["browser"]
pytestmark = pytest.mark.slow
WEB = targets.load("web")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder as a page with threads wants it."""

    def end_headers(self) -> None:
        """Keep other pages out, so that the browser gives this one shared memory."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A folder that is served, with the library in it and a bundle."""

    folder: Path
    url: str

    def copy(self, name: str) -> Path:
        """Copy the bundle under another name, for changes."""
        shutil.copytree(self.folder / "bundle", self.folder / name)
        return self.folder / name


@pytest.fixture(scope="module")
def served(sample: Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve what a build for the web has: the same .onnx as for ARM, the golden vectors, and the page."""
    found = library.find(WEB.runtimes[library.PACKAGE])
    if isinstance(found, str):
        pytest.skip(found)
    folder = tmp_path_factory.mktemp("served")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / library.PACKAGE).symlink_to(found.folder)
    shutil.copytree(sample.bundle("android-arm64"), folder / "bundle")
    manifest = sample.manifest("android-arm64")
    manifest["target"] = {**manifest["target"], "name": "web", "platform": "web", "runtimes": WEB.runtimes}
    (folder / "bundle" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "bundle" / "web").mkdir()
    for name, data in page_files().items():
        (folder / "bundle" / name).write_bytes(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(folder=folder, url=f"http://localhost:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def opened(
    browser: Browser, served: Served, name: str, *, width: int = 390, scheme: Literal["light", "dark"] = "light"
) -> Tab:
    """Open the page of a bundle."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.set_default_timeout(120_000)
    tab.goto(f"{served.url}/{name}/web/index.html")
    tab.wait_for_selector("#verdict:not(:empty), #start:enabled")
    return tab


def verdict_of(browser: Browser, served: Served, name: str) -> tuple[str, str]:
    """Return the class of the verdict of a bundle's self-test, and its text."""
    tab = opened(browser, served, name)
    run(tab)
    found = tab.locator("#verdict").get_attribute("class") or "", tab.locator("#verdict").inner_text()
    tab.close()
    return found


def run(tab: Tab, times: int = 5) -> None:
    """Run the self-test by the keyboard, and wait for its end."""
    tab.get_by_label("Timed runs").fill(str(times))
    tab.get_by_label("Timed runs").press("Enter")
    tab.wait_for_selector("#verdict.passed, #verdict.failed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_self_test_passes(browser: Browser, served: Served, scheme: Literal["light", "dark"]) -> None:
    """It says drift by output, time and provider; nothing scrolls sideways, all text stands out, all has a label."""
    tab = opened(browser, served, "bundle", scheme=scheme)
    run(tab)
    SCREENSHOTS.mkdir(exist_ok=True)
    tab.screenshot(path=SCREENSHOTS / f"web-{scheme}.png", full_page=True)
    assert tab.locator("#verdict").inner_text() == "Passed on 5 golden inputs."
    rows = [row.split("\t") for row in tab.locator("#drift tbody tr").all_inner_texts()]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("logits", "float reference", "passed"), ("logits", "host", "passed")
    ]  # fmt: skip
    # The build's answers are of batches, in which a value may take the next step.
    assert rows[1][3] == "equal" or float(rows[1][3]) > 40
    assert "of 5 runs, in this browser: Mozilla" in tab.locator("#time").inner_text()
    assert tab.locator("#ran").inner_text().startswith("digits ran on wasm, ")
    assert tab.evaluate("self.crossOriginIsolated")
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    faint = {place: ratio for place, ratio in tab.evaluate(CONTRAST).items() if ratio < 4.5}
    assert faint == {}
    assert tab.evaluate("[...document.querySelectorAll('input, select')].every((one) => one.labels.length === 1)")
    tab.close()


def test_webgpu_says_which_nodes_it_ran(browser: Browser, served: Served) -> None:
    """On a GPU in software: the self-test passes, and the nodes that were left to WebAssembly are counted."""
    flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    tab = opened(started, served, "bundle")
    tab.get_by_label("Provider").select_option("webgpu")
    run(tab, times=1)
    said = tab.locator("#verdict").inner_text()
    if said == "Failed: This browser has no WebGPU.":
        pytest.skip(said)
    assert said == "Passed on 5 golden inputs."
    found = re.search(r"ran on webgpu, nodes:.* (\d+) on WebGpu", tab.locator("#ran").inner_text())
    assert found is not None
    assert int(found[1]) > 100
    started.close()


def changed(bundle: Path, file: str, data: bytes) -> None:
    """Change a file of a bundle, and its digest in the manifest."""
    text = (bundle / "manifest.json").read_text(encoding="utf-8")
    text = text.replace(digest.of_file(bundle / file), digest.of_bytes(data))
    (bundle / "manifest.json").write_text(text, encoding="utf-8")
    (bundle / file).write_bytes(data)


def test_planted_faults_are_seen(browser: Browser, served: Served) -> None:
    """A changed byte by its digest; other golden values, and another scale in the model, by the comparison itself."""
    file = "golden/2.logits.model.onnx.bin"
    byte = served.copy("byte")
    data = bytearray((byte / file).read_bytes())
    data[5] ^= 1
    (byte / file).write_bytes(data)
    said = f"Failed: {file} was changed: its sha256 is not the manifest's."
    assert verdict_of(browser, served, "byte") == ("failed", said)
    golden = served.copy("golden")
    values = np.frombuffer((golden / file).read_bytes(), "<f4") + np.float32(3)
    changed(golden, file, values.tobytes())
    assert verdict_of(browser, served, "golden") == ("failed", "Failed: an output is further off than allowed.")
    scaled = served.copy("scaled")
    model = onnx.load(scaled / "model.onnx")
    held = {one.name: one for one in model.graph.initializer}
    kinds = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in held]
    scale = held[next(node for node in kinds if len(held[node.input[0]].dims) == 4).input[1]]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 4, scale.name))
    changed(scaled, "model.onnx", model.SerializeToString())
    assert verdict_of(browser, served, "scaled") == ("failed", "Failed: an output is further off than allowed.")


def picture_of(served: Served) -> Path:
    """Return a picture of a digit, as a person would have one: larger than the input, in colour."""
    path = served.folder / "digit.png"
    if not path.exists():
        pictures = np.load(Path(targets.__file__).parents[1] / "spec/samples/digits/evaluation.npz")["pictures"]
        Image.fromarray(pictures[7]).resize((90, 90)).convert("RGB").save(path)
    return path


def test_a_dropped_picture_gets_the_answer_of_the_command_line(browser: Browser, served: Served) -> None:
    """The same label as `edgekit run` says, with its probability; what the page cannot read exactly is refused."""
    path = picture_of(served)
    expected = predict(served.folder / "bundle", path).classes
    tab = opened(browser, served, "bundle")
    tab.get_by_label("Picture").set_input_files(path)
    tab.wait_for_selector("#classes li")
    first = tab.locator("#classes li").first.inner_text()
    label, share = first.removesuffix(" %").split(": ")
    assert label == expected[0][0]
    assert float(share) / 100 == pytest.approx(expected[0][1], abs=0.002)
    grey = Image.open(path).convert("L")
    Image.fromarray(np.asarray(grey).astype(np.uint16) << 8).save(served.folder / "deep.png")
    Image.merge("LA", (grey, grey)).save(served.folder / "clear.png")
    (served.folder / "none.png").write_bytes(b"no picture")
    for name, said in (("deep", "16 bits"), ("clear", "Transparent"), ("none", "none.png cannot be read")):
        tab.get_by_label("Picture").set_input_files(served.folder / f"{name}.png")
        tab.get_by_role("alert").filter(has_text=said).wait_for()
        assert tab.locator("#classes li").count() == 0
    tab.close()


def test_a_person_draws_by_keyboard(browser: Browser, served: Served) -> None:
    """A stroke downwards is a one, or at least an answer; Clear takes it away."""
    tab = opened(browser, served, "bundle")
    tab.locator("#canvas").focus()
    for key, times in (("Shift+ArrowUp", 6), ("ArrowDown", 12)):
        for _ in range(times):
            tab.keyboard.press(key)
    tab.wait_for_selector("#classes li")
    assert tab.locator("#classes li").count() == 5
    tab.get_by_role("button", name="Clear").click()
    assert tab.locator("#classes li").count() == 0
    tab.close()


def test_without_the_library_the_page_says_what_to_do(browser: Browser, served: Served) -> None:
    """Another version is not taken either."""
    other = served.copy("other")
    manifest = (other / "manifest.json").read_text(encoding="utf-8")
    (other / "manifest.json").write_text(manifest.replace(f'"{WEB.runtimes[library.PACKAGE]}"', '"9.9.9"'))
    kind, said = verdict_of(browser, served, "other")
    assert kind == "failed"
    assert said.endswith("the bundle is for 9.9.9: npm install onnxruntime-web@9.9.9")
