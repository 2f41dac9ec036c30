"""The page of what builds and files take, by the size of the network: the figures of the zoo, in order of size."""

import json
from pathlib import Path
from typing import Any

_HEAD = """# Memory and time by model size

{generated}What a build takes on the machine that builds, and what the files take on the device. Ask the second of your
device, not of a table: `edgekit profile BUNDLE --device adb`.

## On the machine that builds

| your network has | a build of both files took | take |
|---|---|---|
| under a million parameters | {small} | any machine with 2 GB |
| 1 to 12 million, pictures of 224 x 224 | {medium} | 4 GB |
| 10 to 25 million, or pictures of 640 x 640 | {large} | 4 GB; `--memory 2GB` where there is less |

* **Time** goes with what one sample costs and with how many there are: ranges, biases and rounding run every sample
  for calibration through the network several times. 128 of them are usual; `limit = 128` under `[data]` takes so many
  of a large set, evenly over its classes.
* **Memory** hardly goes with the number of samples, see [memory](build.md#memory). The largest activation of one sample
  counts: half the size of the picture is a quarter of it.
* **A second build** of an unchanged project takes less than a second, from [the cache](build.md#the-cache).
* **Evaluation** samples cost one run through float, program and each file. Take as many as you have: they decide how
  [sure](gate.md#noise) the verdict is.

## On the device

* **Bytes**: a quarter of the float weights and some per cent for scales, see the table.
* **Memory**: the file itself, and what `planned_bytes` of the manifest says for inputs, outputs and what lies between
  delegates. `edgekit build --peak-memory` measures a whole process on the host.
* **Time**: the table's is one thread of a server. It ranks networks; a phone has other kernels, caches and clocks. A
  camera gives a picture every 33 ms, or every 16.

## Measured

By [the zoo](zoo.md), `scripts/zoo`, where the machines are named: one thread, samples for calibration and evaluation as
in the column. CPU s and MB are those of the whole build of both files, verification among it.

| network | parameters | input | samples | CPU s | MB | .pte kB | .onnx kB | .pte ms | .onnx ms |
|---|---:|---|---:|---:|---:|---:|---:|---:|---:|
"""


def size_page(zoo: Path, generated: str) -> str:
    """Return the page.

    Args:
        zoo: The figures, docs/zoo.json.
        generated: What a generated page says of itself.
    """
    networks = sorted(json.loads(zoo.read_text(encoding="utf-8"))["networks"], key=lambda one: one["parameters"])
    parts = {
        "small": [one for one in networks if one["parameters"] < 1e6],
        "medium": [one for one in networks if 1e6 <= one["parameters"] < 12e6 and not _large(one)],
        "large": [one for one in networks if one["parameters"] >= 12e6 or _large(one)],
    }
    head = _HEAD.format(generated=generated, **{name: _span(part) for name, part in parts.items()})
    return head + "\n".join(map(_row, networks)) + "\n"


def _large(network: dict[str, Any]) -> bool:
    return max(max(shape) for shape in network["shapes"]) >= 640 and len(network["shapes"][0]) == 4


def _span(networks: list[dict[str, Any]]) -> str:
    built = [one["recipes"]["edgekit"] for one in networks]
    seconds, memory = sorted(one["cpu_s"] for one in built), sorted(one["peak_mb"] for one in built)
    return (
        f"{seconds[0]:.0f} to {seconds[-1]:.0f} s of one core, {memory[0] / 1000:.1f} to {memory[-1] / 1000:.1f} GB "
        f"({len(built)} networks below)"
    )


def _row(network: dict[str, Any]) -> str:
    built = network["recipes"]["edgekit"]
    files = [built["files"][kind] for kind in ("pte", "onnx")]
    size = "x".join(map(str, network["shapes"][0][1:]))
    cells = (
        network["name"], f"{network['parameters']:,}", size, f"{network['calibration']} + {network['evaluation']}",
        f"{built['cpu_s']:.0f}", f"{built['peak_mb']:,.0f}", *(f"{file['bytes'] / 1000:,.0f}" for file in files),
        *(f"{file['median_ms']:.2f}" for file in files),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"
