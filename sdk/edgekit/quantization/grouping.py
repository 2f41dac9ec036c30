"""Which layer each operation of an annotated graph belongs to, under the name that a person knows."""

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from torch import fx
from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

from edgekit.errors import QuantizeError
from edgekit.model.graph import is_compute, is_recurrent, module_path, operation
from edgekit.model.layers import Layer
from edgekit.quantization.attributes import behind_observers
from edgekit.quantization.functions import WEIGHTED, is_gather
from edgekit.spec.schema import did_you_mean

ANNOTATION = "quantization_annotation"
_SHOWN = 12


def group(graph: fx.Graph) -> dict[str, tuple[fx.Node, ...]]:
    """Return the compute nodes of each layer by its path, in the order of the graph.

    A layer is what one module computes. A module that others lie below names its own operations after themselves
    (``features.3.add``). An activation that is rounded together with the operation before it belongs to that one.
    """
    nodes = [node for node in graph.nodes if is_compute(node)]
    paths = {module_path(node) for node in nodes}
    above = {prefix for path in paths for prefix in _prefixes(path)}
    names: dict[fx.Node, str] = {}
    for node in nodes:
        path = module_path(node)
        before = node.all_input_nodes[0] if node.all_input_nodes else None
        if before in names and _is_fused(node):
            names[node] = names[before]
        elif path and path not in above:
            names[node] = path
        else:
            names[node] = ".".join(filter(None, (path, operation(node).rstrip("_"))))
    layers: dict[str, tuple[fx.Node, ...]] = {}
    for node, name in names.items():
        layers[name] = (*layers.get(name, ()), node)
    return layers


def describe(path: str, nodes: Iterable[fx.Node]) -> Layer:
    """Return what is known of a layer before it is measured.

    Args:
        path: Its path.
        nodes: Its nodes, from `group`.
    """
    nodes = tuple(nodes)
    held = {weight: node for node in reversed(nodes) for weight in _weights(node)}
    shapes = [tuple(weight.meta["val"].shape) for weight in held]
    first = next(reversed(held.values()), nodes[0])
    weights = sum(map(math.prod, shapes))
    return Layer(
        path=path,
        kind=operation(first).rstrip("_"),
        weights=weights,
        int8_bytes=weights + 4 * sum(shape[0] for shape in shapes),  # a float32 scale for each output channel
        float_bytes=4 * weights,
    )


def chosen(layers: Mapping[str, Iterable[fx.Node]], patterns: tuple[str, ...], model: str) -> set[str]:
    """Return the paths of the layers that patterns name.

    Args:
        layers: From `group`.
        patterns: Paths, prefixes of paths that end where a name ends, or patterns of `fnmatch`.
        model: The model's name, for messages.

    Raises:
        QuantizeError: With all patterns that name nothing.
    """
    # A fused activation's own path names the layer that it is fused to.
    known = {name: {name, *(path for node in nodes if (path := module_path(node)))} for name, nodes in layers.items()}
    found: set[str] = set()
    faults = []
    for pattern in patterns:
        hits = {name for name, paths in known.items() if any(_matches(path, pattern) for path in (name, *paths))}
        if not hits:
            prefixes = {prefix for name in known for prefix in _prefixes(name)} - {""}
            nearest = did_you_mean(pattern, (*known, *sorted(prefixes)))
            faults.append(f"  - float_layers: {pattern} is no layer of {model}{nearest}")
        found |= hits
    if faults:
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        names = ", ".join(list(known)[:_SHOWN])
        raise QuantizeError("\n".join(["There is no such layer:", *faults]), hint=f"There are {names}{more}.")
    return found


def _matches(path: str, pattern: str) -> bool:
    below = f"{pattern}."
    return path == pattern or path.startswith(below) or fnmatchcase(path, pattern) or fnmatchcase(path, f"{below}*")


def _is_fused(node: fx.Node) -> bool:
    """Whether a node is rounded behind, and not before: the annotation of the node before it says how it is fed."""
    annotation = node.meta.get(ANNOTATION)
    return (
        annotation is not None
        and not annotation.input_qspec_map
        and not isinstance(annotation.output_qspec, SharedQuantizationSpec)
    )


def _prefixes(path: str) -> Iterable[str]:
    """Yield all modules above a path, the model itself, "", last; none for the model itself."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def _weights(node: fx.Node) -> list[fx.Node]:
    """Return what a layer multiplies with, or the table that it reads; nothing if it does neither."""
    layer = node.target in WEIGHTED
    if is_recurrent(node):
        held = [behind_observers(source) for source in node.all_input_nodes]
        return [one for one in held if one.op == "get_attr" and one.meta["val"].dim() == 2]
    if not layer and not is_gather(node):
        return []
    weight = node.args[1 if layer else 0]
    assert isinstance(weight, fx.Node)
    weight = behind_observers(weight)
    return [weight] if layer or weight.op == "get_attr" else []
