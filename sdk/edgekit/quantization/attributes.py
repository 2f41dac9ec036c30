"""Parameters and buffers of graph modules."""

from typing import Any

from torch import Tensor, fx


def is_tensor(module: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a get_attr node reads a tensor; what the branches of a condition compute is read in the same way."""
    return isinstance(_read(module, node), Tensor)


def attribute(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """Return the parameter or buffer that a get_attr node reads; its path may hold dots that are no modules."""
    value = _read(module, node)
    assert isinstance(value, Tensor)
    return value.data


def behind_observers(node: fx.Node) -> fx.Node:
    """Return what a node of a prepared graph observes; the node itself if it is no observer."""
    while node.op == "call_module":
        (node,) = node.all_input_nodes
    return node


def _read(module: fx.GraphModule, node: fx.Node) -> Any:
    owner: Any = module
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    return owner
