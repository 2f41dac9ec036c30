"""Looks into a .pte."""

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgekit.base import digest
from edgekit.base.child import Child, ChildError
from edgekit.errors import BundleError, RunError
from edgekit.inspection.values import Count, Delegate, PteFile, Tensor

DTYPES = {
    "BYTE": "uint8", "CHAR": "int8", "SHORT": "int16", "INT": "int32", "LONG": "int64", "HALF": "float16",
    "FLOAT": "float32", "DOUBLE": "float64", "BOOL": "bool", "BFLOAT16": "bfloat16",
}  # fmt: skip
_MAGIC = (b"ET12", b"ET13")
# What ExecuTorch's reader, which goes through JSON, may take for a file: far more than for any that a build writes.
_LEAST, _PER_BYTE = 2**30, 256
_LEAST_S, _BYTES_A_SECOND = 10.0, 2**20
_PTE_FILE = TypeAdapter(PteFile)
DAMAGED = "The file is cut off or no .pte. Copy it again, or build it again."


def inspect(path: Path) -> PteFile:
    """Return what is in a .pte, read in a process of its own.

    Raises:
        BundleError: If it is damaged.
        RunError: If its reader crashes, or takes longer or more memory than a file of its size may.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if start[4:] not in _MAGIC:
        raise BundleError(f"{path} is damaged: it does not begin like a .pte.", hint=DAMAGED)
    size = path.stat().st_size
    try:
        child = Child("edgekit.inspection.reader", memory=_LEAST + _PER_BYTE * size)
        found, _ = child.ask({"file": str(path)}, seconds=_LEAST_S + size / _BYTES_A_SECOND)
    except ChildError as error:
        raise RunError(f"{path} {error} when it is read.", hint=DAMAGED) from error
    child.close()
    if "error" in found:
        raise BundleError(f"{path} is damaged: {found['error']}", hint=DAMAGED)
    try:
        return _PTE_FILE.validate_json(str(found["file"]))
    except ValidationError as error:
        raise BundleError(f"{path} is damaged: {error.errors()[0]['msg']}", hint=DAMAGED) from error


def read(path: Path) -> PteFile:
    """Return what is in a .pte, read in this process; whatever is raised means that it is damaged."""
    data = path.read_bytes()
    return _describe(path, data, deserialize(data))


def deserialize(data: bytes) -> Any:
    """Return the program of a .pte and its named data, as ExecuTorch's ``PTEFile``."""
    # Private: ExecuTorch has no public reader of the graph. The runtime's public method metadata knows neither
    # delegates nor operators. A test pins the fields used here to the version in pyproject.toml.
    from executorch.exir._serialize._program import deserialize_pte_binary

    return deserialize_pte_binary(data)


def _describe(path: Path, data: bytes, file: Any) -> PteFile:
    program = file.program
    plan = program.execution_plan[0]
    delegates: Counter[str] = Counter()
    delegate_bytes: Counter[str] = Counter()
    for delegate in plan.delegates:
        delegates[delegate.id] += 1
        delegate_bytes[delegate.id] += len(program.backend_delegate_data[delegate.processed.index].data)
    operators: Counter[str] = Counter()
    for chain in plan.chains:
        for instruction in chain.instructions:
            if (index := getattr(instruction.instr_args, "op_index", None)) is not None:
                operator = plan.operators[index]
                operators[f"{operator.name}.{operator.overload}" if operator.overload else operator.name] += 1
    named = file.named_data.buffers if file.named_data is not None else ()
    return PteFile(
        path=str(path),
        bytes=len(data),
        sha256=digest.of_bytes(data),
        method=plan.name,
        inputs=tuple(_tensor(plan.values[index].val) for index in plan.inputs),
        outputs=tuple(_tensor(plan.values[index].val) for index in plan.outputs),
        delegates=tuple(
            Delegate(backend=name, count=count, bytes=delegate_bytes[name]) for name, count in sorted(delegates.items())
        ),
        operators=tuple(Count(name=name, count=count) for name, count in sorted(operators.items())),
        constant_bytes=sum(len(item.storage) for item in program.constant_buffer) + sum(map(len, named)),
        planned_memory_bytes=sum(plan.non_const_buffer_sizes),
    )


def _tensor(value: Any) -> Tensor:
    if not hasattr(value, "sizes"):
        return Tensor(name="", dtype=type(value).__name__.lower(), shape=())
    return Tensor(
        name="",
        dtype=DTYPES.get(value.scalar_type.name, value.scalar_type.name.lower()),
        shape=tuple(value.sizes),
        bound=value.shape_dynamism.name != "STATIC",
    )
