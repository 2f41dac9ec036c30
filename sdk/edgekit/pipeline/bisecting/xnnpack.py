"""The graph that a .pte tells XNNPACK's delegate: its kernels and values, read, and written back to the bit.

A payload is a header, a FlatBuffer with the graph, and constants. ExecuTorch writes it and has no reader, but carries
both the schema and the compiler of FlatBuffers. Floats are read as their bits: JSON would round them.
"""

import copy
import importlib.resources
import json
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from executorch.backends.xnnpack import serialization

# Private: the compiler's path is not public. A test writes a payload back and compares what is computed.
from executorch.exir._serialize._flatbuffer import _get_flatc_path
from executorch.exir.scalar_type import ScalarType

from edgekit.errors import RunError

# Whoever has no number is told so by these.
_NO_VALUE, _NO_HANDLE = 0xFFFFFFFF, 0xFFFF
_OUTPUT = 2
_HEADER = 32
_SECONDS = 120.0
# Values that can be given out, and what they are in ExecuTorch.
KINDS = {"fp32": ScalarType.FLOAT, "qint8": ScalarType.CHAR}
_SPATIAL = {
    "Conv2d", "DepthwiseConv2d", "ConvTranspose2d", "AvgPooling2d", "MaxPooling2d", "GlobalAvgPooling2d",
    "ArgMaxPooling2d", "StaticResizeBilinear2D",
}  # fmt: skip
_IDS = re.compile(r"(?:input\d?|filter|bias|query|key|value|scale|mask)_id")


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the graph."""

    id: int
    kind: str
    """``fp32``, ``qint8``, ... as XNNPACK calls it."""
    dims: tuple[int, ...]
    """As XNNPACK has them, the largest batch first."""
    scale: float | None
    """Step of all its integers; None: it has none, or one for each channel."""
    zero_point: int
    constant: int
    """Which of the constants it holds; 0: none."""
    given: bool
    """Whether it comes from outside of the delegate."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """An operation of the graph."""

    kind: str
    """``Conv2d``, ``Add``, ... as XNNPACK calls it."""
    inputs: tuple[int, ...]
    """Values that it reads, weights among them."""
    output: int
    moves: bool
    """Whether it was put there only to turn values from one order of dimensions to another."""
    settings: Mapping[str, object]
    """All else that is told of it; floats as their bits."""


class Delegate:
    """One delegate's graph and constants."""

    def __init__(self, payload: bytes) -> None:
        """Read a payload.

        Raises:
            RunError: If it is none, or damaged.
        """
        if payload[4:8] != b"XH00":
            raise RunError("The delegate's graph does not begin like one of XNNPACK.", hint="Build the bundle again.")
        at, size = (int.from_bytes(payload[place : place + 4], "little") for place in (10, 14))
        constants, length = int.from_bytes(payload[18:22], "little"), int.from_bytes(payload[22:30], "little")
        self._constants = payload[constants : constants + length]
        self._graph = _flatc("--json", payload[at : at + size])
        self.values = {one.id: one for one in map(_value, self._graph["xvalues"])}
        self.kernels = tuple(map(_kernel, self._graph["xnodes"]))
        self.external = {
            _tensor(one)["external_id"]: _tensor(one)["id_out"] for one in self._graph["xvalues"] if _is_external(one)
        }
        """The value that each argument of a call is, by the argument's place."""
        self.turned = self._turned()
        """Values whose channels are their last dimension."""

    def constant(self, value: int, named: Mapping[str, bytes]) -> bytes:
        """Return what a value holds; empty if it is computed.

        Args:
            value: The value.
            named: Constants that the .pte keeps beside the delegate.
        """
        item = self.values.get(value)
        if item is None or not item.constant:
            return b""
        return self._buffer(item.constant, named)

    def scales(self, value: int, named: Mapping[str, bytes]) -> bytes:
        """Return the steps of a value's channels as their bytes; empty if it has one or none."""
        told = next((one for one in self._graph["xvalues"] if _tensor(one)["id_out"] == value), None)
        quantized = {} if told is None else told["xvalue_union"].get("quant_params", {})
        if listed := quantized.get("scale") if isinstance(quantized.get("scale"), list) else None:
            return struct.pack(f"<{len(listed)}I", *listed)
        index = quantized.get("scale_buffer_idx", 0)
        return self._buffer(index, named) if 0 < index < len(self._graph["constant_data"]) else b""

    def with_outputs(self, values: Iterable[int]) -> bytes:
        """Return a payload that gives values out, too, behind all that it took and gave before."""
        graph = self.graph()
        tensors = {_tensor(one)["id_out"]: _tensor(one) for one in graph["xvalues"]}
        for value in values:
            tensors[value] |= {"flags": _OUTPUT, "external_id": graph["num_externs"]}
            graph["num_externs"] += 1
            graph["output_ids"].append(value)
        return self.written(graph)

    def alone(self, kernels: Sequence[Kernel], inputs: Sequence[int], output: int) -> bytes:
        """Return a payload of some kernels alone, which takes values, in their order, and gives one."""
        graph = self.graph()
        graph["xnodes"] = [graph["xnodes"][self.kernels.index(one)] for one in kernels]
        read = {*inputs, output, *(value for one in kernels for value in (*one.inputs, one.output))}
        graph["xvalues"] = [one for one in graph["xvalues"] if _tensor(one)["id_out"] in read]
        for one in map(_tensor, graph["xvalues"]):
            value = one["id_out"]
            if value in inputs:
                one |= {"flags": 1, "external_id": inputs.index(value)}
            elif value == output:
                one |= {"flags": _OUTPUT, "external_id": len(inputs)}
            else:
                one |= {"flags": 0, "external_id": _NO_VALUE}
        graph |= {"num_externs": len(inputs) + 1, "input_ids": list(inputs), "output_ids": [output]}
        return self.written(graph)

    def wanted(self, kernels: Iterable[Kernel]) -> frozenset[str]:
        """Return the constants that some kernels want from beside the delegate."""
        read = {value for one in kernels for value in one.inputs}
        told = [one for one in self._graph["xvalues"] if _tensor(one)["id_out"] in read]
        quantized = [one["xvalue_union"].get("quant_params", {}) for one in told]
        indices = {_tensor(one)["constant_buffer_idx"] for one in told}
        indices |= {one.get("scale_buffer_idx", 0) for one in quantized}
        held = self._graph["constant_data"]
        return frozenset(held[index]["named_key"] for index in indices if 0 < index < len(held)) - {""}

    def _buffer(self, index: int, named: Mapping[str, bytes]) -> bytes:
        item = self._graph["constant_data"][index]
        if item.get("named_key"):
            return named[item["named_key"]]
        return self._constants[item["offset"] : item["offset"] + item["size"]]

    def _turned(self) -> frozenset[int]:
        """Follow the order of dimensions through the graph."""
        found: set[int] = set()
        for one in self.kernels:
            if one.kind in _SPATIAL:
                last = True
            elif one.kind == "StaticTranspose":
                last = one.moves and one.settings["perm"] == [0, 2, 3, 1]
            else:
                last = one.kind != "StaticReshape" and not found.isdisjoint(one.inputs)
            if last and len(self.values[one.output].dims) == 4:
                found.add(one.output)
        return frozenset(found)

    def graph(self) -> Any:
        """Return a copy of the graph, as the schema has it; floats as their bits."""
        return copy.deepcopy(self._graph)

    def written(self, graph: Mapping[str, Any]) -> bytes:
        """Return a payload of another graph with the same constants."""
        flat: bytes = _flatc("--binary", json.dumps(graph).encode("ascii"))
        begin = _HEADER + len(flat) + -len(flat) % 16
        numbers = struct.pack("<HIIIQ", 30, _HEADER, len(flat), begin, len(self._constants))
        return (
            (b"\0" * 4 + b"XH00" + numbers).ljust(_HEADER, b"\0") + flat.ljust(begin - _HEADER, b"\0") + self._constants
        )


def _flatc(way: str, data: bytes) -> Any:
    """Turn a graph's FlatBuffer to JSON, or back."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "schema.fbs").write_bytes(_schema())
        source = here / ("graph.bin" if way == "--json" else "graph.json")
        source.write_bytes(data)
        options = ["--strict-json", "--defaults-json", "--raw-binary"] if way == "--json" else []
        command = [_get_flatc_path(), way, *options, "-o", folder, str(here / "schema.fbs"), *_files(way, source)]
        try:
            # ExecuTorch's own compiler, on files of this folder.
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603
            made = (here / ("graph.json" if way == "--json" else "graph.bin")).read_bytes()
            return json.loads(made) if way == "--json" else made
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise RunError(f"The delegate's graph cannot be read: {error}", hint="Build the bundle again.") from error


def _files(way: str, source: Path) -> list[str]:
    return ["--", str(source)] if way == "--json" else [str(source)]


@cache
def _schema() -> bytes:
    """Return the schema of a graph, with integers in place of floats."""
    text = importlib.resources.files(serialization).joinpath("schema.fbs").read_text("utf-8")
    return re.sub(r":\s*\[float\]", ": [uint]", re.sub(r":\s*float\b", ": uint", text)).encode()


def _tensor(value: Mapping[str, Any]) -> Any:
    union = value["xvalue_union"]
    return union.get("tensor_value", union)


def _is_external(value: Mapping[str, Any]) -> bool:
    return bool(_tensor(value)["external_id"] != _NO_VALUE)


def _value(told: Mapping[str, Any]) -> Value:
    tensor = _tensor(told)
    quantized = told["xvalue_union"].get("quant_params", {})
    alone = told["xvalue_union"].get("quant_params_type") == "PerTensorQuant"
    return Value(
        id=tensor["id_out"],
        kind=str(tensor["datatype"]).removeprefix("xnn_datatype_"),
        dims=tuple(tensor.get("dims", ())),
        scale=float_of(quantized["scale"]) if alone else None,
        zero_point=int(quantized["zero_point"]) if alone else 0,
        constant=tensor["constant_buffer_idx"],
        given=bool(tensor["flags"] & 1),
    )


def _kernel(told: Mapping[str, Any]) -> Kernel:
    union = told["xnode_union"]
    kind = told["xnode_union_type"].removeprefix("XNN")
    read = [name for name in union if _IDS.fullmatch(name)]
    if count := re.fullmatch(r"Concatenate(\d)", kind):
        read = [f"input{number + 1}_id" for number in range(int(count[1]))]
    settings = {name: item for name, item in union.items() if not name.endswith("_id")}
    return Kernel(
        kind=kind,
        inputs=tuple(union[name] for name in read if union[name] != _NO_VALUE),
        output=union["output_value_id"] if "output_value_id" in union else union["output_id"],
        moves=told["debug_handle"] == _NO_HANDLE and kind in ("StaticTranspose", "StaticReshape", "Copy"),
        settings=settings | told.get("output_min_max", {}),
    )


def float_of(bits: int) -> float:
    """Return the float32 of some bits."""
    value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return value
