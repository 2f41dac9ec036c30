"""Whether a module computes what ONNX Runtime does with the file that it was made of."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor

from edgekit.errors import SourceError
from edgekit.model.programs.onnx.module import OnnxModule
from edgekit.model.programs.program import Program

_ROWS = 2
_ALIKE = 1e-3
_AGAIN = "Export the float model again, or build the PyTorch model instead."


def check_equal(path: Path, model: onnx.ModelProto, module: OnnxModule, program: Program) -> None:
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
    wanted = _run(path, model, feeds)  # behind torch, where what is too large was refused
    names = dict(module.edgekit_graph.outputs)
    if all(_alike(found[name].numpy(), wanted[file_name]) for name, file_name in names.items()):
        return
    raise SourceError(
        f"{path}: torch computes something else than ONNX Runtime{_first(path, model, module, given, feeds)}.",
        hint=_AGAIN,
    )


def _first(
    path: Path, model: onnx.ModelProto, module: OnnxModule, given: list[Tensor], feeds: dict[str, np.ndarray]
) -> str:
    """Return the first node that differs, in words."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {value.name for value in whole.graph.output}
    names = [name for node in whole.graph.node for name in node.output if name and name not in known]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    wanted = _run(path, whole, feeds)
    with torch.no_grad():
        found = module.run(*given, keep=names)
    for node in module.edgekit_graph.nodes:
        for name in node.writes:
            value = found.get(name)
            if isinstance(value, Tensor) and name in wanted and not _alike(value.numpy(), wanted[name]):
                return f" from {node.op}, node {node.name}, on"
    return ""


def _run(path: Path, model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))
    except Exception as error:  # the runtime has classes of its own, without a common base
        raise SourceError(f"{path} does not run in ONNX Runtime: {str(error).splitlines()[0]}", hint=_AGAIN) from error


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
