"""What rules that look for layers in a graph have in common."""

from typing import Any

import torch
from torch import Tensor, fx

_aten = torch.ops.aten
_MOVES = (
    _aten.view.default,
    _aten.expand.default,
    _aten.clone.default,
    _aten.alias.default,
    _aten._unsafe_view.default,
)


def called(node: Any, *targets: Any) -> bool:
    """Whether a node calls one of some operations."""
    return isinstance(node, fx.Node) and node.op == "call_function" and node.target in targets


def source_of(node: fx.Node) -> fx.Node | None:
    """Return what a node reads first."""
    return node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None


def sizes(node: Any) -> tuple[Any, ...]:
    """Return the sizes of what a node gives, symbols among them; nothing where they are not known."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def shape_of(node: Any) -> tuple[str, ...] | None:
    """Return the sizes as texts, which are compared without a guard on a symbol."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return tuple(map(str, value.shape)) if isinstance(value, Tensor) else None


def stripped(node: Any, count: int) -> list[Any]:
    """Return what a node was before its first dimensions were merged, parted, expanded or copied, step by step.

    Args:
        node: The node, which comes first.
        count: How many of the last dimensions stay as they are.
    """
    found = [node]
    while called(node, *_MOVES):
        given = source_of(node)
        before, after = shape_of(given), shape_of(node)
        if before is None or after is None or len(before) < count or before[-count:] != after[-count:]:
            break
        node = given
        found.append(node)
    return found


def new(node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> fx.Node:
    """Put a call in the place of a node, which has its value."""
    with node.graph.inserting_before(node):
        made = node.graph.call_function(target, args, kwargs or {})
    made.meta = {key: value for key, value in node.meta.items() if key != "source_fn_stack"}
    node.replace_all_uses_with(made)
    return made
