"""Constants of a graph: what depends on no input is known before the network runs."""

from typing import Any

import torch
from torch import Tensor, fx

EXACT = "edgekit_exact_"
"""What the names of constants begin with whose readers compute in float: they are never rounded."""


def reads_exact(node: fx.Node) -> bool:
    """Whether a node of a captured graph reads a constant that is never rounded."""
    return any(source.op == "get_attr" and EXACT in str(source.target) for source in node.all_input_nodes)


class Constants:
    """Works out what nodes of a graph module compute from its parameters, buffers and constants alone."""

    def __init__(self, module: fx.GraphModule) -> None:
        """Take the module, which stays as it is."""
        self._module = module
        self._known: dict[fx.Node, Any] = {}

    def tensor(self, node: object) -> Tensor | None:
        """Return the value of a node, which shares its memory with nothing that may be written to, or None."""
        value = self._value(node) if isinstance(node, fx.Node) else None
        return value if isinstance(value, Tensor) else None

    def _value(self, node: fx.Node) -> Any:
        if node not in self._known:
            self._known[node] = None
            if node.op == "get_attr":
                self._known[node] = self._attribute(node)
            elif node.op == "call_function" and callable(node.target):
                values = {source: self._value(source) for source in node.all_input_nodes}
                if all(value is not None for value in values.values()):
                    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda source: _copy(values[source]))
                    with torch.no_grad():
                        self._known[node] = node.target(*args, **kwargs)
        return self._known[node]

    def _attribute(self, node: fx.Node) -> Tensor | None:
        value: Any = self._module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        return value.detach() if isinstance(value, Tensor) else None


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
