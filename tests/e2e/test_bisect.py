"""``edgekit bisect`` as a person uses it, on the built sample, and the page that shows it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.e2e.conftest import Build, edgekit

pytestmark = pytest.mark.slow
TARGET = "android-arm64"
PAGE = Path(__file__).parent.parent.parent / "docs" / "bisect.md"


def planted(file: Path) -> bytes:
    """Return the sample's .onnx with one weight transposed, that of the page."""
    model = onnx.load(file)
    constants = {item.name: item for item in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    layer = [node for node in model.graph.node if node.op_type == "Conv"][5]
    weight = constants[made[layer.input[1]].input[0]]
    array = numpy_helper.to_array(weight)
    other = np.ascontiguousarray(array.swapaxes(0, 1).reshape(array.shape))
    weight.CopyFrom(numpy_helper.from_array(other, weight.name))
    return bytes(model.SerializeToString())


def test_the_page_shows_what_is_printed(sample: Build, tmp_path: Path) -> None:
    """At 80 columns, exit code 9; the script of the page, run alone, shows it, too; what is no reproducer stays."""
    bundle = sample.bundle(TARGET)
    (tmp_path / "planted.onnx").write_bytes(planted(bundle / "model.onnx"))
    (tmp_path / "artifacts" / "digits").mkdir(parents=True)
    relative = f"artifacts/digits/{TARGET}"
    (tmp_path / relative).symlink_to(bundle)
    found = edgekit("bisect", relative, "planted.onnx", cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache), COLUMNS="80")
    assert found.code == 9, found.err
    assert "planted.onnx computes something else" in found.err
    lines = [line.rstrip() for line in found.out.strip().splitlines()]
    assert max(map(len, lines)) <= 80
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    number = re.compile(r"-?\d+(\.\d+)?")
    assert [number.sub("N", line) for line in lines] == [number.sub("N", line) for line in shown.strip().splitlines()]
    assert lines[2] == shown.splitlines()[2]
    done = subprocess.run(
        [sys.executable, "bisect/reproduce.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    (tmp_path / "bisect" / "mine.txt").write_text("kept")
    refused = edgekit("bisect", relative, "planted.onnx", cwd=tmp_path, EDGEKIT_CACHE=str(sample.cache))
    assert refused.code == 11
    assert "left alone" in refused.err


def test_whole_artifacts_part_nowhere(sample: Build) -> None:
    """The twin: exit code 0, no folder, and of the .pte it is said that its operations are not seen."""
    found = edgekit("bisect", sample.bundle(TARGET), "--json", cwd=sample.folder, EDGEKIT_CACHE=str(sample.cache))
    assert found.code == 0, found.err
    assert found.json["parts"] is False
    seen = {one["artifact"]: one for one in found.json["bisection"]["compared"]}
    assert (seen["model.onnx"]["inside"], seen["model.pte"]["inside"]) == (True, False)
    assert "outputs alone" in seen["model.pte"]["note"]
    assert not (sample.folder / "bisect").exists()
