"""Uses of parameters: every layer gets a weight and a bias of its own, and every batch norm that stays is left alone.

A runtime packs a bias with the scale of what its layer reads, torchao folds a batch norm into the weight itself, and a
quantizer marks a weight once: all three count on a parameter that one layer reads. A layer that a network calls on
several inputs becomes as many layers, each with its own parameters. They are known as a family: what changes their
weights changes them alike, so that both formats still store them once, and only scales and biases are there each time.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn

from edgekit.quantization.attributes import attribute, is_tensor

_aten = torch.ops.aten
FAMILY = "edgekit_family"
"""Key in the metadata of a parameter's node: the name that all uses of it had, where there are several."""
BESIDE = "edgekit_beside"
"""Key in the metadata of a parameter's node: it is a copy, and something else, an embedding say, reads the original."""
_LAYERS = {
    _aten.conv1d.default, _aten.conv2d.default, _aten.conv3d.default, _aten.conv_transpose1d.default,
    _aten.conv_transpose2d.input, _aten.conv_transpose3d.input, _aten.linear.default,
}  # fmt: skip
_NORMS = {_aten.batch_norm.default, _aten.layer_norm.default}


def separate(module: fx.GraphModule) -> int:
    """Give every use of a parameter by a layer or a norm a parameter of its own, in place.

    Args:
        module: A captured float graph whose parameters are its own.

    Returns:
        How many parameters were added.
    """
    reads: dict[tuple[object, ...], list[fx.Node]] = {}
    for node in parameters(module):
        reads.setdefault(_identity(attribute(module, node)), []).append(node)
    added = 0
    for nodes in reads.values():
        users = list(dict.fromkeys(user for node in nodes for user in node.users))
        uses = [(user, place) for user in users for place in _places(user) if user.args[place] in nodes]
        if len(uses) + sum(user.target not in _LAYERS | _NORMS for user in users) < 2:
            continue
        family = {FAMILY: str(nodes[0].target)} if len(uses) > 1 else {}
        own = len(users) == len({user for user, _ in uses})  # nothing else reads the parameter itself
        for number, (user, place) in enumerate(uses):
            node = nodes[0]
            if number or not own:
                node = _copy(module, nodes[0], user)
                added += 1
            node.meta.update(family | ({} if own else {BESIDE: True}))
            user.update_arg(place, node)
    if added:
        module.graph.eliminate_dead_code()
        module.recompile()
    return added


def parameters(module: fx.GraphModule) -> list[fx.Node]:
    """Return the nodes that read parameters, buffers and constants."""
    return [node for node in module.graph.nodes if node.op == "get_attr" and is_tensor(module, node)]


def families(nodes: Iterable[fx.Node]) -> dict[str, list[fx.Node]]:
    """Return the nodes of the parameters that were one, by the name it had."""
    found: dict[str, list[fx.Node]] = {}
    for node in nodes:
        if node.op == "get_attr" and FAMILY in node.meta:
            found.setdefault(node.meta[FAMILY], []).append(node)
    return found


def _places(node: fx.Node) -> list[int]:
    """Return which of a node's arguments are parameters that are multiplied and added."""
    start = 2 if node.target is _aten.layer_norm.default else 1
    given = range(start, min(start + 2, len(node.args)))
    return [place for place in given if _is_parameter(node.args[place])]


def _is_parameter(argument: object) -> bool:
    return isinstance(argument, fx.Node) and argument.op == "get_attr"


def _identity(values: Tensor) -> tuple[object, ...]:
    """Return what is the same for two names of one tensor."""
    place = values.data_ptr() if values.numel() else id(values)
    return place, values.dtype, values.shape, values.stride()


def _copy(module: fx.GraphModule, read: fx.Node, reader: fx.Node) -> fx.Node:
    name = f"{str(read.target).replace('.', '_')}_of_{reader.name}"
    while hasattr(module, name):
        name += "_"
    module.register_parameter(name, nn.Parameter(attribute(module, read).clone(), requires_grad=False))
    with module.graph.inserting_before(reader):
        node = module.graph.get_attr(name)
    node.meta = dict(read.meta)
    return node
