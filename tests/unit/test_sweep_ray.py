"""What of the Ray engine can be told without a cluster, and a cluster of this machine where Ray is installed."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from edgekit.cli import main
from edgekit.errors import ToolchainError
from edgekit.pipeline.sweeping.sweep import engine_of, sweep
from edgekit.spec.sweep import read
from tests.sweeps import project, sweep_file

ROOT = Path(__file__).parents[2]


def test_nothing_of_ray_is_outside_of_one_module() -> None:
    """Neither is it imported, nor does another module know a name of its own."""
    package = ROOT / "sdk" / "edgekit"
    found = [path for path in package.rglob("*.py") if re.search(r"import ray\b|\bray\.", path.read_text("utf-8"))]
    assert [path.name for path in found] == ["raycluster.py"]


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read or run."""
    project(tmp_path, "one")
    opened = read(sweep_file(tmp_path, 'projects = ["one"]\ntargets = ["web"]\n'))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for place in ("ray", "ray://head:10001"):
        with pytest.raises(ToolchainError) as caught:
            engine_of(place, opened)
        assert caught.value.hint == "pip install 'edgekit[ray]'"


def test_the_manifest_runs_a_sweep_with_what_the_image_has() -> None:
    """Its command is one, its image is the same everywhere, and the image installs extras that there are."""
    job = yaml.safe_load((ROOT / "docs" / "cluster" / "rayjob.yaml").read_text("utf-8"))
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["edgekit", "sweep"]
    known = {option for parameter in main.commands["sweep"].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [one for group in groups for one in group["template"]["spec"]["containers"]]
    assert len({one["image"] for one in containers}) == 1
    assert all(one["resources"]["requests"] == one["resources"]["limits"] for one in containers)
    image = (ROOT / "docs" / "cluster" / "Dockerfile").read_text("utf-8")
    (named,) = re.findall(r'"edgekit\[([\w,]+)\]"', image)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {"ray", "s3"} <= set(named.split(",")) <= set(extras)
    (wanted,) = [line for line in extras["ray"] if line.startswith("ray")]
    assert f'"ray[default]{wanted.removeprefix("ray")}"' in image
    assert cluster["rayVersion"].startswith(wanted.removeprefix("ray>=").partition(",")[0])


@pytest.mark.slow
def test_a_cluster_makes_what_this_machine_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes, in another store."""
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for width in (8, 16):
        project(tmp_path, f"net{width}", width=width)
    file = sweep_file(tmp_path, 'projects = ["net8", "net16"]\ntargets = ["web"]\n[resources]\nmemory = "100MB"\n')
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        there = sweep(file, on="ray", store=tmp_path / "there")
    finally:
        ray.shutdown()
    here = sweep(file, store=tmp_path / "here")
    assert there.passed
    assert os.sep not in there.where
    assert {key: one.blobs for key, one in there.results.items()} == {
        key: one.blobs for key, one in here.results.items()
    }
