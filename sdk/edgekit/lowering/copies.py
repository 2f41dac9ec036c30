"""Copies of programs whose graphs are written anew on the way to a file."""

import copy
import gc

from torch.export import ExportedProgram

# Below this, in bytes, what waits for the garbage collector is no matter.
_LARGE = 2**26


def copied(program: ExportedProgram) -> ExportedProgram:
    """Return a copy whose graph may be changed; its weights are the program's own, which nothing may write to."""
    held = [*program.state_dict.values(), *program.constants.values()]
    return copy.deepcopy(program, {id(one): one for one in held})


def collect(nbytes: int) -> None:
    """Free what an exporter has left in cycles, if the weights in it are large: it would last into the next stage.

    Args:
        nbytes: The bytes of the weights.
    """
    if nbytes > _LARGE:
        gc.collect()
