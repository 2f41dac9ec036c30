"""The operator matrix: what was measured is complete and keeps its demands, and a part of it is measured again here."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.operators import page
from tests.operators.__main__ import FILE, PAGE
from tests.operators.matrix import ROWS
from tests.operators.measure import measure
from tests.operators.rows import Row

# One of each mechanism: these are built anew. All of them are by ``scripts/operators``.
AGAIN = (
    "weights/Conv1d, depthwise", "weights/Conv3d", "weights/ConvTranspose2d, stride 2", "norm/LayerNorm",
    "activation/GELU", "activation/Softmax", "pool/MaxPool2d, ceil mode", "pool/AdaptiveAvgPool2d to 1",
    "pad/ReflectionPad2d", "resize/Upsample, bilinear", "reduce/mean over tokens", "reshape/roll", "arithmetic/div",
    "attention/MultiheadAttention", "recurrent/GRU",
)  # fmt: skip
# Below the stock recipe, and why.
BELOW = {
    ("activation/Hardshrink", "onnx"): "it jumps at 0.5: which values fall on the other side is 3 dB of luck",
    ("reduce/argmax, last", "onnx"): "places, of which decibels say little",
    ("pad/ConstantPad2d", "onnx"): "what is padded is rounded once, with steps that hold the constant, too",
    ("pad/ConstantPad3d", "onnx"): "what is padded is rounded once, with steps that hold the constant, too",
    **dict.fromkeys(
        [("reshape/narrow", "onnx"), ("reshape/unbind", "onnx"), ("resize/unfold", "onnx")],
        "one network of few values: what is picked has the steps of all; several networks are to be measured",
    ),
}
# By which one random network may come out below the stock recipe.
_LUCK_DB = 1.0
# What a library says when it refuses: none of it may be all that a person is told.
_RIDDLES = re.compile(r"CRASH|Traceback|AssertionError|KeyError|0x[0-9a-f]+|Missing out variants|INTERNAL ASSERT")


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """Return what was measured last."""
    rows: list[dict[str, Any]] = page.read(FILE)["rows"]
    return rows


def test_every_row_was_measured(results: list[dict[str, Any]]) -> None:
    """With both kinds of batch, in the order of the rows; no two have the same name."""
    wanted = [(row.group, row.name, batch) for row in ROWS for batch in ("fixed", "symbolic")]
    assert [(row["group"], row["row"], row["batch"]) for row in results] == wanted
    assert len(set(wanted)) == len(wanted)


def test_the_page_is_what_was_measured() -> None:
    """The page was written after the numbers."""
    assert PAGE.read_text(encoding="utf-8") == page.render(page.read(FILE))


def test_nearly_every_row_builds(results: list[dict[str, Any]]) -> None:
    """In one format at least, and 95 of 100 in both."""
    nowhere = {
        f"{row['group']}/{row['row']}"
        for row in results
        if all(one["computes"] == "refused" for one in row["formats"].values())
    }
    assert not nowhere
    found = page.counts(row for row in results if row["batch"] == "fixed")
    assert found["both"] >= 0.95 * found["rows"]


def test_no_refusal_is_a_riddle(results: list[dict[str, Any]]) -> None:
    """What is refused is so with the operation and a way out, not with a library's error."""
    refused = [one for row in results for one in row["formats"].values() if one["computes"] == "refused"]
    riddles = [one["says"] for one in refused if _RIDDLES.search(one["says"]) or "|" not in one["says"]]
    assert not riddles


def test_no_row_is_worse_than_the_stock_recipe(results: list[dict[str, Any]]) -> None:
    """In the mean of several networks, and by no more than luck where there is one; what equals float is left out."""
    compared = {
        (f"{row['group']}/{row['row']}", format): (difference, "draws" in row)
        for row in results
        if row["batch"] == "fixed"
        for format in row["formats"]
        if (difference := page.above_stock(row, format)) is not None
    }
    assert len(compared) > len(ROWS) * 0.8
    worse = {
        key: round(difference, 2)
        for key, (difference, is_mean) in compared.items()
        if difference < -(page.NOISE_DB if is_mean else _LUCK_DB)
    }
    assert worse.keys() == BELOW.keys(), worse


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row.key in AGAIN], ids=lambda row: row.key)
def test_a_row_is_as_it_was_measured(row: Row, results: list[dict[str, Any]], tmp_path: Path) -> None:
    """Built here, where the batch varies: it computes in the same way, and as well."""
    (known,) = [one for one in results if (one["group"], one["row"], one["batch"]) == (row.group, row.name, "symbolic")]
    for format, found in measure(row, "symbolic", tmp_path).formats.items():
        expected = known["formats"][format]
        assert (found.computes == "refused") == (expected["computes"] == "refused"), found.says
        assert list(found.outside) == expected["outside"]
        if format == "pte":  # what ONNX Runtime makes of a graph depends on the processor
            assert found.computes == expected["computes"]
        if found.sqnr_db is not None and expected["sqnr_db"] is not None:
            assert abs(found.sqnr_db - expected["sqnr_db"]) < 3


def test_every_mechanism_is_measured_again() -> None:
    """The list names rows that there are."""
    assert set(AGAIN) <= {row.key for row in ROWS}
