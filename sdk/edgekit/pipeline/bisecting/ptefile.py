"""A .pte taken apart: what its delegates compute, value by value, and copies of it that give these values out."""

import copy
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from executorch.exir import schema
from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir._serialize._program import serialize_pte_binary

from edgekit.data.rows import Array
from edgekit.errors import EdgeKitError, RunError
from edgekit.inspection.pte import deserialize
from edgekit.pipeline.bisecting.pairing import Offered
from edgekit.pipeline.bisecting.xnnpack import KINDS, Delegate, Kernel, Value

_DELEGATE = "XnnpackBackend"
_ALIGNED = 16
_DTYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype(np.float32), "qint8": np.dtype(np.int8)}
_HINT = "Build the bundle again."
Taken = str | int | Array


class HiddenError(Exception):
    """What a .pte computes inside cannot be seen; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A value that a kernel of a delegate computes."""

    name: str
    """Kind and number, ``conv2d_7``; with the number of the call before it where there are several."""
    call: int
    """Which call of a delegate computes it."""
    kernel: Kernel
    value: Value
    turned: bool
    """Whether its channels are its last dimension, where PyTorch's are the second."""
    outside: int | None
    """The program's number of the value, if it leaves the delegate."""

    @property
    def offered(self) -> Offered:
        """What it may stand for in the program."""
        return Offered(name=self.name, scale=self.value.scale, zero_point=self.value.zero_point)

    def in_order(self, array: Array) -> Array:
        """Return what the delegate gave with the dimensions in PyTorch's order."""
        return array.transpose(0, 3, 1, 2) if self.turned else array

    def as_given(self, array: Array) -> Array:
        """Return a value with the dimensions as the delegate has them."""
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1) if self.turned else array)


class PteFile:
    """A .pte whose program calls XNNPACK's delegate, each call once."""

    def __init__(self, data: bytes) -> None:
        """Take a file apart.

        Raises:
            HiddenError: If its delegates cannot be looked into.
            RunError: If it is damaged.
        """
        with _readable():
            self._take_apart(deserialize(data))

    def _take_apart(self, file: Any) -> None:
        self._file = file
        self._plan = self._file.program.execution_plan[0]
        steps = [one.instr_args for one in self._plan.chains[0].instructions]
        if len(self._plan.chains) > 1 or any(isinstance(one, schema.JumpFalseCall) for one in steps):
            raise HiddenError("its program has loops")
        if self._file.mutable_data:
            raise HiddenError("its program keeps state from one call to the next")
        self._calls = [one for one in steps if isinstance(one, schema.DelegateCall)]
        if {self._plan.delegates[one.delegate_index].id for one in self._calls} != {_DELEGATE}:
            raise HiddenError("its delegate is none of XNNPACK")
        self.delegates = tuple(Delegate(self._payload(one)) for one in self._calls)
        self.named = self._named()
        """Constants that it keeps beside its delegates."""
        made = list(self._inner())
        ends = {one.outside: one for one in made if one.outside in self._plan.outputs}
        self.ends = tuple(ends.get(output) for output in self._plan.outputs)
        """What its outputs are; None: no delegate computes it."""
        self.inner = {one.name: one for one in made if one.outside not in self._plan.outputs}
        """What can be given out, by name, in the order of running."""
        first = self._plan.values[self._plan.inputs[0]].val
        self.rows = int(first.sizes[0]) if first.sizes else 1
        """Samples of a call: so many or fewer."""
        self.fixed = first.shape_dynamism == schema.TensorShapeDynamism.STATIC
        """Whether a call has exactly so many."""

    def with_payloads(self, payloads: Sequence[bytes], named: Mapping[str, bytes]) -> bytes:
        """Return a copy whose delegates have other graphs, and which keeps more constants beside them."""
        file = copy.deepcopy(self._file)
        for call, payload in zip(self._calls, payloads, strict=True):
            place = file.program.execution_plan[0].delegates[call.delegate_index].processed.index
            file.program.backend_delegate_data[place].data = payload
        file.named_data = _store({**self.named, **named})
        return _written(file)

    def offered(self) -> list[Offered]:
        """Return what may stand for a value of the program, in the order of running: none that is moved or unpacked."""
        unpacked = {
            one.name
            for one in self.inner.values()
            if one.kernel.kind == "Convert"
            and one.value.kind == "fp32"
            and self.delegates[one.call].values[one.kernel.inputs[0]].kind != "fp32"
        }
        return [one.offered for one in self.inner.values() if not one.kernel.moves and one.name not in unpacked]

    def kinds(self) -> dict[str, tuple[str, str, tuple[int, ...]]]:
        """Return what each value is computed by, of which kind it is, and its size."""
        return {name: (one.kernel.kind, one.value.kind, one.value.dims) for name, one in self.inner.items()}

    def behind(self, end: Inner, known: Collection[str]) -> list[Inner]:
        """Return the values that are computed for one, itself the last, from known ones."""
        kernels, _ = _behind(self.delegates[end.call], end, self._stops(end, known))
        made = {(one.call, one.kernel.output): one for one in (*self.inner.values(), *filter(None, self.ends))}
        return [made[place] for one in kernels if (place := (end.call, one.output)) in made]

    def _stops(self, end: Inner, known: Collection[str]) -> dict[int, str]:
        return {self.inner[name].value.id: name for name in known if self.inner[name].call == end.call}

    def tapped(self, names: Collection[str], rows: int) -> tuple[bytes, tuple[str, ...]]:
        """Return a copy that gives inner values out behind its outputs, for so many samples, and their names."""
        with _readable():
            return self._tapped(names, rows)

    def _tapped(self, names: Collection[str], rows: int) -> tuple[bytes, tuple[str, ...]]:
        file = copy.deepcopy(self._file)
        plan = file.program.execution_plan[0]
        given: list[str] = []
        calls = [one.instr_args for one in plan.chains[0].instructions]
        for number, call in enumerate(one for one in calls if isinstance(one, schema.DelegateCall)):
            wanted = [one for one in self.inner.values() if one.call == number and one.name in names]
            hidden = []
            for one in wanted:
                if one.outside is None:
                    tensor = _tensor(plan, one.value, _fewer(one.value.dims, self.rows, rows))
                    plan.values.append(schema.EValue(tensor))
                    call.args.append(place := len(plan.values) - 1)
                    hidden.append(one.value.id)
                else:  # in memory of its own, which nothing is written to later
                    place = one.outside
                    tensor = _tensor(plan, one.value, list(one.value.dims))
                    plan.values[place].val.allocation_info = tensor.allocation_info
                plan.outputs.append(place)
                given.append(one.name)
            blob = file.program.backend_delegate_data[plan.delegates[call.delegate_index].processed.index]
            blob.data = self.delegates[number].with_outputs(hidden)
        return _written(file), tuple(given)

    def alone(self, end: Inner, known: Collection[str]) -> tuple[bytes, dict[str, Taken]]:
        """Return a .pte of only those kernels that compute a value from known ones, and what it takes, in order.

        What it takes is a value by its name, an input of the program by its place, or what the file holds.

        Raises:
            HiddenError: If it takes what is computed outside of its delegate.
        """
        with _readable():
            return self._alone(end, known)

    def _alone(self, end: Inner, known: Collection[str]) -> tuple[bytes, dict[str, Taken]]:
        delegate = self.delegates[end.call]
        stop = self._stops(end, known)
        kernels, inputs = _behind(delegate, end, stop)
        taken = {stop.get(one, f"value_{one}"): stop.get(one) or self._held(end.call, one, known) for one in inputs}
        file = copy.deepcopy(self._file)
        plan = file.program.execution_plan[0]
        called = self._calls[end.call]
        plan.values, plan.non_const_buffer_sizes, plan.non_const_buffer_device = [], [0, 0], None
        for value in (*inputs, end.value.id):
            told = delegate.values[value]
            plan.values.append(schema.EValue(_tensor(plan, told, list(told.dims))))
        places = list(range(len(plan.values)))
        plan.inputs, plan.outputs, plan.operators = places[:-1], places[-1:], []
        plan.delegates = [plan.delegates[called.delegate_index]]
        step = schema.Instruction(schema.DelegateCall(delegate_index=0, args=places))
        plan.chains = [schema.Chain(inputs=[], outputs=[], instructions=[step], stacktrace=None)]
        plan.delegates[0].processed.index = 0
        blob = schema.BackendDelegateInlineData(data=delegate.alone(kernels, inputs, end.value.id))
        # The first constant stands for none.
        file.program.backend_delegate_data, file.program.constant_buffer = [blob], [schema.Buffer(storage=b"")]
        file.program.execution_plan = [plan]
        file.named_data = _store({name: self.named[name] for name in sorted(delegate.wanted(kernels))})
        return _written(file), taken

    def _held(self, call: int, value: int, known: Collection[str]) -> Taken:
        """Return what comes into a delegate from outside."""
        delegate = self.delegates[call]
        (argument,) = (place for place, one in delegate.external.items() if one == value)
        index = self._calls[call].args[argument]
        if index in self._plan.inputs:
            place: int = self._plan.inputs.index(index)
            return place
        for name in known:
            if self.inner[name].outside == index:
                return name
        tensor = self._plan.values[index].val
        if not tensor.data_buffer_idx or delegate.values[value].kind != "fp32":
            raise HiddenError("it takes what is computed outside of the delegate")
        held = np.frombuffer(self._file.program.constant_buffer[tensor.data_buffer_idx].storage, np.float32)
        return held[: math.prod(tensor.sizes)].reshape(tensor.sizes)

    def _named(self) -> dict[str, bytes]:
        if (store := self._file.named_data) is None:
            return {}
        return {name: bytes(store.buffers[one.buffer_index]) for name, one in store.pte_data.items()}

    def _payload(self, call: Any) -> bytes:
        delegate = self._plan.delegates[call.delegate_index]
        return bytes(self._file.program.backend_delegate_data[delegate.processed.index].data)

    def _inner(self) -> Iterator[Inner]:
        for number, delegate in enumerate(self.delegates):
            arguments = {value: place for place, value in delegate.external.items()}
            for kernel in delegate.kernels:
                value = delegate.values[kernel.output]
                if value.kind not in KINDS:
                    continue
                name = f"{kernel.kind.lower()}_{value.id}"
                yield Inner(
                    name=name if len(self.delegates) == 1 else f"{number}.{name}",
                    call=number,
                    kernel=kernel,
                    value=value,
                    turned=value.id in delegate.turned,
                    outside=self._calls[number].args[arguments[value.id]] if value.id in arguments else None,
                )


@contextmanager
def _readable() -> Iterator[None]:
    """Say of whatever is raised while a file is read, or written anew, that it is damaged."""
    try:
        yield
    except (HiddenError, EdgeKitError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever comes
        raise RunError(f"The .pte is damaged: {type(error).__name__}: {error}", hint=_HINT) from error


def _behind(delegate: Delegate, end: Inner, stop: Collection[int]) -> tuple[list[Kernel], list[int]]:
    """Return the kernels that compute a value, in their order, and what they take: what is known or from outside."""
    made = {one.output: one for one in delegate.kernels}
    wanted, found, inputs = [end.value.id], set(), set()
    while wanted:
        value = wanted.pop()
        if value != end.value.id and (value in stop or value not in made):
            if not delegate.values[value].constant:
                inputs.add(value)
        elif value not in found:
            found.add(value)
            wanted += made[value].inputs
    return [one for one in delegate.kernels if one.output in found], sorted(inputs)


def _fewer(dims: tuple[int, ...], most: int, rows: int) -> list[int]:
    """Return the sizes of a value for fewer samples than the most; what does not depend on them stays."""
    return [dims[0] // most * rows, *dims[1:]] if dims and dims[0] % most == 0 else list(dims)


def _tensor(plan: Any, value: Value, sizes: list[int]) -> schema.Tensor:
    """Return a tensor for a value, in memory of its own."""
    memory = plan.non_const_buffer_sizes
    offset = -(-memory[1] // _ALIGNED) * _ALIGNED
    memory[1] = offset + math.prod(sizes) * _DTYPES[value.kind].itemsize
    return schema.Tensor(
        scalar_type=KINDS[value.kind],
        storage_offset=0,
        sizes=sizes,
        dim_order=list(range(len(sizes))),
        requires_grad=False,
        layout=0,
        data_buffer_idx=0,
        allocation_info=schema.AllocationDetails(1, offset & 0xFFFFFFFF, offset >> 32),
        shape_dynamism=schema.TensorShapeDynamism.DYNAMIC_BOUND,
    )


def _store(named: Mapping[str, bytes]) -> Any:
    store = NamedDataStore()
    for name, data in named.items():
        store.add_named_data(name, data)
    return store.get_named_data_store_output()


def _written(file: Any) -> bytes:
    return bytes(serialize_pte_binary(file, extract_delegate_segments=True))
