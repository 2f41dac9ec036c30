"""Whether a module computes what ONNX Runtime does with the file that it was made of."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import SourceError
from edgekit.model.onnxfiles.process import OnnxProcess
from edgekit.model.programs.onnx.module import OnnxModule
from edgekit.model.programs.program import Program

_ROWS = 2
_ALIKE = 1e-3
_AGAIN = "Export the float model again, or build the PyTorch model instead."


def check_equal(path: Path, runtime: OnnxProcess, module: OnnxModule, program: Program) -> None:
    """Run both on the same numbers.

    Raises:
        SourceError: With the first node that differs, or if one of them does not run.
    """
    given = [_values(spec.shape, spec.dtype, number) for number, spec in enumerate(program.inputs or ())]
    feeds = dict(zip(module.edgekit_graph.inputs, (value.numpy() for value in given), strict=True))
    try:
        with torch.no_grad():
            found = module.results(*given)
    except Exception as error:  # anything may be raised by torch
        raise SourceError(f"{path} cannot be computed in torch: {error}", hint=_AGAIN) from error
    wanted = runtime.run(feeds)  # behind torch, where what is too large was refused
    names = dict(module.edgekit_graph.outputs)
    if all(_alike(found[name].numpy(), wanted[file_name]) for name, file_name in names.items()):
        return
    raise SourceError(
        f"{path}: torch computes something else than ONNX Runtime{_first(runtime, module, given, feeds)}.",
        hint=_AGAIN,
    )


def _first(runtime: OnnxProcess, module: OnnxModule, given: list[Tensor], feeds: dict[str, np.ndarray]) -> str:
    """Return the first node that differs, in words."""
    wanted = runtime.run(feeds, everything=True)
    names = [name for node in module.edgekit_graph.nodes for name in node.writes]
    with torch.no_grad():
        found = module.run(*given, keep=names)
    for node in module.edgekit_graph.nodes:
        for name in node.writes:
            value = found.get(name)
            if isinstance(value, Tensor) and name in wanted and not _alike(value.numpy(), wanted[name]):
                return f" from {node.op}, node {node.name}, on"
    return ""


def _values(shape: tuple[int | str, ...], dtype: str, seed: int) -> Tensor:
    sizes = [size if isinstance(size, int) else (_ROWS if axis == 0 else 32) for axis, size in enumerate(shape)]
    generator = torch.Generator().manual_seed(seed)
    if getattr(torch, dtype).is_floating_point:
        return torch.randn(sizes, generator=generator)
    return torch.randint(0, 2, sizes, generator=generator).to(getattr(torch, dtype))


def _alike(found: np.ndarray, wanted: np.ndarray) -> bool:
    if found.shape != wanted.shape:
        return False
    one, other = found.astype(np.float64), wanted.astype(np.float64)
    scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
    return bool(np.allclose(one, other, rtol=_ALIKE, atol=_ALIKE * scale + 1e-7, equal_nan=True))
