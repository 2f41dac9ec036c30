"""The reference model of TOSA, in the child that holds it: it aborts where it is told what it does not know."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tosa_reference_model

from edgekit.chips.simulator import Batch


def model_of(graph: bytes) -> Callable[[Batch], Sequence[Any]]:
    """Return what runs a graph: arrays in its order, one sample each, to arrays.

    Args:
        graph: The flatbuffer.
    """

    def run(batch: Batch) -> Sequence[Any]:
        given = [np.ascontiguousarray(one) for one in batch.values()]
        found, status = tosa_reference_model.run(
            graph, given, verbosity="NONE", initialize_variable_tensor_from_numpy=True
        )
        if status != tosa_reference_model.GraphStatus.TOSA_VALID:
            raise ValueError(f"the reference model of TOSA says {status}")
        return [np.asarray(one) for one in found]

    return run
