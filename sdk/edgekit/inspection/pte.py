"""Looks into a .pte."""

from collections import Counter
from pathlib import Path
from typing import Any

from edgekit.base import digest
from edgekit.errors import RunError
from edgekit.inspection import isolated
from edgekit.inspection.values import Count, Delegate, PteFile, Tensor
from edgekit.spec import Format

DTYPES = {
    "BYTE": "uint8", "CHAR": "int8", "SHORT": "int16", "INT": "int32", "LONG": "int64", "HALF": "float16",
    "FLOAT": "float32", "DOUBLE": "float64", "BOOL": "bool", "BFLOAT16": "bfloat16",
}  # fmt: skip
_MAGIC = (b"ET12", b"ET13")


def inspect(path: Path) -> PteFile:
    """Return what is in a .pte, read in a process of its own.

    Raises:
        RunError: If it is damaged, or its reader crashes, or takes longer or more memory than a file of its size may.
    """
    with path.open("rb") as file:
        if file.read(8)[4:] not in _MAGIC:  # told without starting what reads them
            raise RunError(f"{path} is damaged: it does not begin like a .pte.", hint=isolated.hint(Format.PTE))
    return isolated.read(path, Format.PTE, PteFile)


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
