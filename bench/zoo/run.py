"""Run networks of the zoo: every job in a process of its own with a limit, and what they report put together."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.environments import ROOT
from bench.machine import int8_instructions
from bench.processes import logged
from bench.zoo.entry import Entry
from bench.zoo.results import NetworkResult, Recipe
from edgekit.base.versions import cpu_name

LIMIT_S = 900
BESIDE = ("float", "stock-pte", "stock-onnx")
# The stock exporters unroll recurrent layers, and come to no end with long sequences.
_FLOAT_LIMIT_S = 300
Say = Callable[[str], None]


def run(
    entry: Entry, folder: Path, say: Say, *, beside: tuple[str, ...], off: tuple[str, ...], before: NetworkResult | None
) -> NetworkResult:
    """Build a network by every recipe, and measure the files.

    Args:
        entry: The network.
        folder: For files and logs; what was there of these recipes is removed.
        say: Told what is going on.
        beside: Which of ``float`` and the stock recipes are built anew; files and figures of others stay as they were.
        off: Steps of the quantizer to build without, one at a time.
        before: What was measured last.
    """
    for left in folder.glob("off-*"):
        shutil.rmtree(left)
    jobs = ["edgekit", *beside]
    jobs += [f"off-{step}" for step in off]
    reports: dict[str, Any] = {}
    for recipe in jobs:
        shutil.rmtree(folder / recipe, ignore_errors=True)
        reports[recipe] = report = _job(recipe, entry, folder)
        refused = "; ".join(f"{format}: {reason}" for format, reason in report.get("refused", {}).items())
        say(f"{entry.name}: {recipe}: {report.get('cpu_s', 0):.0f} s, {report.get('peak_mb', 0):.0f} MB {refused}")
    found = _job("measure", entry, folder)
    files = found.get("files", {})
    for key, one in files.items():
        figures = f"{one.get('sqnr_db')} dB, {one.get('agreement')}, {one.get('median_ms')} ms"
        say(f"{entry.name}: {key}: {figures} {one.get('says', '')}")
    recipes = dict(before.recipes) if before else {}
    for recipe in dict.fromkeys([*jobs, *recipes]):
        if recipe.startswith("off-"):
            continue
        of_recipe = {key.split("/")[1]: one for key, one in files.items() if key.split("/")[0] == recipe}
        report = reports[recipe] if recipe in reports else recipes[recipe].model_dump(exclude={"files"})
        if recipe in reports or of_recipe:
            recipes[recipe] = Recipe.model_validate_json(json.dumps({**report, "files": of_recipe}))
    without = {
        step: {
            f: files[f"off-{step}/{f}"]["sqnr_db"]
            for f in ("pte", "onnx")
            if "sqnr_db" in files.get(f"off-{step}/{f}", {})
        }
        for step in off
    }
    return NetworkResult(
        name=entry.name,
        family=entry.family,
        source=entry.source,
        weights=entry.weights,
        task=entry.task,
        scheme=entry.scheme,
        machine=f"{cpu_name()} ({', '.join(int8_instructions())})",
        samples=entry.data.words,
        shapes=tuple(map(tuple, found["shapes"])) if "shapes" in found else before.shapes if before else (),
        parameters=found.get("parameters", before.parameters if before else 0),
        calibration=entry.calibration,
        evaluation=entry.evaluation,
        recipes=recipes,
        off={**(before.off if before else {}), **without},
        gpu=before.gpu if before else {},
    )


def _job(recipe: str, entry: Entry, folder: Path) -> dict[str, Any]:
    place = folder / recipe
    place.mkdir(parents=True, exist_ok=True)
    report = place / "report.json"
    report.unlink(missing_ok=True)
    paths = [str(ROOT / "sdk"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "EDGEKIT_CACHE": "",
    }
    limit = _FLOAT_LIMIT_S if recipe == "float" else LIMIT_S
    command = [sys.executable, "-m", "bench.zoo.worker", recipe, entry.name, str(folder)]
    command += [str(entry.calibration), str(entry.evaluation)]
    problem = logged(command, environment, place / "log", limit)
    if report.is_file():
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found
    return {"refused": {"build": problem}}
