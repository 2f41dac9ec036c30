"""``edgekit build --peak-memory`` on the built sample."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import Build, edgekit

pytestmark = pytest.mark.slow
TARGET = "android-arm64"


def test_memory_is_measured_where_it_is_asked_for_and_known_from_then_on(sample: Build, tmp_path: Path) -> None:
    """Without the option there is no figure and no column; once measured, both are there without it."""
    shutil.copytree(sample.cache, tmp_path / "cache")  # the other tests' tables stay as they are
    build = partial(edgekit, "build", "--target", TARGET, cwd=sample.folder, EDGEKIT_CACHE=str(tmp_path / "cache"))
    (before,) = build("--json").json["bundles"]
    assert before["peak_bytes"] == {}
    (measured,) = build("--peak-memory", "--json").json["bundles"]
    peaks = measured["peak_bytes"]
    assert set(peaks) == {"model.pte", "model.onnx"}
    for artifact in measured["manifest"]["artifacts"]:
        assert artifact["bytes"] < peaks[artifact["file"]] < 2**30
    again = build("--json").json
    assert again["bundles"][0]["peak_bytes"] == peaks
    assert f"memory {TARGET}" not in {one["stage"] for one in again["seconds"]}
    shown = build(COLUMNS="120").out
    assert "peak kB" in shown
    assert f"{peaks['model.pte'] / 1000:,.0f}" in shown
