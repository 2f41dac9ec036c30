"""What a GPU computes, held against float32 on a CPU, where torch stands alone: python -m bench.zoo.baselines.

Needs torch and NumPy, and of the other packages those whose networks are to be run; EdgeKit only for the baseline of
the packaged sample, which is recorded as well. What fails is written down and left behind.

``--out DIR`` takes the results. ``--pack FILE`` writes samples and shipped weights for a machine that has neither, and
``--packed FILE`` reads them there.
"""

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.zoo import packing
from bench.zoo.data import Array, Rows
from bench.zoo.entry import Entry

_ROOT = Path(__file__).parents[2]
_EQUAL_DB = 200.0
# As the columns of the page are called: the type, and whether TensorFloat-32 is allowed.
_MODES: dict[str, tuple[torch.dtype, bool]] = {
    "float32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "float16": (torch.float16, False),
    "bfloat16": (torch.bfloat16, False),
}
_LIBRARIES = ("torchvision", "timm", "transformers", "ultralytics", "numpy")


def main() -> int:
    """Run all networks that can be, and write ``baselines.json`` after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--only", default="", help="pattern of the names of networks")
    parser.add_argument("--seconds", type=float, default=420, help="begin no network after so long")
    parser.add_argument(
        "--pack", type=Path, metavar="FILE.zip", help="write samples and weights to carry, and do nothing else"
    )
    parser.add_argument("--packed", type=Path, metavar="FILE.zip", help="what was carried")
    parser.add_argument("--no-sample", action="store_true", help="leave the packaged sample's baseline out")
    chosen = parser.parse_args()
    sys.path.insert(0, str(_ROOT / "sdk"))
    if chosen.packed:
        packing.unpack(chosen.packed)
    from bench.zoo.catalog import ENTRIES  # what was packed is on the path now

    entries = [entry for entry in ENTRIES.values() if re.search(chosen.only, entry.name)]
    if chosen.pack:
        packing.pack(entries, chosen.pack)
        return 0
    if chosen.out is None:
        parser.error("--out DIR says where results go")
    chosen.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    report: dict[str, Any] = {"machine": _machine(chosen.device), "networks": {}}
    if not chosen.no_sample:
        report["sample"] = _sample(chosen.device, chosen.out)
        _write(report, chosen.out)
    for entry in entries:
        if time.monotonic() - began > chosen.seconds:
            report["networks"][entry.name] = {"error": "not begun: the time was over"}
            continue
        report["networks"][entry.name] = on_device(entry, chosen.device)
        _write(report, chosen.out)
        print(entry.name, json.dumps(report["networks"][entry.name]), flush=True)  # noqa: T201
    _write(report, chosen.out)
    return 0


def on_device(entry: Entry, device: str) -> dict[str, Any]:
    """Run a network in every mode, and hold each against float32 on the CPU.

    Args:
        entry: The network.
        device: ``cuda`` or ``cpu``.

    Returns:
        SQNR in dB of what varies over the samples, and seconds of one sample, by mode; or why there is nothing.
    """
    found: dict[str, Any] = {"weights": entry.weights, "sqnr_db": {}, "seconds": {}, "errors": {}}
    start = time.perf_counter()
    try:
        if entry.missing():
            return {"error": f"missing: {', '.join(entry.missing())}"}
        model = entry.make()
        rows = entry.samples("evaluation")
        reference, taken = _timed(model, rows, "cpu", torch.float32)
        found |= {"samples": len(rows[0]), "cpu_s": round(taken, 3)}
    except Exception as error:  # recorded: one network must not cost the others
        traceback.print_exc()
        return {"error": _words(error)}
    for mode, (dtype, tf32) in _MODES.items():
        try:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            moved = copy.deepcopy(model).to(device, dtype)
            outputs, taken = _timed(moved, rows, device, dtype)
            pairs = zip(reference, outputs, strict=True)
            found["sqnr_db"][mode] = round(min(_varying_db(one, other) for one, other in pairs), 2)
            found["seconds"][mode] = round(taken, 4)
        except Exception as error:
            traceback.print_exc()
            found["errors"][mode] = _words(error)
    found["wall_s"] = round(time.perf_counter() - start, 1)
    if device == "cuda":
        torch.cuda.empty_cache()
    return found


def _timed(model: nn.Module, rows: Rows, device: str, dtype: torch.dtype) -> tuple[list[Array], float]:
    """Run samples one by one; return the outputs, and the seconds of all but the first, as if it had been like them."""
    kept: list[list[Array]] = []
    taken = []
    with torch.inference_mode():
        for row in range(len(rows[0])):
            inputs = [torch.from_numpy(array[row : row + 1].copy()).to(device) for array in rows]
            inputs = [one.to(dtype) if one.is_floating_point() else one for one in inputs]
            start = time.perf_counter()
            found = model(*inputs)
            if device == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
            outputs = [found] if isinstance(found, torch.Tensor) else list(found)
            kept.append([one.float().cpu().numpy() for one in outputs])
    warm = taken[1:] or taken
    return [np.concatenate(parts) for parts in zip(*kept, strict=True)], sum(warm) / len(warm)


def _varying_db(reference: Array, candidate: Array) -> float:
    one, other = reference.astype(np.float64), candidate.astype(np.float64)
    noise = float(np.square(one - other).sum())
    if not np.isfinite(noise):
        return -_EQUAL_DB
    signal = float(np.square(one - one.mean(0)).sum())
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / max(noise, 1e-300)), -_EQUAL_DB, _EQUAL_DB))


def _sample(device: str, out: Path) -> dict[str, Any]:
    """Record the packaged sample's baseline as a person would on a server."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT / "sdk"), *sys.path])}
    python = [sys.executable, "-m", "edgekit"]
    project = out / "sample"
    wide = ["--dtype", "float16", "--dtype", "bfloat16", *(["--tf32"] if device == "cuda" else [])]
    commands = [
        [*python, "init", str(project)],
        [*python, "baseline", "record", "--device", device, *wide, "--project", str(project)],
        [*python, "baseline", "show", "--project", str(project)],
    ]
    said: list[str] = []
    for command in commands:
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
        except subprocess.TimeoutExpired:
            return {"error": f"{command[3:5]}: not done in time", "said": said}
        said.append((done.stdout + done.stderr)[-3000:])
        if done.returncode:
            return {"error": f"{' '.join(command[3:5])} ended with {done.returncode}", "said": said}
    return {"baseline": str(project / "baseline.npz"), "said": said}


def _machine(device: str) -> dict[str, str]:
    found = {"torch": torch.__version__, "python": sys.version.split()[0], "device": device}
    if device == "cuda":
        found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
        found["cuda"] = str(torch.version.cuda)
    from importlib.metadata import PackageNotFoundError, version

    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _write(report: dict[str, Any], out: Path) -> None:
    (out / "baselines.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


if __name__ == "__main__":
    sys.exit(main())
