"""Build one route for one network in a process of its own, and report seconds and memory as JSON.

Runs in EdgeKit's environment or in a peer's, with the route's own packages: python -m bench.worker ROUTE NETWORK ...
"""

import argparse
import importlib
import json
import os
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import cast

import numpy as np
import torch

from bench.networks import NETWORKS
from bench.routes import ROUTES
from bench.routes.route import Builds, Clock, Task


def main() -> int:
    """Build, and write ``report.json`` beside the artifacts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("route", choices=ROUTES)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("calibration", type=Path, help="an .npy file with the calibration samples")
    parser.add_argument("folder", type=Path, help="where artifacts and report go")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    route, network = ROUTES[options.route], NETWORKS[options.network]
    torch.manual_seed(0)
    clock = Clock()
    error, imported = "", 0.0
    try:
        module = cast(Builds, importlib.import_module(f"bench.routes.{route.module}"))
        imported = peak_memory_mb()
        task = Task(
            model=network.load(),
            input=network.input,
            calibration=np.load(options.calibration, allow_pickle=False),
            folder=options.folder,
            variant=route.variant,
        )
        module.build(task, clock)
    except Exception as problem:  # whatever a peer raises is its result
        traceback.print_exc()
        error = _in_one_line(problem)
    report = {
        "seconds": clock.seconds,
        "peak_mb": peak_memory_mb(),
        "imported_mb": imported,
        "versions": _versions(),
        "error": error,
    }
    (options.folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB of 10**6 bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, this does not count the parent's memory before the program started
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _in_one_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    text = f"{type(problem).__name__}: {lines[0] if lines else ''}"
    return text.replace(str(Path.cwd()) + os.sep, "")[:300]


def _versions() -> dict[str, str]:
    from importlib.metadata import distributions

    wanted = {
        "torch", "torchao", "executorch", "onnx", "onnxruntime", "onnxscript", "nncf", "litert-torch",
        "ai-edge-quantizer", "ai-edge-litert", "numpy",
    }  # fmt: skip
    found = {item.name.lower().replace("_", "-"): item.version for item in distributions()}
    return {name: version.partition("+")[0] for name, version in sorted(found.items()) if name in wanted}


if __name__ == "__main__":
    sys.exit(main())
