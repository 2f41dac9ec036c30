"""Parameters and buffers of graph modules."""

from typing import Any

from torch import Tensor, fx


def attribute(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """Return the parameter or buffer that a get_attr node reads; its path may hold dots that are no modules."""
    owner: Any = module
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    assert isinstance(owner, Tensor)
    return owner.data
