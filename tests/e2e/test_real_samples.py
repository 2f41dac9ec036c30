"""The samples with real weights, as the documentation shows them: written, built within their budgets, and tried."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.files import load_samples
from edgekit.errors import ToolchainError
from edgekit.spec import project, scaffold
from edgekit.spec.samples.packages import require
from tests.e2e.conftest import Finished, edgekit

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


def block(page: str, language: str, part: str) -> str:
    """Return the one code block of a page that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    (found,) = (one for one in blocks if part in one)
    return str(found)


def commands(page: str, sample: str, cwd: Path) -> list[Finished]:
    """Run what a page shows of a sample, line by line, with JSON; skip where packages are missing."""
    chosen = next(one for one in scaffold.SAMPLES if one.name == sample)
    try:
        require(chosen.packages, f"The sample {sample}")
    except ToolchainError as error:
        pytest.skip(f"{error.message} {error.hint}")
    lines = [shlex.split(line, comments=True) for line in block(page, "sh", f"--sample {sample}").splitlines()]
    done = [edgekit(*words[1:], "--json", cwd=cwd) for words in lines if words[0].endswith("edgekit")]
    for finished in done:
        assert finished.code == 0, finished.err
    return done


def totals(build: Finished) -> dict[str, Any]:
    """Return the metrics of each file in total."""
    (bundle,) = build.json["bundles"]
    legs = [leg for leg in bundle["manifest"]["drift"]["legs"] if leg["name"] == "total"]
    return {leg["artifact"]: leg["metrics"] for leg in legs}


def test_the_classifier_of_the_readme(tmp_path: Path) -> None:
    """Both files are within the budget, a fourth of the float bytes and int8 throughout; a cat is one."""
    init, build, run = commands("README.md", "efficientnet-lite0", tmp_path)
    assert init.json["sample"] == "efficientnet-lite0"
    assert build.json["passed"] is True
    (bundle,) = build.json["bundles"]
    for artifact in bundle["manifest"]["artifacts"]:
        assert artifact["bytes"] < 0.27 * bundle["manifest"]["model"]["float_bytes"]
        assert artifact["int8_fraction"] > 0.9
        assert artifact["delegated_fraction"] == 1
    assert all(metrics["sqnr_db"] > 24 for metrics in totals(build).values())
    assert run.json["classes"][0]["label"] == "Egyptian cat"
    assert json.loads((tmp_path / bundle["folder"] / "manifest.json").read_text("utf-8")) == bundle["manifest"]


def test_the_sentence_encoder_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files are within the budget; sentences of one's own become calibration data as the guide shows it."""
    _, build = commands("docs/data.md", "minilm", tmp_path)
    assert build.json["passed"] is True
    (bundle,) = build.json["bundles"]
    for artifact in bundle["manifest"]["artifacts"]:
        assert artifact["bytes"] < 0.3 * bundle["manifest"]["model"]["float_bytes"]
    assert all(metrics["cosine"] > 0.99 for metrics in totals(build).values())
    monkeypatch.chdir(tmp_path)
    exec(block("docs/data.md", "python", "tokenizer"), {"sentences": ["A cat sleeps.", "Stocks fell."]})  # noqa: S102
    opened = project.load(tmp_path / "my-encoder")
    spec = opened.spec
    read = load_samples(opened.calibration, spec.inputs, spec.preprocessing, spec.labels, spec.tensors, spec.sizes)
    assert len(read) == 2
    with np.load(opened.calibration) as data:
        assert data["mask"].sum(1).tolist() == [6, 5]  # words and full stop, with the marks of beginning and end
