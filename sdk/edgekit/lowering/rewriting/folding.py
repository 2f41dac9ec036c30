"""Compute what depends on no input once, instead of in every run."""

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload

from edgekit.lowering.rewriting.writer import Writer, add_constant, is_fixed, shape, tensor_of
from edgekit.model.graph import is_dequantize, is_quantize

# A table may grow by what is gathered from it, but not without bound.
_MOST_VALUES = 2**22
_RANDOM = torch.Tag.nondeterministic_seeded


def fold_constants(write: Writer) -> None:
    """Put constants in the place of operations on parameters, buffers and constants alone."""
    program = write.program
    known: dict[fx.Node, Tensor] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or not _foldable(node):
            continue
        sources = {one: known.get(one, tensor_of(program, one)) for one in node.all_input_nodes}
        if any(value is None for value in sources.values()):
            continue
        with torch.no_grad():
            value = _computed(node, sources)
        if isinstance(value, Tensor) and value.numel() <= _MOST_VALUES:
            known[node] = value.detach().clone()
    for node, value in known.items():
        if all(user in known for user in node.users):
            continue
        constant = add_constant(program, value)
        if any(user.op == "output" for user in node.users):
            write.at(node)
            with program.graph.inserting_before(node):
                result = write.reshape(constant, shape(node))
            write.put(node, result)
        else:
            node.replace_all_uses_with(constant)
    write.finish()


def _computed(node: fx.Node, sources: Mapping[fx.Node, Tensor | None]) -> Any:
    assert callable(node.target)
    arguments, keywords = fx.map_arg((node.args, node.kwargs), lambda one: sources[one])
    return node.target(*arguments, **keywords)


def _foldable(node: fx.Node) -> bool:
    if node.target is operator.getitem or not isinstance(node.target, OpOverload):
        return False
    if is_quantize(node) or is_dequantize(node) or _RANDOM in node.target.tags or node.target._schema.is_mutable:
        return False
    if node.target.namespace not in ("aten", "prims"):
        return False
    value = node.meta.get("val")
    return isinstance(value, Tensor) and is_fixed(node) and bool(node.all_input_nodes or value.numel() <= _MOST_VALUES)
