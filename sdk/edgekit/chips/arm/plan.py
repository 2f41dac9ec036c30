"""Compute what a .pte says, kernel by kernel: each kernel by the operation of torch that its name stands for.

The libraries for microcontrollers are not built for this machine, but what their kernels compute is written in Python
beside the compiler; nobody held that against CMSIS-NN itself. What runs is the file: its instructions, numbers and
constants.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import executorch.exir.schema as schema
import numpy as np
import torch
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.tensor import scalar_type_enum
from torch import Tensor

from edgekit.chips.arm import operators
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution.calls import Call

Delegate = Callable[[Sequence[Tensor]], Sequence[Tensor]]
_DTYPES = {
    int(scalar_type_enum(dtype)): dtype
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.bool)
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A .pte that is computed here."""

    steps: schema.ExecutionPlan
    constants: dict[int, Tensor]
    """Tensors that are in the file, by the number of the value."""
    delegated: tuple[bytes, ...]
    """What the file holds for each delegate."""
    delegates: tuple[str, ...]
    """The name of each delegate's backend."""

    def run(self, inputs: Sequence[Tensor], delegates: Sequence[Delegate] = ()) -> list[Tensor]:
        """Return the outputs for inputs.

        Args:
            inputs: In the order of the file.
            delegates: What computes each delegate.

        Raises:
            RunError: If there is a kernel that is not known here, or one refuses what it is given.
        """
        held, written = self._memory(), {*self.constants, *self.steps.inputs}
        for place, given in zip(self.steps.inputs, inputs, strict=True):
            held[place].copy_(given)
        for instruction in self.steps.chains[0].instructions:
            match instruction.instr_args:
                case schema.KernelCall(op_index=kernel, args=places):
                    self._call(self.steps.operators[kernel], places, held)
                    written.update(places)
                case schema.DelegateCall(delegate_index=number, args=places):
                    self._delegate(delegates[number], places, written, held)
                case schema.MoveCall(move_from=source, move_to=to):
                    held[to] = held[source]
                case schema.FreeCall():
                    pass
                case other:
                    raise RunError(f"A {type(other).__name__} cannot be computed here.", hint="Leave the target out.")
        return [held[place].clone() for place in self.steps.outputs]

    def caller(self, names: Sequence[str], delegates: Sequence[Delegate] = ()) -> Call:
        """Return what runs a batch of samples and returns the outputs by name.

        Args:
            names: The outputs' names, in the order of the file.
            delegates: What computes each delegate.
        """

        def call(part: Samples) -> dict[str, Array]:
            given = [torch.from_numpy(np.ascontiguousarray(part.array(name))) for name in part.inputs]
            return dict(zip(names, (one.numpy() for one in self.run(given, delegates)), strict=True))

        return call

    def _memory(self) -> dict[int, Tensor]:
        """Return the tensors of the plan, where it puts them in memory: some lie in the place of others."""
        arenas = [torch.zeros(size, dtype=torch.uint8) for size in self.steps.non_const_buffer_sizes]
        held = dict(self.constants)
        for place, value in enumerate(self.steps.values):
            if isinstance(tensor := value.val, schema.Tensor) and place not in held:
                dtype = _DTYPES[int(tensor.scalar_type)]
                sizes = torch.Size(tensor.sizes[axis] for axis in tensor.dim_order)
                if (at := tensor.allocation_info) is None:
                    flat = torch.zeros(sizes.numel(), dtype=dtype)
                else:
                    start = at.memory_offset_low + (at.memory_offset_high << 32)
                    flat = arenas[at.memory_id][start : start + sizes.numel() * dtype.itemsize].view(dtype)
                held[place] = _ordered(flat, tensor)
        return held

    def _call(self, kernel: schema.Operator, given: Sequence[int], held: dict[int, Tensor]) -> None:
        space, _, name = kernel.name.partition("::")
        packet: Any = getattr(getattr(torch.ops, space), name)
        kind = getattr(packet, kernel.overload or "default")
        outs = [one.name for one in kind._schema.arguments if one.is_out]
        wanted = [one for one in kind._schema.arguments if not one.is_out]
        # An operation that returns what it writes to stands once more at the end of the values.
        places = given[: len(wanted) + len(outs)]
        values = [self._typed(one, self._value(place, held)) for one, place in zip(wanted, places, strict=False)]
        targets = places[len(wanted) :]
        keywords = {one.name: value for one, value in zip(wanted, values, strict=True) if one.kwarg_only}
        values = [value for one, value in zip(wanted, values, strict=True) if not one.kwarg_only]
        try:
            if space == "aten":
                empty = {name: torch.empty_like(held[place]) for name, place in zip(outs, targets, strict=True)}
                found = kind(*values, **keywords, **empty)
            else:  # their kernels in Python are those that return what they computed
                found = packet.default(*values, **keywords)
        except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
            first = str(error).partition("\n")[0]
            raise RunError(f"{kernel.name} refuses what it is given: {first}", hint="Leave the target out.") from error
        results = found if isinstance(found, tuple | list) else (found,)
        for place, result in zip(targets, results, strict=True):
            held[place].copy_(result)

    def _delegate(self, delegate: Delegate, places: Sequence[int], written: set[int], held: dict[int, Tensor]) -> None:
        given, found = ([one for one in places if (one in written) is known] for known in (True, False))
        for place, result in zip(found, delegate([held[one] for one in given]), strict=True):
            held[place].copy_(result.reshape(held[place].shape))
        written.update(found)

    def _value(self, place: int, held: dict[int, Tensor]) -> Any:
        match self.steps.values[place].val:
            case schema.Tensor():
                return held[place]
            case schema.Null():
                return None
            case schema.Int(int_val=value) | schema.Bool(bool_val=value) | schema.String(string_val=value):
                return value
            case schema.Double(double_val=value):
                return float(value)
            case schema.IntList(items=items) | schema.TensorList(items=items) | schema.OptionalTensorList(items=items):
                return [None if item < 0 else self._value(item, held) for item in items]
            case schema.DoubleList(items=numbers) | schema.BoolList(items=numbers):
                return list(numbers)
            case other:
                raise RunError(f"A {type(other).__name__} cannot be read here.", hint="Leave the target out.")

    @staticmethod
    def _typed(argument: Any, value: Any) -> Any:
        return _DTYPES[value] if "ScalarType" in str(argument.real_type) and isinstance(value, int) else value


def read(data: bytes) -> Plan:
    """Read a .pte.

    Args:
        data: The file.

    Raises:
        RunError: If it is damaged.
    """
    operators.register()
    try:
        program = deserialize_pte_binary(data).program
        steps = program.execution_plan[0]
        constants = {
            number: _constant(value.val, program.constant_buffer[value.val.data_buffer_idx].storage)
            for number, value in enumerate(steps.values)
            if isinstance(value.val, schema.Tensor) and value.val.data_buffer_idx > 0 and not value.val.allocation_info
        }
        delegated = tuple(program.backend_delegate_data[one.processed.index].data for one in steps.delegates)
    except Exception as error:  # the reader has no error of its own
        raise RunError(
            f"The .pte is damaged and refused: {type(error).__name__}: {error}", hint="Build it again."
        ) from error
    return Plan(
        steps=steps,
        constants=constants,
        delegated=tuple(map(bytes, delegated)),
        delegates=tuple(one.id for one in steps.delegates),
    )


def _constant(tensor: schema.Tensor, stored: bytes) -> Tensor:
    dtype = _DTYPES[int(tensor.scalar_type)]
    count = torch.Size(tensor.sizes).numel()
    read = torch.frombuffer(bytearray(stored), dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)
    return _ordered(read, tensor)


def _ordered(flat: Tensor, tensor: schema.Tensor) -> Tensor:
    """Return the values of a tensor, which lie in memory in the order of its dimensions there."""
    sizes = [tensor.sizes[axis] for axis in tensor.dim_order]
    return flat.reshape(sizes).permute([tensor.dim_order.index(axis) for axis in range(len(sizes))])
