"""Products with constants: they are linear layers, whatever a network writes for them.

``x @ weight + bias``, ``addmm``, ``einsum("bd,df->bf", x, weight)`` and a layer whose weight is a part of a larger
parameter multiply as `torch.nn.Linear` does. They are quantized as it is, with a parameter of their own for a weight.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgekit.model.constants import Constants, reads_exact

_aten = torch.ops.aten
_PRODUCTS = {_aten.matmul.default, _aten.mm.default}


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A linear layer in the place of a node."""

    data: fx.Node
    weight: Tensor
    """Of shape (outputs, inputs)."""
    bias: Tensor | None = None
    free: tuple[int, ...] = ()
    """The sizes that the outputs are, where they are several dimensions."""
    order: tuple[int, ...] = ()
    """In which order the dimensions of the result are asked for, if in another."""


def write_layers(module: fx.GraphModule) -> int:
    """Write products with constants as linear layers, in place.

    Args:
        module: A captured float graph whose parameters are its own.

    Returns:
        How many were written.
    """
    constants, parameters, written = Constants(module), dict[tuple[int, ...], str](), 0
    for node in list(module.graph.nodes):
        layer = _layer(node, constants)
        if layer is None:
            continue
        node, layer = _with_bias(node, layer, constants)
        _write(module, node, layer, parameters)
        written += 1
    if written:
        module.graph.eliminate_dead_code()
        module.recompile()
    return written


def _layer(node: fx.Node, constants: Constants) -> _Layer | None:
    """Return the linear layer that a node is, unless it is written as one already."""
    if node.op != "call_function" or node.kwargs or reads_exact(node):
        return None
    given: Any = node.args
    if node.target is _aten.linear.default and given[1].op != "get_attr":
        weight, bias = constants.tensor(given[1]), constants.tensor(given[2]) if len(given) > 2 else None
        missing = len(given) > 2 and given[2] is not None and bias is None
        return None if weight is None or missing else _Layer(data=given[0], weight=weight, bias=bias)
    if node.target in _PRODUCTS and constants.tensor(given[0]) is None:
        weight = constants.tensor(given[1])
        return None if weight is None or weight.dim() != 2 else _Layer(data=given[0], weight=weight.t())
    if node.target is _aten.addmm.default and constants.tensor(given[1]) is None:
        bias, weight = constants.tensor(given[0]), constants.tensor(given[2])
        fits = weight is not None and bias is not None and bias.shape == weight.shape[1:]
        return _Layer(data=given[1], weight=weight.t(), bias=bias) if fits and weight is not None else None
    if node.target is _aten.einsum.default and len(given[1]) == 2 and constants.tensor(given[1][0]) is None:
        weight = constants.tensor(given[1][1])
        return None if weight is None else _of_einsum(str(given[0]), given[1][0], weight)
    return None


def _of_einsum(equation: str, data: fx.Node, weight: Tensor) -> _Layer | None:
    """Return the layer of an equation that sums over the last dimension of the data, and over nothing else."""
    sides = equation.replace(" ", "").split("->")
    names = sides[0].split(",")
    if len(sides) != 2 or "." in equation or len(names) != 2 or any(len(set(one)) < len(one) for one in names):
        return None
    left, held, wanted = names[0], names[1], sides[1]
    summed, lead, free = left[-1], left[:-1], [name for name in held if name != left[-1]]
    if summed not in held or set(lead) & set(held) or sorted(wanted) != sorted([*lead, *free]) or not free:
        return None
    turned = weight.permute([held.index(name) for name in (*free, summed)])
    sizes, given = tuple(turned.shape[:-1]), [*lead, *free]
    order = tuple(given.index(name) for name in wanted)
    return _Layer(
        data=data,
        weight=turned.reshape(math.prod(sizes), turned.shape[-1]),
        free=sizes if len(sizes) > 1 else (),
        order=() if order == tuple(range(len(order))) else order,
    )


def _with_bias(node: fx.Node, layer: _Layer, constants: Constants) -> tuple[fx.Node, _Layer]:
    """Take in the constant that alone is added to a product, and return the sum in the product's place."""
    users = list(node.users)
    if layer.bias is not None or layer.free or layer.order or len(users) != 1 or users[0].kwargs:
        return node, layer
    (total,) = users
    if total.target is not _aten.add.Tensor:
        return node, layer
    for one, other in (total.args, total.args[::-1]):
        bias = constants.tensor(other)
        if one is node and bias is not None and bias.shape == layer.weight.shape[:1]:
            return total, _Layer(data=layer.data, weight=layer.weight, bias=bias)
    return node, layer


def _write(module: fx.GraphModule, node: fx.Node, layer: _Layer, parameters: dict[tuple[int, ...], str]) -> None:
    graph, value = module.graph, node.meta["val"]
    lead = layer.data.meta["val"].shape[:-1]

    def call(target: Any, args: tuple[Any, ...], shape: tuple[Any, ...]) -> fx.Node:
        added = graph.call_function(target, args)
        added.meta = dict(node.meta) | {"val": value.new_empty(shape)}
        return added

    with graph.inserting_before(node):
        weight = _parameter(module, node, "weight", layer.weight, parameters)
        bias = None if layer.bias is None else _parameter(module, node, "bias", layer.bias, parameters)
        given = (layer.data, weight) if bias is None else (layer.data, weight, bias)
        result = call(_aten.linear.default, given, (*lead, len(layer.weight)))
        if layer.free:
            result = call(_aten.unflatten.int, (result, -1, list(layer.free)), (*lead, *layer.free))
        if layer.order:
            result = call(_aten.permute.default, (result, list(layer.order)), tuple(value.shape))
    node.replace_all_uses_with(result)


def _parameter(
    module: fx.GraphModule, reader: fx.Node, kind: str, value: Tensor, parameters: dict[tuple[int, ...], str]
) -> fx.Node:
    """Read a parameter of these values, which is there once for all that are the same part of one tensor."""
    key = (value.data_ptr(), *value.shape, *value.stride())
    if key not in parameters:
        name = f"{reader.name}_{kind}"
        while hasattr(module, name):
            name += "_"
        module.register_parameter(name, nn.Parameter(value.detach().clone().contiguous(), requires_grad=False))
        parameters[key] = name
    node = module.graph.get_attr(parameters[key])
    node.meta = {"val": reader.meta["val"].new_empty(value.shape)}
    return node
