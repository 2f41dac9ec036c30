"""TorchScript files, read without executing anything that they say.

Such a file holds code in a language of its own, which torch compiles, and no Python. While it loads, torch runs the
``__setstate__`` of classes in it, and operations can write files: so the code is looked at first.
"""

import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, get_args

import torch
from torch import Tensor, nn

from edgekit.base import zips
from edgekit.errors import SourceError
from edgekit.model.outputs import flattened, identifiers
from edgekit.model.programs.program import Program, limited
from edgekit.model.programs.script.module import with_signature
from edgekit.model.programs.script.translate import Translation
from edgekit.model.sizes import resized
from edgekit.spec import Dimension, DType, TensorSpec
from edgekit.spec.dimensions import BATCH

_AGAIN = "Save it again: torch.jit.save(torch.jit.script(model), path)."
_REFUSED = re.compile(
    rb"def __setstate__|__torch__\.torch\.classes|torch\.(save|from_file|load)\(|aten\.(save|from_file)"
)


def of_file(path: Path) -> Program:
    """Return the program in a TorchScript file.

    Raises:
        SourceError: If it cannot be read, would be executed while it loads, or calls what no artifact can compute.
    """
    try:
        zips.check_growth(zips.members(path), path.stat().st_size, zips.PROGRAM_ROOM)
        with path.open("rb") as file:
            return _read(file, f"the TorchScript file {path}")
    except zips.ZipError as error:
        raise SourceError(f"{path} cannot be read: {error}", hint=_AGAIN) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="Correct model.weights.") from error


def of_script(module: torch.jit.ScriptModule) -> Program:
    """Return the program of a module that was scripted or traced; it is left as it is.

    Raises:
        SourceError: As for a file.
    """
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return _read(buffer, "the TorchScript module")


def _read(file: IO[bytes], origin: str) -> Program:
    unit: Any = torch._C.CompilationUnit()
    script: Any
    try:
        _check(file, origin)
        file.seek(0)
        cpu = torch.device("cpu")
        name = getattr(file, "name", None)  # by name it need not be held in memory
        where = (name,) if isinstance(name, str) else (file.read(),)
        load: Any = torch._C.import_ir_module if isinstance(name, str) else torch._C.import_ir_module_from_buffer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = load(unit, *where, cpu, {}, _has_inputs(file))
    except SourceError:
        raise
    except Exception as error:  # torch raises anything for what its reader does not expect
        lines = (str(error) or type(error).__name__).strip().splitlines()
        raise SourceError(f"{origin} cannot be read: {lines[0]}", hint=_AGAIN) from error
    if not script._has_method("forward"):
        raise SourceError(f"{origin} has no forward.", hint=_AGAIN)
    method = script._get_method("forward")
    arguments = method.schema.arguments[1:]
    values = list(method.graph.inputs())[1:]
    names = identifiers((argument.name for argument in arguments), ())
    if strange := [one for one, value in zip(names, values, strict=True) if not value.type().isSubtypeOf(_TENSOR)]:
        raise SourceError(
            f"{origin}: forward takes {strange[0]}, which is no tensor.",
            hint="Script a module whose forward takes tensors alone, and calls this one.",
        )
    kind = re.sub(r"\W", "_", str(script._type().name()))
    module = with_signature(Translation(origin, unit).module(script), kind, names)
    notes = ("Saved in training mode: built as in eval mode.",) if script.getattr("training") else ()
    inputs, dimensions = _traced(names, values, module)
    return Program(
        module=module, origin=origin, names=names, inputs=inputs, dimensions=dimensions, binding=False, notes=notes
    )


_TENSOR = torch._C.TensorType.get()


def _has_inputs(file: IO[bytes]) -> bool:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/traced_inputs.pkl") for name in archive.namelist())


def _check(file: IO[bytes], origin: str) -> None:
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise SourceError(f"{origin} is damaged: {damaged} is not what was written.", hint=_AGAIN)
        for name in archive.namelist():
            if name.endswith("pkl"):
                _check_pickle(archive, name, origin)
            if name.endswith(".py") and (found := _REFUSED.search(archive.read(name))):
                raise SourceError(
                    f"{origin}: {name} has {found[0].decode()!r}, which would be executed.",
                    hint="Script the float model alone, without packed weights, files and custom states.",
                )


def _check_pickle(archive: zipfile.ZipFile, name: str, origin: str) -> None:
    """Refuse a pickle that says it has more bytes than it has: torch takes memory for them before it looks."""
    try:
        with archive.open(name) as member:
            for _ in pickletools.genops(io.BytesIO(member.read())):
                pass
    except ValueError as error:
        raise SourceError(f"{origin} is damaged: {name}: {error}", hint=_AGAIN) from error


def _traced(
    names: tuple[str, ...], values: list[Any], module: nn.Module
) -> tuple[tuple[TensorSpec, ...] | None, dict[str, Dimension | None]]:
    """Return the inputs that a module was traced with: its batch varies if it had several rows and takes others."""
    known = [(value.type().sizes(), value.type().dtype()) for value in values]
    if not known or any(not sizes or dtype is None for sizes, dtype in known):
        return None, {}
    kinds = [str(dtype).removeprefix("torch.") for _, dtype in known]
    kinds = ["float32" if kind in ("float16", "bfloat16", "float64") else kind for kind in kinds]
    if any(kind not in get_args(DType) for kind in kinds):
        return None, {}
    rows = {sizes[0] for sizes, _ in known}
    varies = len(rows) == 1 and rows != {1} and _takes_others(module, known)
    specs = tuple(
        TensorSpec.model_validate(
            {"name": name, "dtype": kind, "shape": (BATCH, *sizes[1:]) if varies else tuple(sizes)}
        )
        for name, kind, (sizes, _) in zip(names, kinds, known, strict=True)
    )
    return specs, {BATCH: limited(1, None, batch=True)} if varies else {}


def _takes_others(module: nn.Module, known: list[tuple[list[int], torch.dtype]]) -> bool:
    """Whether a traced module gives one row a sample also for another number of them."""
    zeros: list[Tensor] = [torch.zeros(sizes, dtype=dtype) for sizes, dtype in known]
    more = len(zeros[0]) + 1
    try:
        with torch.no_grad():
            found = flattened("", module(*(resized(one, (more, *one.shape[1:])) for one in zeros)))
    except Exception:  # anything may be raised by a model whose trace has the number of rows in it
        return False
    return all(tensor.ndim and len(tensor) == more for _, tensor in found)
