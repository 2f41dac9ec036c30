"""docs/operators.md: the matrix as tables, made from what was measured."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NOISE_DB = 0.3
"""How far below the stock recipe a row may be."""
_HEAD = """# Operators

Written by `scripts/operators`; the numbers are also in [operators.json](operators.json). Each row is a small network
about one operation, built by `edgekit.build` for `linux-x86_64` with its defaults, once with a batch of one and once
with a batch that varies up to sixteen. The files are run by their own runtimes, by a script that shares no code with
the build; where the batch varies, one load sees batches of 1, 3, 8, 2 and 16 samples.

* **int8**: all operations compute with integers; **partly**: some compute in float, see [Quantization](quantize.md);
  **float**: none computes with integers; **refused**: there is no file, and the last table says why.
* **dB** is the SQNR of what varies over the samples against the float model, and behind it, in the rows where they were
  compared, by how much that is above (+) or below (-) the stock recipe of the format: ExecuTorch's PT2E with weights
  per channel, and the better of ONNX Runtime's `quantize_static` with int8 and with uint8 weights per channel; "none"
  where the recipe fails. The networks are random and small: compare rows, and read no accuracy from them. One network
  is luck: a row that came out more than 0.3 dB below was measured with other weights and samples, too, and "of 5"
  stands before the mean of all five differences.
* **batch 1** says that a file takes one sample in each call although more were asked for: any number would cost its
  delegate operations.
* **outside** names what the `.pte` runs outside of the delegate.
"""


def render(results: dict[str, Any]) -> str:
    """Return the page.

    Args:
        results: The content of ``docs/operators.json``.
    """
    rows: list[dict[str, Any]] = results["rows"]
    parts = [_HEAD, _summary(results)]
    groups = dict.fromkeys(row["group"] for row in rows)
    parts += [_table(group, [row for row in rows if row["group"] == group]) for group in groups]
    refused = [
        f"| {row['row']} | {row['batch']} | .{format} | {_cell(found['says'])} |"
        for row in rows
        for format, found in row["formats"].items()
        if found["computes"] == "refused"
    ]
    if refused:
        parts.append("\n".join(["## Refused\n", "| row | batch | format | reason |", "|---|---|---|---|", *refused]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return how many rows there are, how many build in both formats, in one, and in none."""
    found = {"rows": 0, "both": 0, "one": 0, "none": 0}
    for row in rows:
        built = sum(one["computes"] != "refused" for one in row["formats"].values())
        found["rows"] += 1
        found[("none", "one", "both")[built]] += 1
    return found


def above_stock(row: dict[str, Any], format: str) -> float | None:
    """Return by how many dB a row is above the stock recipe, in the mean of all networks that were measured.

    Args:
        row: A row with a batch of one.
        format: The format.

    Returns:
        None where there is nothing to compare: no stock file, or nothing that differs from float.
    """
    found, stock = row["formats"][format]["sqnr_db"], row.get("stock", {}).get(format, {}).get("sqnr_db")
    if found is None or stock is None:
        return None
    differences = [found - stock, *(draw[format] for draw in row.get("draws", ()) if format in draw)]
    return float(sum(differences) / len(differences))


def _summary(results: dict[str, Any]) -> str:
    lines = ["## In all\n", f"On {results['machine']}, {', '.join(results['versions'])}.\n"]
    lines += ["| batch | rows | both formats | one format | none |", "|---|---:|---:|---:|---:|"]
    for batch in ("fixed", "symbolic"):
        number = counts(row for row in results["rows"] if row["batch"] == batch)
        lines.append(f"| {batch} | {number['rows']} | {number['both']} | {number['one']} | {number['none']} |")
    return "\n".join(lines)


def _table(group: str, rows: list[dict[str, Any]]) -> str:
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["row"], {})[row["batch"]] = row
    lines = [
        f"## {group.capitalize()}\n",
        "| operation | .pte | dB | .pte, batch varies | .onnx | dB | .onnx, batch varies | outside |",
        "|---|---|---:|---|---|---:|---|---|",
    ]
    for name, batches in by_name.items():
        fixed, varies = batches["fixed"], batches.get("symbolic")
        cells = [name]
        for format in ("pte", "onnx"):
            cells += [
                _WORDS[fixed["formats"][format]["computes"]],
                _ratio(fixed, format),
                "" if varies is None else _varying(varies["formats"][format]),
            ]
        cells.append(", ".join(dict.fromkeys(one.split(" (")[0] for one in fixed["formats"]["pte"]["outside"])))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


_WORDS = {"int8": "int8", "partly int8": "partly", "float": "float", "refused": "**refused**"}


def _varying(found: dict[str, Any]) -> str:
    return _WORDS[found["computes"]] + ("" if found["any_batch"] else ", batch 1")


def _ratio(row: dict[str, Any], format: str) -> str:
    found, stock = row["formats"][format], row.get("stock", {}).get(format)
    if found["computes"] == "refused":
        return ""
    if found["sqnr_db"] is None:
        return "equal"
    if stock is None:
        return f"{found['sqnr_db']:.1f}"
    difference, draws = above_stock(row, format), 1 + len(row.get("draws", ()))
    beside = "none" if difference is None else f"{difference:+.1f}" if draws == 1 else f"of {draws}: {difference:+.1f}"
    return f"{found['sqnr_db']:.1f} ({beside})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def read(file: Path) -> dict[str, Any]:
    """Return what was measured last."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
