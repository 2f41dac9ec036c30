"""Measure rows of the matrix, and write docs/operators.json and docs/operators.md: see ``scripts/operators``."""

import argparse
import json
import logging
import re
import sys
import tempfile
import time
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from edgekit.base.versions import cpu_name
from tests.operators import page
from tests.operators.matrix import ROWS
from tests.operators.measure import measure, measure_draw, measure_stock
from tests.operators.rows import Row

DOCS = Path(__file__).parents[2] / "docs"
FILE, PAGE = DOCS / "operators.json", DOCS / "operators.md"
# Networks of a row that is in doubt, that of the other columns among them.
_DRAWS = 5
_LIBRARIES = ("torch", "executorch", "onnxruntime", "onnxscript")


def main() -> None:
    """Measure the rows that a pattern names, all of them unless one is given; keep the others as they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pattern for GROUP/NAME of the rows to measure again")
    parser.add_argument("--page", action="store_true", help="write the page from what was measured before")
    parser.add_argument("--no-stock", action="store_true", help="leave the stock recipes as they were measured before")
    parser.add_argument(
        "--missing",
        action="store_true",
        help="only the stock recipes, of the rows that have none: goes on where it was left",
    )
    parser.add_argument(
        "--doubtful", action="store_true", help="only more networks of the rows that came out below the stock recipe"
    )
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if chosen.page:  # the machine and the versions stay those that measured
        PAGE.write_text(page.render(page.read(FILE)), encoding="utf-8")
        return
    before: dict[tuple[str, str], dict[str, Any]] = {}
    if FILE.is_file():
        before = {(f"{row['group']}/{row['row']}", row["batch"]): row for row in page.read(FILE)["rows"]}
    wanted = [row for row in ROWS if re.search(chosen.only, row.key)]
    if chosen.missing:
        wanted = [row for row in wanted if "stock" not in before.get((row.key, "fixed"), {"stock": {}})]
    if chosen.doubtful:
        wanted = [row for row in wanted if _is_doubtful(before.get((row.key, "fixed"), {}))]
    began = time.monotonic()
    for number, row in enumerate(wanted):
        if chosen.missing:
            before[row.key, "fixed"]["stock"] = _by_stock(row)
        if chosen.doubtful:
            before[row.key, "fixed"]["draws"] = [_drawn(row, draw) for draw in range(1, _DRAWS)]
        for batch in () if chosen.missing or chosen.doubtful else ("fixed", "symbolic"):
            known = before.get((row.key, batch), {})
            before[row.key, batch] = _measured(row, batch, known, stock=not chosen.no_stock)
        _write(before)
        left = (time.monotonic() - began) / (number + 1) * (len(wanted) - number - 1)
        print(f"{number + 1}/{len(wanted)} {row.key}, about {left / 60:.0f} min left", file=sys.stderr)  # noqa: T201
    _write(before)


def _measured(row: Row, batch: Any, known: dict[str, Any], *, stock: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = measure(row, batch, Path(folder)).to_json()
        except Exception:  # a fault of EdgeKit: the row says so until it is mended
            refused: dict[str, Any] = {
                "computes": "refused",
                "sqnr_db": None,
                "delegated": 0.0,
                "outside": [],
                "any_batch": True,
            }
            says = f"CRASH: {traceback.format_exc(limit=-1).strip().splitlines()[-1]}"
            formats = {format: {**refused, "says": says} for format in ("pte", "onnx")}
            found = {"row": row.name, "group": row.group, "batch": batch, "formats": formats, "seconds": 0.0}
    if batch == "fixed" and stock:
        found["stock"] = _by_stock(row)
    elif "stock" in known:
        found["stock"] = known["stock"]
    return found


def _is_doubtful(row: dict[str, Any]) -> bool:
    if "stock" not in row or "draws" in row:
        return False
    return any((page.above_stock(row, format) or 0) < -page.NOISE_DB for format in row["formats"])


def _drawn(row: Row, draw: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return measure_draw(row, draw, Path(folder))


def _by_stock(row: Row) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        recipes = measure_stock(row, Path(folder))
    return {format: {"sqnr_db": one.sqnr_db, "says": one.says} for format, one in recipes.items()}


def _write(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    keys = [(row.key, batch) for row in ROWS for batch in ("fixed", "symbolic")]
    results = {
        "machine": cpu_name(),
        "versions": [f"{name} {version(name)}" for name in _LIBRARIES],
        "rows": [rows[key] for key in keys if key in rows],
    }
    FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page.render(results), encoding="utf-8")


if __name__ == "__main__":
    main()
