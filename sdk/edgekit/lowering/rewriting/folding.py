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
# What is one value throughout costs bytes of the file, where it is worth no more than to stay in the delegate.
_MOST_ALIKE = 2**12
_aten = torch.ops.aten
ALIKE = {
    _aten.zeros_like.default: 0.0,
    _aten.new_zeros.default: 0.0,
    _aten.ones_like.default: 1.0,
    _aten.new_ones.default: 1.0,
    _aten.full_like.default: None,
    _aten.new_full.default: None,
}
"""What takes only the size of its operand, with the value that it has throughout; None: it is an argument."""
_RANDOM = torch.Tag.nondeterministic_seeded
_Value = Tensor | tuple[Tensor, ...]


def fold_constants(write: Writer) -> None:
    """Put constants in the place of operations on parameters, buffers and constants alone."""
    program = write.program
    known: dict[fx.Node, _Value] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or not _foldable(node):
            continue
        sources = {one: known.get(one, tensor_of(program, one)) for one in node.all_input_nodes}
        if node.target in ALIKE and node.meta["val"].numel() <= _MOST_ALIKE:
            sources = {one: torch.empty(shape(node), dtype=one.meta["val"].dtype) for one in sources}
        if any(value is None for value in sources.values()):
            continue
        with torch.no_grad():
            value = _computed(node, sources)
        if isinstance(value, Tensor) and value.numel() <= _MOST_VALUES:
            known[node] = value.detach().clone()
        elif isinstance(value, list | tuple) and sum(one.numel() for one in value) <= _MOST_VALUES:
            known[node] = tuple(one.detach().clone() for one in value)
    for node, value in known.items():
        if not isinstance(value, Tensor) or all(user in known for user in node.users):
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


def _computed(node: fx.Node, sources: Mapping[fx.Node, _Value | None]) -> Any:
    assert callable(node.target)
    arguments, keywords = fx.map_arg((node.args, node.kwargs), lambda one: sources[one])
    return node.target(*arguments, **keywords)


def _foldable(node: fx.Node) -> bool:
    if node.target is operator.getitem:  # one of several, as meshgrid, split and unbind give
        return isinstance(node.meta.get("val"), Tensor) and is_fixed(node)
    if not isinstance(node.target, OpOverload):
        return False
    if is_quantize(node) or is_dequantize(node) or _RANDOM in node.target.tags or node.target._schema.is_mutable:
        return False
    if node.target.namespace not in ("aten", "prims"):
        return False
    value = node.meta.get("val")
    if isinstance(value, list | tuple):
        return bool(node.all_input_nodes) and all(isinstance(one, Tensor) for one in value)
    return isinstance(value, Tensor) and is_fixed(node) and bool(node.all_input_nodes or value.numel() <= _MOST_VALUES)
