"""The accuracy that a checkpoint states, whatever its training script called it."""

from collections.abc import Mapping

# Figures of training sets say what a model remembers.
_NOT_MEANT = ("train", "loss", "top5", "acc5", "top_5", "balanced")


def accuracy_in(metrics: Mapping[str, float]) -> float | None:
    """Return the accuracy that a checkpoint states, from 0 to 1; None: it states none.

    Args:
        metrics: Figures by the name that the training script gave them, ``best_acc1`` for instance, in percent or not.
    """
    found = [
        value / 100 if value > 1 else value
        for name, value in metrics.items()
        if any(word in name.lower() for word in ("acc", "top1", "top_1"))
        and not any(word in name.lower() for word in _NOT_MEANT)
        and 0 < value <= 100
    ]
    return min(found, default=None)
