"""Give symbols of a program one value: what was traced for any batch becomes the program for the batch of a phone."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgekit.model.graph import evaluate
from edgekit.model.program import Captured, Source
from edgekit.spec.dimensions import filled


def for_device(program: ExportedProgram, captured: Captured) -> ExportedProgram:
    """Return a program as artifacts are lowered from it: with the batch that the source fixes, if it fixes one.

    Args:
        program: The captured program, or one that was made of it; it is left as it was.
        captured: What it goes back to.
    """
    batch = captured.source.batch
    return program if batch is None or not captured.any_batch else with_batch(program, captured.source, batch)


def source_with_batch(source: Source, batch: int | None) -> Source:
    """Return a source that takes so many samples in every call; None changes nothing.

    Args:
        source: The source.
        batch: The number of samples.
    """
    first = source.inputs[0].shape[0]
    if batch is None or not isinstance(first, str):
        return source
    return replace(
        source,
        inputs=filled(source.inputs, {first: batch}),
        outputs=filled(source.outputs, {first: batch}),
        dimensions={name: sizes for name, sizes in source.dimensions.items() if name != first},
    )


def can_narrow(program: ExportedProgram) -> bool:
    """Whether every node can be evaluated by itself: no branches or loops, and no sizes that depend on values."""
    unbacked = any(str(symbol).startswith("u") for symbol in program.range_constraints)
    return not unbacked and all(node.op != "get_attr" for node in program.graph.nodes)


def with_batch(program: ExportedProgram, source: Source, batch: int) -> ExportedProgram:
    """Return a copy of a program that takes so many samples.

    Every node is evaluated anew, and sizes that are known then are written as numbers.

    Args:
        program: A program whose inputs begin with a symbolic size.
        source: What it was captured from.
        batch: The number of samples.
    """
    program = with_own_graph(program)
    names = set(program.graph_signature.user_inputs)
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    symbols = {
        node.meta["val"].shape[0].node.expr: batch
        for node in inputs
        if isinstance(node.meta["val"], Tensor) and not isinstance(node.meta["val"].shape[0], int)
    }
    _evaluate(program, inputs, symbols)
    free = set().union(*(_symbols(node.meta.get("val")) for node in program.graph.nodes))
    for symbol in set(program.range_constraints) - free:
        del program.range_constraints[symbol]
    return program


def with_own_graph(program: ExportedProgram) -> ExportedProgram:
    """Return a program with a copy of the graph, which shares the tensors: nothing may write to these."""
    module = copy.deepcopy(program.graph_module)
    return ExportedProgram(
        root=module,
        graph=module.graph,
        graph_signature=copy.deepcopy(program.graph_signature),
        state_dict=dict(program.state_dict),
        range_constraints=dict(program.range_constraints),
        module_call_graph=program.module_call_graph,
        constants=dict(program.constants),
        verifiers=program.verifiers,
    )


def _evaluate(program: ExportedProgram, inputs: list[fx.Node], symbols: Mapping[Any, int]) -> None:
    graph = program.graph
    mode = next(
        value.fake_mode
        for node in graph.nodes
        for value in pytree.tree_leaves(node.meta.get("val"))
        if isinstance(value, FakeTensor)
    )
    for node in inputs:
        node.meta["val"] = _sized(node.meta["val"], symbols, mode)
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        with mode:
            value = evaluate(node)
        if isinstance(value, int | float | bool):
            node.replace_all_uses_with(value)
        else:
            node.meta["val"] = value
    for node in list(graph.nodes):  # what only checks sizes that are known now
        if node.op == "call_function" and not node.users and not node.all_input_nodes:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _sized(value: Any, symbols: Mapping[Any, int], mode: FakeTensorMode) -> Any:
    """Return a tensor like another one, with numbers for symbols."""
    if not isinstance(value, Tensor):
        return value
    sizes = [size if isinstance(size, int) else symbols.get(size.node.expr, size) for size in value.shape]
    with mode:
        return torch.empty(sizes, dtype=value.dtype, device=value.device)


def _symbols(value: Any) -> set[Any]:
    found: set[Any] = set()
    for leaf in pytree.tree_leaves(value):
        sizes = leaf.shape if isinstance(leaf, Tensor) else (leaf,)
        for size in sizes:
            if isinstance(size, torch.SymInt):
                found |= size.node.expr.free_symbols
    return found
