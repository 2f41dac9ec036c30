"""EdgeKit, as a user calls it."""

import shutil
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import edgekit
from bench.zoo.entry import Entry, Task
from edgekit.spec import STEPS, Meaning, QuantSpec

TARGET = "linux-x86_64"
_MEANINGS: dict[Task, Meaning] = {"top-1": "logits", "pixels": "segmentation", "cosine": "embedding"}


def build(
    recipe: str, entry: Entry, model: nn.Module, fit: list[Tensor], held: list[Tensor], place: Path
) -> dict[str, Any]:
    """Build both formats with the defaults, or with one step switched off, and say what became of them.

    Args:
        recipe: ``edgekit`` or ``off-STEP``.
        entry: The network.
        model: The same, made.
        fit: The calibration samples.
        held: The evaluation samples.
        place: Where the files go, as ``model.pte`` and ``model.onnx``.
    """
    options: dict[str, Any] = dict(STEPS[recipe.removeprefix("off-")]) if recipe.startswith("off-") else {}
    if entry.scheme != "int8":
        options = {**options, "scheme": entry.scheme}
    result = edgekit.build(
        model,
        [tensor[:1] for tensor in fit],
        target=TARGET,
        calibration=[tuple(fit)],
        evaluation=[tuple(held)],
        output=place / "bundles",
        name="network",
        output_names=entry.outputs,
        meanings={entry.outputs[0]: _MEANINGS[entry.task]} if entry.task in _MEANINGS else {},
        quantization=QuantSpec(**options),
        cache=False,
    )
    built = result.bundles[0]
    for info in built.manifest.artifacts:
        shutil.copy(built.folder / info.file, place / f"model.{info.format}")
    return {
        "seconds": {stage: round(seconds, 2) for stage, seconds in result.seconds},
        "refused": {str(one.format): one.reason for one in built.manifest.refused},
        "notes": list(built.manifest.drift.notes),
        "verdict": built.manifest.verdict,
    }
