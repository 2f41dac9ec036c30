"""Whether the float model answers as well as it should: if not, what it is fed is not what it was trained with."""

from math import sqrt

import numpy as np

from edgekit.data import truth
from edgekit.data.rows import chunks
from edgekit.data.trace import Trace
from edgekit.model.program import Source

_LOOK = (
    "compare [preprocessing] with the training: scale, mean and std, the order of colours, resize and crop; and the "
    "order of the labels."
)
# Of a stated accuracy so much may be missing: another set of samples is harder, or easier.
_MISSING = 0.1
_SAMPLES = 20


def doubts(source: Source, host: Trace) -> tuple[str, ...]:
    """Return what a reader of the report must know of the float model's accuracy, if it is far below what it should be.

    Args:
        source: The model; its checkpoint may state an accuracy.
        host: Its answers for the evaluation samples, which may have true classes.
    """
    notes = []
    for spec in source.outputs:
        true = truth.of(spec, host.samples, source.outputs) if spec.meaning == "logits" else None
        answers = host.outputs[spec.name]
        if true is None or true.ndim != 1 or answers.ndim != 2 or len(true) < _SAMPLES:
            continue
        right = sum(int((part.argmax(axis=1) == np.asarray(true[rows])).sum()) for rows, part in chunks(answers))
        count, classes = len(true), answers.shape[1]
        share, chance = right / count, 1 / max(2, classes)
        found = f"The float model is right for {100 * share:.1f} % of the {count} evaluation samples"
        if source.stated_accuracy is not None and share < source.stated_accuracy - _MISSING - _noise(share, count):
            notes.append(f"{found}, and its checkpoint says {100 * source.stated_accuracy:.1f} %: {_LOOK}")
        elif share <= chance + _noise(chance, count):
            notes.append(f"{found}, no better than chance among {classes} classes: {_LOOK}")
    return tuple(notes)


def _noise(share: float, count: int) -> float:
    """Return two standard errors of a share of so many samples."""
    return 2 * sqrt(share * (1 - share) / count)
