"""Run a .pte in ExecuTorch's own runtime on this host."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from executorch.runtime import Method, Runtime, Verification

from edgekit.base.versions import installed
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import native
from edgekit.spec import TensorSpec

# What the runtime's codes mean to a person; the names are in executorch/runtime/core/error.h.
_CODES = {
    "10": "the inputs have a shape or type that the program was not built for",
    "12": "the program does not accept these arguments",
    "14": "an operator is missing from the linked kernel libraries",
    "20": "the delegate's backend is not linked into this runtime",
    "21": "there is not enough memory",
    "22": "the file is missing or unreadable",
    "23": "the file is truncated or not a .pte",
}


@dataclass(frozen=True, kw_only=True)
class LoadedPte:
    """A loaded method, and the bytes that it reads: the runtime keeps a bare pointer to them."""

    method: Method
    data: bytes


def load(source: Path | bytes) -> LoadedPte:
    """Load the ``forward`` method of a .pte.

    Raises:
        RunError: If the file is damaged, or needs kernels or backends that this runtime lacks.
    """
    where = source if isinstance(source, Path) else ".pte"
    data = source.read_bytes() if isinstance(source, Path) else source

    def method_of() -> Method | None:
        return Runtime.get().load_program(data, verification=Verification.InternalConsistency).load_method("forward")

    try:
        method = method_of()
    except KeyError as error:
        raise RunError(f"{where} has no method named forward.", hint="Build the bundle again.") from error
    except RuntimeError as error:
        raise _failure(f"ExecuTorch cannot load {where}", error, method_of, hint="Build the bundle again.") from error
    if method is None:
        raise RunError(f"{where} has no method named forward.", hint="Build the bundle again.")
    return LoadedPte(method=method, data=data)


def call(
    loaded: LoadedPte, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], part: Samples
) -> dict[str, Array]:
    """Run a batch and return the outputs by name: views of memory that the next call writes to.

    Args:
        loaded: What `load` returned.
        inputs: What goes in.
        outputs: What comes out.
        part: The batch.

    Raises:
        RunError: If the runtime refuses the inputs or fails.
    """
    tensors = [torch.from_numpy(part.array(spec.name)) for spec in inputs]
    try:
        results = loaded.method.execute(tensors)
    except RuntimeError as error:
        again = functools.partial(loaded.method.execute, tensors)
        raise _failure(f"ExecuTorch fails on a batch of {len(part)}", error, again) from error
    return {spec.name: results[place].numpy() for place, spec in enumerate(outputs)}


def _failure(what: str, error: RuntimeError, again: Callable[[], object], *, hint: str = "") -> RunError:
    """Say what failed, with the code in words and what the runtime printed, all of which is noted on the error."""
    lines = native.log_of(again)
    failure = RunError(f"{what}: {explain(error)}{f': {native.reason(lines)}' if lines else ''}.", hint=hint)
    for line in lines:
        failure.add_note(line)
    return failure


def kernels() -> str:
    """Name the library whose kernels run here."""
    return f"ExecuTorch {installed('executorch')['executorch']} XNNPACK"


def explain(error: RuntimeError) -> str:
    """Say in words what the runtime reports as a number."""
    text = str(error)
    code = re.search(r"0x:?([0-9a-f]+)", text.lower())
    return f"{_CODES[code[1]]} ({text})" if code and code[1] in _CODES else text
