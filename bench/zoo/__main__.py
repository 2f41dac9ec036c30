"""The command line of the zoo: see ``scripts/zoo``."""

import argparse
import json
import re
import sys
import time
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

from bench.environments import WORK
from bench.zoo import published
from bench.zoo.catalog import ENTRIES
from bench.zoo.entry import Entry
from bench.zoo.measure import of_model
from bench.zoo.run import BESIDE, run
from edgekit.spec import STEPS

_LIBRARIES = (
    "torch",
    "torchao",
    "executorch",
    "onnx",
    "onnxruntime",
    "torchvision",
    "timm",
    "transformers",
    "ultralytics",
)


def main() -> int:
    """Build and measure the networks that a pattern names, all unless one is given; keep the others' results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pattern of the names of networks")
    parser.add_argument("--no-stock", action="store_true", help="leave float files and stock recipes as they were")
    parser.add_argument("--off", action="append", default=[], choices=[*STEPS, "all"], help="build without a step too")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--check", action="store_true", help="make each network and run one sample")
    parser.add_argument("--page", action="store_true", help="write the page again from docs/zoo.json")
    parser.add_argument("--gpu", type=Path, metavar="FILE", help="take in what bench.zoo.baselines wrote on a GPU")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    entries = [entry for entry in ENTRIES.values() if re.search(chosen.only, entry.name)]
    if chosen.list:
        for entry in entries:
            _say(f"{entry.name}: {entry.source}, {entry.weights} weights, {entry.scheme}{_missing(entry)}")
        return 0
    if chosen.check:
        return sum(not _checked(entry) for entry in entries)
    if chosen.gpu:
        published.publish(published.load().with_gpu(json.loads(chosen.gpu.read_text(encoding="utf-8"))))
    elif chosen.page:
        published.publish(published.load())
    else:
        off = tuple(STEPS) if "all" in chosen.off else tuple(chosen.off)
        for number, entry in enumerate(entries):
            if entry.missing():
                _say(f"{entry.name}: left out{_missing(entry)}")
                continue
            _say(f"{number + 1}/{len(entries)} {entry.name}")
            known = {one.name: one for one in published.load().networks}.get(entry.name)
            found = run(
                entry,
                WORK / "zoo-work" / entry.name,
                _say,
                beside=() if chosen.no_stock else BESIDE,
                off=off,
                before=known,
            )
            here = {"versions": tuple(_versions())}
            published.publish(published.load().merged(found, list(ENTRIES)).model_copy(update=here))
    return 0


def _checked(entry: Entry) -> bool:
    if entry.missing():
        _say(f"{entry.name}: left out{_missing(entry)}")
        return True
    start = time.perf_counter()
    torch.set_num_threads(1)
    try:
        model = entry.make()
        rows = [entry.samples(part) for part in ("calibration", "evaluation")]
        found = of_model(model, tuple(array[:1] for array in rows[1]))
    except Exception as error:
        traceback.print_exc()
        _say(f"{entry.name}: FAILED: {type(error).__name__}: {error}")
        return False
    count = sum(one.numel() for one in model.parameters())
    shapes = ", ".join(f"{one.dtype} {list(one.shape)}" for one in rows[0])
    outputs = ", ".join(f"{list(one.shape)} {one.std():.3g}" for one in found)
    _say(f"{entry.name}: {count:,} parameters; {shapes} -> {outputs}; {time.perf_counter() - start:.1f} s")
    return len(found) == len(entry.outputs)


def _missing(entry: Entry) -> str:
    return f"; missing: {', '.join(entry.missing())}" if entry.missing() else ""


def _versions() -> list[str]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except ImportError:
            continue
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
