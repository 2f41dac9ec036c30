"""What an output says of its sample: an answer that is the same for every input is no answer, however close on average.

A large offset that all samples share hides in the ratio of signal to noise that nothing else is right. So the part that
varies is held against its own noise, too, whatever the budget asks for.
"""

import numpy as np

from edgekit.drift.metrics import comparable
from edgekit.drift.report import Check, LimitResult
from edgekit.drift.statistics import Array, Doubles
from edgekit.spec import TensorSpec

# An answer that does not vary at all has 0 dB, one that has nothing to do with its input less.
_LEAST_DB = 3.0
# Below this share of the energy, what varies is the rounding of float32.
_ROUNDING = 1e-13


def varying_sqnr_db(reference: Doubles, candidate: Doubles) -> float | None:
    """Return the signal to noise ratio of the outputs less their means over the samples, in dB.

    Args:
        reference: What should have been computed, of shape (samples, ...).
        candidate: What was computed, of the same shape.

    Returns:
        The ratio; None if the reference does not vary with the samples, or if there is no noise.
    """
    varying = reference - reference.mean(0)
    signal = float(np.square(varying).sum())
    noise = float(np.square(candidate - candidate.mean(0) - varying).sum())
    if signal <= _ROUNDING * float(np.square(reference).sum()) or noise == 0:
        return None
    return float(10 * (np.log10(signal) - np.log10(noise)))


def checks(spec: TensorSpec, reference: Array, candidate: Array) -> tuple[Check, ...]:
    """Return the check ``varies``, broken, if an output does not follow its input; none if it does.

    Integers and detections, which have no order of their own, are judged by agreement alone.

    Args:
        spec: The output.
        reference: What should have been computed, of shape (samples, ...).
        candidate: What was computed, of the same shape.
    """
    if spec.meaning in ("boxes", "scores", "classes") or not np.issubdtype(reference.dtype, np.floating):
        return ()
    truth, value, _ = comparable(reference, candidate)
    found = varying_sqnr_db(truth, value)
    if found is None or found >= _LEAST_DB:
        return ()
    return (
        Check(
            name="varies",
            metric="varying_sqnr_db",
            limit=_LEAST_DB,
            value=found,
            interval=None,
            result=LimitResult.BROKEN,
        ),
    )
