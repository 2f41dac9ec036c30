"""Lower a quantized program to Core AI: an .aimodel, the form in which Apple's systems take networks from iOS 27 on.

Needs the packages coreai-core and coreai-torch, an extra.
"""

import contextlib
import io
import json
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import coreai_torch
import torch
from coreai.authoring import AIProgram
from coreai_torch._compression import custom_layers  # noqa: F401 - it registers operations of torch
from torch import Tensor, fx
from torch.export import ExportedProgram, export

from edgekit.errors import LowerError
from edgekit.lowering.left_out import left_out
from edgekit.model import graph
from edgekit.model.artifact import Artifact
from edgekit.model.program import Captured, Quantized
from edgekit.spec import Format, Scheme
from edgekit.spec.schemes import obstacle

FOLDER = "model.aimodel"
_NOTE = "{file} takes one sample in each call: Core AI plans for fixed sizes."
# What the converter writes beside the program, with the date and its own version.
_METADATA = {"assetVersion": "2.0", "producer": "edgekit"}


def lower(quantized: Quantized) -> Artifact:
    """Write the .aimodel, in an archive; the quantized program is left as it was.

    Raises:
        LowerError: If the converter refuses the program, or if it takes other sizes than its batch that vary.
    """
    captured, scheme = quantized.captured, quantized.scheme
    source = captured.source
    if reason := obstacle(scheme, Format.AIMODEL):
        raise LowerError(f"{source.name} cannot be lowered as {scheme}: {reason}.", hint="Choose another scheme.")
    first = source.inputs[0].shape[0]
    if others := sorted(set(source.dimensions) - {first}):
        raise LowerError(
            f"{source.name} takes sizes that vary, {', '.join(others)}, and a .{Format.AIMODEL} is written for fixed "
            "ones.",
            hint="Fix them: give them as numbers in [[inputs]].shape.",
        )
    batch = first if isinstance(first, int) else 1
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            program = _converted(_with_core_ai(quantized, batch), captured)
        data = _archive(program)
    except LowerError:
        raise
    except Exception as error:  # the converter raises many unrelated classes
        raise LowerError(
            f"Core AI cannot convert {source.name}: {error}",
            hint="Leave this target out, or rewrite the operation that it names.",
        ) from error
    nodes = quantized.program.graph.nodes
    compute = frozenset(graph.operation(node) for node in nodes if graph.is_compute(node))
    static = scheme is not Scheme.FLOAT
    floats = graph.in_float(quantized.program.graph, compute, quantized.float_layers) if static else {}
    fixed = source.batch is None
    return Artifact(
        format=Format.AIMODEL,
        data=data,
        scheme=scheme,
        operators=(),
        delegates=("CoreAI",),
        delegated_fraction=1.0,  # the converter takes every operation or refuses the program
        int8_fraction=graph.int8_fraction(quantized.program.graph, compute) if static else 0.0,
        not_delegated=(),
        left_out=left_out(quantized.program, floats),
        batch=1 if fixed else None,
        notes=(_NOTE.format(file=f"model.{Format.AIMODEL}"),) if fixed else (),
    )


def _with_core_ai(quantized: Quantized, batch: int) -> ExportedProgram:
    """Return the program for so many samples, with Core AI's roundings in the place of torchao's."""
    module = quantized.program.module(check_guards=False)
    for number, node in enumerate(list(module.graph.nodes)):
        if graph.is_quantize(node) or graph.is_dequantize(node):
            _rewrite(module, node, f"_rounding{number}")
    module.recompile()
    example = tuple(one[:batch] for one in quantized.captured.example)
    return export(module, example, strict=False)


def _rewrite(module: fx.GraphModule, node: fx.Node, name: str) -> None:
    """Write one quantize or dequantize operation in Core AI's words, where scale and zero point are tensors."""
    axis: Any = 0
    if graph.operation(node).endswith("per_channel"):
        data, scale, zero, axis, least, most, dtype = node.args[:7]
        scales, zeros = (_tensor(module, one) for one in (scale, zero))
    else:
        data, scale, zero, least, most, dtype = node.args[:6]
        scales, zeros = (torch.tensor(one) for one in (scale, zero))
    limits: Any = least, most
    if dtype is not torch.int8 or (graph.is_quantize(node) and limits != (-128, 127)):
        raise LowerError(
            f"{graph.place(node)} is rounded to {dtype} from {least} to {most}, and Core AI rounds to int8 alone.",
            hint="Choose the scheme int8.",
        )
    module.register_buffer(f"{name}_scale", scales.float())
    module.register_buffer(f"{name}_zero", zeros.to(torch.int8))
    ops: Any = torch.ops.coreai
    with module.graph.inserting_before(node):
        parameters = [module.graph.get_attr(f"{name}_{one}") for one in ("scale", "zero")]
        if graph.is_quantize(node):
            given: tuple[Any, ...] = (data, parameters[0], torch.int8, parameters[1], None, axis)
            new = module.graph.call_function(ops.quantize.default, given)
        else:
            new = module.graph.call_function(ops.dequantize.default, (data, *parameters, None, axis))
    new.meta = dict(node.meta)
    node.replace_all_uses_with(new)
    module.graph.erase_node(node)


def _tensor(module: fx.GraphModule, node: Any) -> Tensor:
    found: Any = module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    tensor: Tensor = found
    return tensor


def _converted(program: ExportedProgram, captured: Captured) -> AIProgram:
    source = captured.source
    converter = coreai_torch.TorchConverter().add_exported_program(
        program.run_decompositions(coreai_torch.get_decomp_table()),
        input_names=[spec.name for spec in source.inputs],
        output_names=[spec.name for spec in source.outputs],
    )
    return converter.to_coreai()


def _archive(program: AIProgram) -> bytes:
    """Return the folder that Core AI takes as an archive; the converter's code differs each time, the rest does not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        program.save_asset(folder)
        code = (folder / "main.mlirb").read_bytes()
    files = {
        "main.hash": sha256(code).digest(),
        "main.mlirb": code,
        "metadata.json": json.dumps(_METADATA, indent=2).encode(),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{name}"), data)
    return made.getvalue()
