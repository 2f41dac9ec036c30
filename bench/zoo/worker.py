"""One job in a process of its own: build a network by one recipe, or measure what was built, and report as JSON.

python -m bench.zoo.worker RECIPE NETWORK FOLDER CALIBRATION EVALUATION, where RECIPE is ``edgekit``, ``off-STEP``,
``float``, ``stock-pte``, ``stock-onnx`` or ``measure``. Files are written to FOLDER/RECIPE.
"""

import argparse
import gc
import importlib
import json
import logging
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.worker import peak_memory_mb
from bench.zoo.catalog import ENTRIES
from bench.zoo.entry import Entry

Build = Callable[[str, Entry, nn.Module, list[Tensor], list[Tensor], Path], dict[str, Any]]
_LONGEST = 400


def main() -> int:
    """Do the job, and write ``report.json`` beside what it made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("network", choices=ENTRIES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("calibration", type=int, help="calibration samples")
    parser.add_argument("evaluation", type=int, help="evaluation samples")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    counts = {"calibration": options.calibration, "evaluation": options.evaluation}
    entry = replace(ENTRIES[options.network], **counts)
    place: Path = options.folder / options.recipe
    place.mkdir(parents=True, exist_ok=True)
    measures = options.recipe == "measure"
    report = _measured(entry, options.folder) if measures else _built(entry, options.recipe, place)
    (place / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


def _built(entry: Entry, recipe: str, place: Path) -> dict[str, Any]:
    """Build, and say what it took without imports, model and samples."""
    own = recipe == "edgekit" or recipe.startswith("off-")
    # Imported first, so that imports are not measured.
    build: Build = importlib.import_module(f"bench.zoo.{'ours' if own else 'stock'}").build
    torch.manual_seed(0)
    model = entry.make()
    fit = [torch.from_numpy(array) for array in entry.samples("calibration")]
    # Pictures are decoded and scaled before the clock starts, those of the verification too; stock does without these.
    held = [torch.from_numpy(array) for array in entry.samples("evaluation")] if own else []
    gc.collect()
    report: dict[str, Any] = {"before_mb": _resident_mb(), "seconds": {}, "refused": {}, "notes": [], "verdict": ""}
    _forget_peak()
    began, clock = _cpu_seconds(), time.perf_counter()
    try:
        report |= build(recipe, entry, model, fit, held, place)
    except Exception as error:  # whatever it raises is the result
        traceback.print_exc()
        known = type(error).__module__.startswith("edgekit.")
        words = error.message if known and hasattr(error, "message") else f"{type(error).__name__}: {error}"
        says = f"{'' if known or not recipe.startswith(('edgekit', 'off')) else 'CRASH: '}{' '.join(words.split())}"
        report["refused"] = {"build": says[:_LONGEST]}
    report |= {
        "cpu_s": round(_cpu_seconds() - began, 1),
        "wall_s": round(time.perf_counter() - clock, 1),
        "peak_mb": round(max(peak_memory_mb(), _children_mb())),
    }
    return report


def _measured(entry: Entry, folder: Path) -> dict[str, Any]:
    """Measure every file that recipes left in their folders."""
    from bench.zoo.measure import latencies, measured, of_model

    rows = entry.samples("evaluation")
    torch.manual_seed(0)
    model = entry.make()
    reference = of_model(model, rows)
    found: dict[str, Any] = {
        "parameters": sum(one.numel() for one in model.parameters()),
        "shapes": [(1, *array.shape[1:]) for array in rows],
        "files": {},
    }
    del model
    running: dict[str, Path] = {}
    for path in sorted([*folder.glob("*/*.pte"), *folder.glob("*/model.onnx"), *folder.glob("float/float.onnx")]):
        key = f"{path.parent.name}/{path.suffix[1:]}"
        try:
            found["files"][key] = measured(path, rows, reference, entry.task)
            running[key] = path
        except Exception as error:  # a file that does not run is a result as well
            traceback.print_exc()
            says = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]
            found["files"][key] = {"bytes": path.stat().st_size, "says": says}
    for suffix in ("pte", "onnx"):
        timed = {key: path for key, path in running.items() if key.endswith(suffix) and not key.startswith("off-")}
        for key, (least, median) in latencies(timed, rows).items() if timed else ():
            found["files"][key] |= {"least_ms": round(least, 4), "median_ms": round(median, 4)}
    return found


def _cpu_seconds() -> float:
    """Return what this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _children_mb() -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale / 1e6


def _resident_mb() -> int:
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 // 10**6 for line in lines if line.startswith("VmRSS:")), 0)


def _forget_peak() -> None:
    """Have Linux measure the largest resident memory from now on."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
