"""Writes: a captured program computes new values in place of those that its model writes over.

Quantization puts roundings between operations, behind which a write would no longer reach whoever reads the same
memory; and an app's inputs must be the same after a call as before it.
"""

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from edgekit.errors import CaptureError

_WRITES = {OutputKind.USER_INPUT_MUTATION, OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION}


def without_writes(program: ExportedProgram, name: str) -> ExportedProgram:
    """Return a program that computes the same and writes to nothing; the given one may be changed.

    Args:
        program: The captured program.
        name: The model's name, for messages.

    Raises:
        CaptureError: If what the model answers depends on what an earlier call wrote to a buffer.
    """
    for node in _writing(program.graph):
        _write_functional(node)
    if not _writing(program.graph):
        program.graph_module.recompile()
        return program
    program = program.run_decompositions({})
    _refuse_state(program, name)
    _drop_writes(program)
    return program


def _writing(graph: fx.Graph) -> list[fx.Node]:
    return [
        node
        for node in graph.nodes
        if node.op == "call_function"
        and isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
    ]


def _write_functional(node: fx.Node) -> None:
    """Write an activation in place, the commonest write, as what it is if nobody else sees what it writes over."""
    data = node.args[0] if node.args else None
    target = node.target
    if not isinstance(data, fx.Node) or data.op != "call_function" or len(data.users) != 1:
        return
    assert isinstance(target, torch._ops.OpOverload)
    made = data.target
    fresh = isinstance(made, torch._ops.OpOverload) and not made._schema.is_mutable and not made.is_view
    plain = getattr(torch.ops.aten, target._opname.removesuffix("_"), None)
    overload = getattr(plain, target._overloadname, None)
    if fresh and target.namespace == "aten" and overload is not None and not overload._schema.is_mutable:
        # Of an operation that may return its input, reshape for instance, only a copy is fresh.
        source = data.all_input_nodes[0].meta.get("val") if data.all_input_nodes else None
        if not isinstance(source, torch.Tensor) or not _shares(source, data.meta["val"]):
            node.target = overload


def _shares(first: torch.Tensor, second: object) -> bool:
    return isinstance(second, torch.Tensor) and first.untyped_storage()._cdata == second.untyped_storage()._cdata


def _refuse_state(program: ExportedProgram, name: str) -> None:
    """Refuse a model whose answers depend on the buffers that it writes to."""
    signature = program.graph_signature
    written = {spec.target for spec in signature.output_specs if spec.kind is OutputKind.BUFFER_MUTATION}
    placeholders = {place: buffer for place, buffer in signature.inputs_to_buffers.items() if buffer in written}
    wanted = {spec.arg.name for spec in signature.output_specs if spec.kind is OutputKind.USER_OUTPUT}
    needed = {node.name for node in program.graph.nodes if node.name in wanted}
    for node in reversed(program.graph.nodes):
        if node.name in needed:
            needed |= {source.name for source in node.all_input_nodes}
    if kept := sorted(buffer for place, buffer in placeholders.items() if place in needed):
        raise CaptureError(
            f"{name} keeps state: what it answers depends on {', '.join(kept)}, which an earlier call has written to.",
            hint="Pass the state in and out: forward(x, state) -> (y, state), so that the app keeps it between calls.",
        )


def _drop_writes(program: ExportedProgram) -> None:
    """Leave out what would be written back, and what was computed for it alone."""
    signature, output = program.graph_signature, program.graph.output_node()
    (values,) = output.args
    assert isinstance(values, list | tuple)
    kept = [
        (value, spec) for value, spec in zip(values, signature.output_specs, strict=True) if spec.kind not in _WRITES
    ]
    output.args = (tuple(value for value, _ in kept),)
    signature.output_specs = [spec for _, spec in kept]
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
