"""``edgekit bisect`` as a person uses it, on the built sample, and the page that shows it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit.pipeline.bisecting.ptefile import PteFile
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


def planted_pte(file: Path) -> bytes:
    """Return the sample's .pte with one layer padded one off."""
    opened = PteFile(file.read_bytes())
    (delegate,) = opened.delegates
    graph = delegate.graph()
    layer = [one for one in graph["xnodes"] if one["xnode_union_type"] == "XNNDepthwiseConv2d"][2]["xnode_union"]
    layer["padding_top"] -= 1
    layer["padding_bottom"] += 1
    return opened.with_payloads([delegate.written(graph)], {})


def test_a_pte_is_looked_into(sample: Build, tmp_path: Path) -> None:
    """Exit code 9 and the layer; the script, run alone, shows it, too. Both formats of a bundle have a folder each."""
    bundle = tmp_path / "old" / TARGET
    shutil.copytree(sample.bundle(TARGET), bundle)
    data = planted_pte(bundle / "model.pte")
    (tmp_path / "planted.pte").write_bytes(data)
    found = edgekit(
        "bisect", sample.bundle(TARGET), tmp_path / "planted.pte", "--output", tmp_path / "found", "--json",
        cwd=sample.folder, EDGEKIT_CACHE=str(sample.cache),
    )  # fmt: skip
    assert found.code == 9, found.err
    (one,) = found.json["bisection"]["compared"]
    assert one["inside"]
    assert one["parting"]["operation"] == "conv2d"
    assert one["parting"]["path"].endswith("depthwise.0")
    assert one["parting"]["reason"].startswith("padding_top is 0 in the file, 1 in the program's own")
    command = [sys.executable, "-W", "ignore", str(tmp_path / "found" / "reproduce.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("SQNR ")


def test_whole_artifacts_part_nowhere(sample: Build) -> None:
    """The twin: exit code 0, no folder, and both were looked into."""
    found = edgekit("bisect", sample.bundle(TARGET), "--json", cwd=sample.folder, EDGEKIT_CACHE=str(sample.cache))
    assert found.code == 0, found.err
    assert found.json["parts"] is False
    seen = {one["artifact"]: one for one in found.json["bisection"]["compared"]}
    assert (seen["model.onnx"]["inside"], seen["model.pte"]["inside"]) == (True, True)
    assert "values inside the delegate" in seen["model.pte"]["note"]
    assert not (sample.folder / "bisect").exists()
