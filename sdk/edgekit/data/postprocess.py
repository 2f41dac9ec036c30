"""From a classifier's logits to what a person reads: softmax, and the likeliest classes first."""

import numpy as np

from edgekit.data.rows import Array


def classes(logits: Array, labels: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Return the labels with their probabilities, likeliest first; ties go to the lower class number.

    Args:
        logits: Unnormalised log probabilities of one sample, of shape (classes,).
        labels: Names of the classes; none: their numbers.
    """
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    probabilities = powers / powers.sum()
    names = labels or tuple(map(str, range(len(logits))))
    order = np.argsort(-probabilities, kind="stable")
    return tuple((names[index], float(probabilities[index])) for index in order)
