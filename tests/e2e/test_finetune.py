"""A training by the command line: what it writes is what builds take."""

from pathlib import Path

import pytest
import torch

from edgekit import bundles
from tests.e2e.conftest import edgekit

pytestmark = pytest.mark.slow
TARGET = "linux-x86_64"
# Without the steps that mend rounding, and with the outermost layers rounded, a training finds something to do.
POOR = (
    'scheme = "int8"\nadaptive_rounding = false\nbias_correction = false\nequalization = false\n'
    'first_layer = "int8"\nlast_layer = "int8"\n'
)


def settle(folder: Path, lines: str) -> None:
    """Replace the lines of the project's table of the quantizer."""
    file = folder / "edgekit.toml"
    before, _, after = file.read_text(encoding="utf-8").partition("[quantize]\n")
    _, bracket, tables = after.partition("\n[")
    file.write_text(f"{before}[quantize]\n{lines}{bracket}{tables}", encoding="utf-8")


def test_what_cannot_be_written_or_trained_is_told_first(tmp_path: Path) -> None:
    """Before anything is loaded, in one sentence: a folder of somebody's, a device that is not there."""
    assert edgekit("init", tmp_path, cwd=tmp_path).code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept", encoding="utf-8")
    taken = edgekit("finetune", "-t", TARGET, "-o", "mine", cwd=tmp_path)
    assert taken.code == 11
    assert "mine holds something else than a trained network" in taken.err
    assert "load" not in taken.err
    if not torch.cuda.is_available():
        absent = edgekit("finetune", "-t", TARGET, "--device", "cuda", cwd=tmp_path)
        assert absent.code == 3
        assert "There is no CUDA device here" in absent.err
        assert "load" not in absent.err


def test_what_was_trained_is_what_is_built(tmp_path: Path) -> None:
    """The pasted lines build the artifact that the best epoch was judged by; another scheme is refused."""
    assert edgekit("init", tmp_path, cwd=tmp_path).code == 0
    settle(tmp_path, POOR)
    found = edgekit(
        "finetune", "-t", TARGET, "--format", "onnx", "--rate", "3e-5", "--epochs", "3", "--json", cwd=tmp_path
    )
    assert found.code == 0, found.err
    answer = found.json
    assert [one["number"] for one in answer["epochs"]] == [0, 1, 2, 3]
    best = answer["epochs"][answer["best_epoch"]]
    assert best["number"] > 0
    assert best["judged"] < answer["epochs"][0]["judged"]

    settle(tmp_path, "".join(f"{line}\n" for line in answer["paste"][1:]))
    built = edgekit("build", "-t", TARGET, "--format", "onnx", cwd=tmp_path)
    assert built.code == 0, built.err
    (total,) = [
        leg for leg in bundles.read(tmp_path / "artifacts" / "digits" / TARGET).drift.legs if leg.name == "total"
    ]
    assert total.metrics.sqnr_db == pytest.approx(answer["after"]["logits"]["sqnr_db"], abs=0.01)
    assert total.metrics.sqnr_db != pytest.approx(answer["before"]["logits"]["sqnr_db"], abs=0.001)

    settle(tmp_path, 'scheme = "int8-dynamic"\ntrained = "trained"\n')
    refused = edgekit("build", "-t", TARGET, cwd=tmp_path)
    assert refused.code == 3
    assert "was trained with the scheme int8" in refused.err
