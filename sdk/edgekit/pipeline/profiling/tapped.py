"""Run an .onnx with inner values as outputs, in this process, in one of its own, or in a chip's library."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import onnx

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import isolated
from edgekit.execution import onnx as runtime
from edgekit.model.program import Source
from edgekit.pipeline.profiling.observing import Run
from edgekit.spec import Cpu, Format, TensorSpec

Opener = Callable[[bytes, tuple[TensorSpec, ...]], Run]
"""Loads an .onnx that gives these outputs, and returns what runs a batch."""
# Numbers of a value for one sample, which bound a process that runs a file of somebody else.
_NUMBERS = 2**14


def here(cpu: Cpu, source: Source) -> Opener:
    """Return what loads a file into this process.

    Args:
        cpu: The processor family whose arithmetic the kernels follow.
        source: Its inputs.
    """
    return lambda data, outputs: partial(runtime.call, runtime.load(data, cpu), source.inputs, outputs)


def apart(cpu: Cpu, source: Source) -> Opener:
    """Return what loads a file of somebody else into a process of its own.

    Args:
        cpu: The processor family whose arithmetic the kernels follow.
        source: Its inputs.
    """

    def load(data: bytes, outputs: tuple[TensorSpec, ...]) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tapped.onnx"
            path.write_bytes(data)
            child = isolated.load(path, Format.ONNX, cpu, source.inputs, outputs)
        return partial(isolated.call, child, source.inputs, outputs)

    return load


def tapped(file: str, model: onnx.ModelProto, values: Sequence[str], opener: Opener, source: Source) -> Run:
    """Return what runs a batch through a copy of a model, and gives its outputs and some of its values by name.

    Args:
        file: The file's name, for messages.
        model: The model, which is left as it was.
        values: Names of the values to give.
        opener: Loads the copy.
        source: Its inputs and outputs.

    Raises:
        RunError: If the runtime cannot load the copy, or, when it is called, run it.
    """
    # A file of somebody else may have names that no output of a project has.
    inner = {name: f"edgekit_tap_{at}" for at, name in enumerate(dict.fromkeys(values))}
    data = _with_outputs(model, inner)
    specs = (*source.outputs, *(TensorSpec(name=name, shape=("batch", _NUMBERS)) for name in inner.values()))
    names = {name: name for name in (spec.name for spec in source.outputs)} | inner
    run = opener(data, specs)

    def named(part: Samples) -> Mapping[str, Array]:
        try:
            found = run(part)
        except RunError as error:
            raise RunError(f"{file} fails with its inner values as outputs: {error}", hint=error.hint) from error
        return {name: found[new] for name, new in names.items()}

    return named


def _with_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> bytes:
    """Return a model whose inner values are outputs, too, under new names."""
    types = {item.name: item.data_type for item in model.graph.initializer}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.get(name, name) for name in listed]
        if node.output[0] in names.values():
            kind = types[node.input[2]] if node.op_type == "QuantizeLinear" else onnx.TensorProto.FLOAT
            copy.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], kind, None))
    return bytes(copy.SerializeToString())
