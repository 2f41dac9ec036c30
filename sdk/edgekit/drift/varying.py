"""What an output says of its sample: an answer that is the same for every input is no answer, however close on average.

A large offset that all samples share hides in the ratio of signal to noise that nothing else is right. So the part that
varies is held against its own noise, too, whatever the budget asks for.
"""

from dataclasses import dataclass

import numpy as np

from edgekit.data.rows import Rows
from edgekit.drift.metrics import is_counted
from edgekit.drift.pairs import Pair
from edgekit.drift.report import Check, LimitResult
from edgekit.drift.statistics import Doubles
from edgekit.spec import TensorSpec

# An answer that does not vary at all has 0 dB, one that has nothing to do with its input less.
_LEAST_DB = 3.0
# Below this share of the energy, what varies is the rounding of float32.
_ROUNDING = 1e-13


@dataclass(frozen=True, kw_only=True)
class Means:
    """What both computations give on average over all samples."""

    reference: Doubles
    candidate: Doubles


def varying(pair: Pair, means: Means) -> Doubles:
    """Return the energy of each of some samples, of what varies of it, and of the noise of that: of shape (rows, 3)."""
    signal = pair.reference - means.reference
    noise = pair.error - (means.reference - means.candidate)
    columns = [np.square(one.reshape(len(one), -1)).sum(axis=1) for one in (pair.reference, signal, noise)]
    energies: Doubles = np.stack(columns, axis=1)
    return energies


def varying_sqnr_db(energies: Doubles) -> float | None:
    """Return the signal to noise ratio of the outputs less their means over the samples, in dB.

    Args:
        energies: Of all samples, from `varying`.

    Returns:
        The ratio; None if the reference does not vary with the samples, or if there is no noise.
    """
    whole, signal, noise = (float(one) for one in energies.sum(axis=0))
    if signal <= _ROUNDING * whole or noise == 0:
        return None
    return float(10 * (np.log10(signal) - np.log10(noise)))


def applies(spec: TensorSpec, reference: Rows) -> bool:
    """Whether an output must follow its input: integers and detections are judged by agreement alone."""
    return spec.meaning not in ("boxes", "scores", "classes") and not is_counted(reference, spec.meaning)


def checks(energies: Doubles | None) -> tuple[Check, ...]:
    """Return the check ``varies``, broken, if an output does not follow its input; none if it does.

    Args:
        energies: Of all samples, from `varying`; None where that does not apply.
    """
    found = None if energies is None else varying_sqnr_db(energies)
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
