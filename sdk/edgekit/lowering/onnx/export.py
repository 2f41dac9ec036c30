"""Write a captured program as float ONNX, or a quantized one in the form that ONNX Runtime fuses for its scheme."""

import gc
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

import onnx
import onnx_ir as ir
import onnxruntime as ort
import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.errors import LowerError
from edgekit.lowering.blame import blamed
from edgekit.lowering.decomposed import write_functional
from edgekit.lowering.left_out import left_out
from edgekit.lowering.onnx import dynamic, kernels, qdq, recurrent
from edgekit.lowering.onnx.names import metadata, name_by_operator, name_interface
from edgekit.lowering.rewriting import rewrite_ceil_pools
from edgekit.lowering.shortcuts import shortcuts
from edgekit.lowering.symbols import keeping_sizes
from edgekit.model.artifact import Artifact
from edgekit.model.graph import reads_integers
from edgekit.model.kernels import CONVERSIONS, DATA_MOVEMENT, is_integer_kernel
from edgekit.model.narrow import with_own_graph
from edgekit.model.program import Captured, Quantized, Source
from edgekit.model.recurrence import traced_by_shape
from edgekit.spec import Format, OnnxSettings, Scheme
from edgekit.spec.schemes import obstacle

# Protocol buffers end at 2 GiB, and an app wants one file anyway.
_LARGEST = 2**31 - 1
_MOST_SAID = 600
# Below this, in bytes of weights, what waits for the garbage collector is no matter.
_LARGE = 2**26
# The first operator set whose QuantizeLinear takes 16 bits; without need for them, the exporter's own is older.
_WITH_INT16 = 21


def export_float(captured: Captured) -> bytes:
    """Return the captured float program as an ONNX file with its weights inside.

    Raises:
        LowerError: If the exporter refuses the program or the checker the file.
    """
    data = _finish(_export(captured.program, captured.source), captured.source)
    _collect(captured.source)
    return data


def lower(quantized: Quantized, settings: OnnxSettings) -> Artifact:
    """Write the .onnx; the quantized program is left as it was.

    Args:
        quantized: The program to lower.
        settings: The integer types to store weights and activations in.

    Raises:
        LowerError: If the exporter refuses the program, or if ONNX Runtime runs none of it as the scheme says.
    """
    source, scheme = quantized.captured.source, quantized.scheme
    model = _graph(quantized, settings)
    came_from = kernels.origins(model)
    data = _finish(model, source)
    _collect(source)
    optimized = _optimized(data)
    kinds = [node.op_type for node in optimized.node]
    compute = [kind for kind in kinds if kind not in DATA_MOVEMENT | CONVERSIONS]
    integer = [kind for kind in compute if is_integer_kernel(kind)]
    # Most of 16 bits the CPU computes in float between the roundings; that these are there is all that can be asked.
    rounds = scheme is Scheme.W8A16 and "QuantizeLinear" in kinds
    stores = any(map(reads_integers, quantized.program.graph.nodes))
    if not (integer or rounds or stores or scheme is Scheme.FLOAT):
        raise LowerError(
            f"ONNX Runtime would run nothing of {source.name} as {scheme}: found {sorted(set(kinds))}.",
            hint="Check that the network has convolution or linear layers with static weights.",
        )
    written = onnx.load_from_string(data).graph.node
    return Artifact(
        format=Format.ONNX,
        data=data,
        scheme=quantized.scheme,
        operators=tuple(sorted({node.op_type for node in written})),
        operations=len(written),
        delegates=("CPUExecutionProvider",),
        delegated_fraction=1.0,  # the CPU provider takes every operation or refuses the file
        int8_fraction=len(integer) / len(compute),
        not_delegated=(),
        left_out=left_out(quantized.program, _in_float(quantized, optimized, came_from)),
    )


def _in_float(
    quantized: Quantized, optimized: onnx.GraphProto, came_from: Mapping[ir.Value, str]
) -> dict[fx.Node, str]:
    """Return what computes in float of what was to compute with integers; of other schemes that is what they mean."""
    if quantized.scheme not in (Scheme.INT8, Scheme.INT8_MIXED):
        return {}
    named = {str(value.name): name for value, name in came_from.items()}
    moving = DATA_MOVEMENT | CONVERSIONS
    return kernels.in_float(optimized, moving, named, quantized.program.graph, quantized.float_layers)


def _graph(quantized: Quantized, settings: OnnxSettings) -> ir.Model:
    """Export and tidy the program as its scheme wants it."""
    program, source = quantized.program, quantized.captured.source
    match quantized.scheme:
        case Scheme.FLOAT:
            return _export(program, source)
        case Scheme.INT8 | Scheme.INT8_MIXED:
            model = _export(program, source)
            qdq.tidy(model, settings)
            return model
        case Scheme.W8A16:
            model = _export(program, source, opset=_WITH_INT16)
            qdq.tidy(model, settings)
            return model
        case Scheme.INT8_DYNAMIC:
            model = _export(dynamic.without_activations(program), source)
            dynamic.tidy(model, settings)
            return model
        case Scheme.W4_DYNAMIC:
            reason = obstacle(quantized.scheme, Format.ONNX)
            raise LowerError(
                f"{source.name} cannot be lowered as {quantized.scheme}: {reason}.", hint="Choose another scheme."
            )
        case _:
            assert_never(quantized.scheme)


def _export(program: ExportedProgram, source: Source, opset: int | None = None) -> ir.Model:
    unsigned, program = program.graph, with_own_graph(program)
    kernels.sign(program.graph)
    rewrite_ceil_pools(program)
    write_functional(program)
    try:
        with warnings.catch_warnings(), shortcuts(), traced_by_shape(), keeping_sizes(program):
            warnings.simplefilter("ignore")
            exported = torch.onnx.export(
                program,
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=opset,
                custom_translation_table=recurrent.translations(),
            )
    except Exception as error:  # the exporter raises many unrelated classes
        if known := blamed(source.name, unsigned, Format.ONNX, error):
            raise known from error
        raise LowerError(
            f"torch.onnx cannot export {source.name}: {_said(error)}",
            hint='Leave "onnx" out of the target\'s formats, or rewrite the operation it names.',
        ) from error
    if exported is None:  # only the legacy exporter returns nothing
        raise LowerError(f"torch.onnx exported nothing for {source.name}.")
    recurrent.store_integers(exported.model.graph)
    return exported.model


def _said(error: Exception) -> str:
    """Return what the exporter says of the cause, without its colours and its advice to its own developers."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    advice, _, summary = text.partition("## Exception summary")
    return " ".join((summary or advice).split())[:_MOST_SAID]


def _finish(model: ir.Model, source: Source) -> bytes:
    """Name what goes in and out, strip what only a debugger reads, check, and return the same bytes each time."""
    name = source.name
    qdq.strip_metadata(model)
    name_by_operator(model.graph)
    name_interface(model.graph, source)
    model.metadata_props.update(metadata(source))
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]  # inferred again by every reader; a quarter of a small file
    if proto.ByteSize() > _LARGEST:
        raise LowerError(
            f"{name} is larger than the 2 GiB that one ONNX file holds.", hint='Leave "onnx" out of the formats.'
        )
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise LowerError(
            f"The exported ONNX graph of {name} is invalid: {_said(error)}",
            hint='Leave "onnx" out of the target\'s formats, or rewrite the operation it names.',
        ) from error
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _collect(source: Source) -> None:
    """Free what the exporter has left in cycles, if the weights in it are large: it would last into the next stage."""
    if source.float_bytes > _LARGE:
        gc.collect()


def _optimized(data: bytes) -> onnx.GraphProto:
    """Return the graph after ONNX Runtime's optimizations that no hardware decides."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise LowerError(f"ONNX Runtime refuses the int8 graph: {error}") from error
        return onnx.load(path).graph
