"""The web: an .onnx in the WebAssembly that browsers load, run by Node.js, and the page's own preprocessing."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit import chips, targets
from edgekit.chips import Trial
from edgekit.chips.web import library
from edgekit.chips.web.chip import page_files
from edgekit.errors import RunError
from edgekit.model.capture import capture
from edgekit.model.onchip import Executed
from edgekit.quantization import quantize
from edgekit.spec import QuantSpec, Scheme
from tests.programs import trials
from tests.programs.networks import images, small_source
from tests.unit.test_vectors import VECTORS, cases

pytestmark = pytest.mark.slow

WEB = targets.load("web")
VERSION = WEB.runtimes[library.PACKAGE]
# Reads cases as JSON, and writes what each picture becomes, one after the other.
SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import { prepared } from "./preprocess.mjs";
const [folder, cases, out] = process.argv.slice(2);
const made = JSON.parse(readFileSync(cases)).map(({ picture, preprocessing }) => {
  const bytes = new Uint8Array(readFileSync(`${folder}/${picture.file}`));
  return Buffer.from(prepared({ ...picture, bytes }, preprocessing).data.buffer);
});
writeFileSync(out, Buffer.concat(made));
"""


@pytest.fixture(scope="module")
def trial() -> Trial:
    """A small network with what it is tried with."""
    captured = capture(small_source(), images(32, seed=1))
    program = quantize(captured, Scheme.INT8, QuantSpec(), images(32, seed=1))
    return trials.trial(WEB, program)


def needs_the_library() -> None:
    """Skip where the library is not installed, with the command that installs it."""
    if isinstance(found := library.find(VERSION), str):
        pytest.skip(found)


def test_the_library_of_the_web_runs_what_was_lowered(trial: Trial) -> None:
    """All samples, as near to ONNX Runtime's kernels for processors as another order of sums is; the page is there."""
    needs_the_library()
    tried = chips.of_target(WEB).run(trial)
    told = tried.on_chip
    assert told is not None
    assert (told.executed, told.samples) == (Executed.HOST, 16)
    assert told.library.startswith(f"onnxruntime-web {VERSION} WASM in Node.js ")
    assert told.figures["samples_within_100_db"] == 16
    assert told.figures.get("db_from_onnxruntime_cpu", np.inf) >= 100
    assert tried.answers.origin.kernels == told.library
    assert {one.file for one in told.page} == set(tried.files)


def test_a_planted_fault_is_caught(trial: Trial) -> None:
    """A scale that was changed gives other answers than the program's; a damaged file is refused."""
    needs_the_library()
    run = chips.of_target(WEB).run
    with pytest.raises(RunError, match="computes something else"):
        run(trials.with_scale_changed(trial))
    with pytest.raises(RunError, match="refuses the file"):
        run(trials.cut_off(trial))


def test_without_the_library_the_program_stands_in(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is run, and the reason is said with the command; the page is there all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    tried = chips.of_target(WEB).run(trial)
    assert tried.answers is trial.answers
    assert tried.on_chip is not None
    assert tried.on_chip.executed is Executed.NOT_EXECUTED
    assert "Node.js is not installed: " in tried.on_chip.library
    assert tried.files == page_files()


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed: sudo apt install nodejs")
def test_another_version_of_the_library_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in a folder above, as Node.js finds it, and refused with the command."""
    package = tmp_path / "node_modules" / library.PACKAGE
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.2.3"}')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = library.find(VERSION)
    assert isinstance(found, str)
    assert found.endswith(f"is of version 1.2.3, the target pins {VERSION}: npm install onnxruntime-web@{VERSION}")
    assert isinstance(library.find("1.2.3"), library.Library)


def test_the_documentation_names_the_pinned_version() -> None:
    """In its command, which the messages give as well, and in its text; and the files that the page consists of."""
    page = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    assert set(re.findall(r"onnxruntime-web[@ ]([\d.]+\d)", page)) == {VERSION}
    assert {f"web/{name}" for name in ("preprocess.js", "runtime.js", "selftest.js")} < set(page_files())


def prepared(given: list[dict[str, Any]], folder: Path) -> bytes:
    """Return what the page's preprocessing makes of pictures, one after the other."""
    (folder / "preprocess.mjs").write_bytes(page_files()["web/preprocess.js"])
    (folder / "run.mjs").write_text(SCRIPT)
    (folder / "cases.json").write_text(json.dumps(given))
    words = ["node", "run.mjs", str(VECTORS / "preprocessing"), "cases.json", "out.bin"]
    subprocess.run(words, cwd=folder, check=True, timeout=120)
    return (folder / "out.bin").read_bytes()


def expected(case: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes that a picture becomes."""
    return np.frombuffer((VECTORS / "preprocessing" / case["expected"]["file"]).read_bytes(), np.uint8)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed: sudo apt install nodejs")
def test_the_page_prepares_pictures_as_the_sdk_does(tmp_path: Path) -> None:
    """To the bit; browsers turn pictures as EXIF says before the page has them. Other steps give other values."""
    upright = [case for case in cases("preprocessing") if case["picture"]["orientation"] == 1]
    assert len(upright) >= 50
    right = b"".join(expected(case).tobytes() for case in upright)
    assert prepared(upright, tmp_path) == right
    case = next(case for case in upright if not case["preprocessing"]["in_graph"])
    steps = {**case["preprocessing"], "mean": [0.123]}
    assert prepared([{**case, "preprocessing": steps}], tmp_path) != expected(case).tobytes()
