"""Built again: nothing is made twice, and what comes from the cache is what a fresh build makes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.spec.project import SAMPLE
from tests.e2e.conftest import TARGETS, Build, edgekit

pytestmark = pytest.mark.slow
PROGRAM = """
import sys
from edgekit.cli import main
try:
    main(sys.argv[1:])
finally:
    print("MODULES", *sys.modules, file=sys.stderr)
"""


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verdicts(answer: Any) -> Any:
    """Return of a build's JSON what must not depend on the cache."""
    return [(bundle["passed"], bundle["manifest"]) for bundle in answer["bundles"]], answer.get("error")


def test_an_unchanged_build_needs_no_torch_and_no_second(sample: Build, tmp_path: Path) -> None:
    """The same bundles in another folder, with the same words about them."""
    wanted = [word for target in TARGETS for word in ("--target", target)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "build", *wanted, "--json"],
        cwd=tmp_path, env={**os.environ, "EDGEKIT_CACHE": str(sample.cache)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    modules = set(done.stderr.rpartition("MODULES")[2].split())
    assert "edgekit.pipeline.rebuild" in modules
    assert not {"torch", "onnx", "onnxruntime", "executorch", "torchao", "jinja2"} & modules
    answer = json.loads(done.stdout)
    assert verdicts(answer) == verdicts(sample.finished.json)
    assert all(bundle["cached"] for bundle in answer["bundles"])
    assert {stage["stage"]: stage["cached"] for stage in answer["seconds"]} == {
        "check what changed": False,
        **{f"bundle {target}": True for target in TARGETS},
    }
    for target in TARGETS:
        assert content(tmp_path / "artifacts" / "digits" / target) == content(sample.bundle(target))


def test_a_bundle_that_is_the_same_is_left_alone(sample: Build, tmp_path: Path) -> None:
    """The folder is not even replaced; one that was changed is mended."""
    folder = tmp_path / "artifacts" / "digits" / TARGETS[0]
    arguments = ("build", "--target", TARGETS[0])
    for _ in range(2):
        finished = edgekit(*arguments, cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache))
        assert finished.code == 0, finished.err
        assert "from the cache" in finished.err
    place = folder.stat().st_ino
    assert edgekit(*arguments, cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache)).code == 0
    assert folder.stat().st_ino == place
    (folder / "model.pte").write_bytes(b"damage")
    assert edgekit(*arguments, cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache)).code == 0
    assert content(folder) == content(sample.bundle(TARGETS[0]))


def test_another_budget_does_not_lower_again(sample: Build, tmp_path: Path) -> None:
    """Over budget it exits with 20, fresh and from the cache, with the same words."""
    file = Path(shutil.copytree(SAMPLE, tmp_path / "strict")) / "edgekit.toml"
    file.write_text(file.read_text().replace("min_sqnr_db = 25", "min_sqnr_db = 90"))
    first, second = (
        edgekit(
            "build", "--target", TARGETS[0], "--json", cwd=tmp_path / "strict", EDGEKIT_CACHE=str(sample.cache)
        )
        for _ in range(2)
    )  # fmt: skip
    assert (first.code, second.code) == (20, 20)
    stages = {stage["stage"]: stage["cached"] for stage in first.json["seconds"]}
    lowered = [cached for stage, cached in stages.items() if stage.startswith("lower ")]
    assert lowered == [True, True]
    assert stages["capture"] is False
    assert first.json["bundles"][0]["cached"] is False
    assert second.json["bundles"][0]["cached"] is True
    assert verdicts(first.json) == verdicts(second.json)
    for name in ("model.pte", "model.onnx"):
        built = tmp_path / "strict" / "artifacts" / "digits" / TARGETS[0] / name
        assert built.read_bytes() == (sample.bundle(TARGETS[0]) / name).read_bytes()
