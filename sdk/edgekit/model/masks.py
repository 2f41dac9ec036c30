"""Masks that are known: what a network picks by constant truth values has a size that is known, too.

``x[:, mask]`` has as many values as the mask has truths. The exporter does not look, and takes the number for one that
the data decides, of which no runtime plans memory; so the places of the truths stand in the mask's place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.nn.modules import transformer

from edgekit.model.constants import Constants

_aten = torch.ops.aten
_PICKS = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}
_CHECKS = {_aten._assert_scalar.default, _aten.sym_constrain_range.default, _aten.sym_constrain_range_for_size.default}


@contextmanager
def masks_as_given() -> Iterator[None]:
    """Let torch's transformers take a mask as it is given: whether it is a causal one, they look up in its values.

    No program does that while it is traced, and the mask is applied whether or not it is said to be causal.
    """
    looked_up = transformer._detect_is_causal_mask
    transformer._detect_is_causal_mask = lambda mask, is_causal=None, size=None: bool(is_causal)
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = looked_up


def without_masks(program: ExportedProgram, again: Callable[[fx.GraphModule], ExportedProgram]) -> ExportedProgram:
    """Return a program that picks by places where it picked by truth values that depend on no input.

    Args:
        program: The captured program, which is left as it was.
        again: Captures a graph as the program was captured.
    """
    if not any(_masks(node) for node in program.graph.nodes):
        return program
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    constants, found = Constants(module), False
    for node in list(module.graph.nodes):
        values = {mask: constants.tensor(mask) for mask in _masks(node)}
        if any(value is not None for value in values.values()):
            found = True
            indices: list[Any] = []
            for index in node.args[1]:
                value = values.get(index)
                indices += [index] if value is None else _places(module, node, value)
            node.update_arg(1, indices)
    if not found:
        return program
    for node in reversed(module.graph.nodes):  # of sizes that were not known
        if node.target in _CHECKS:
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()
    return again(module)


def _masks(node: fx.Node) -> list[fx.Node]:
    """Return the truth values that a node picks by."""
    if node.op != "call_function" or node.target not in _PICKS:
        return []
    indices: Any = node.args[1]
    return [one for one in indices if isinstance(one, fx.Node) and one.meta["val"].dtype in (torch.bool, torch.uint8)]


def _places(module: fx.GraphModule, reader: fx.Node, mask: Tensor) -> list[fx.Node]:
    """Return the places of a mask's truths, a constant for each of its dimensions."""
    nodes = []
    for place in mask.nonzero(as_tuple=True):
        number = 0
        while hasattr(module, name := f"places_{number}"):
            number += 1
        module.register_buffer(name, place.contiguous())
        with module.graph.inserting_before(reader):
            nodes.append(module.graph.get_attr(name))
    return nodes
