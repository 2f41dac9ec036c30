"""Switches: which roundings of a prepared graph are in force while some layers run in int8 and the others in float."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import fx
from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver

Observer = HistogramObserver | PerChannelWeightObserver


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A prepared graph, taken apart."""

    order: tuple[fx.Node, ...]
    """The nodes that compute, inputs and the output among them, in the order of the graph."""
    observers: Mapping[fx.Node, Observer]
    """What observes, by its node."""
    sources: Mapping[fx.Node, fx.Node]
    """The node that each of them observes."""
    last_use: Mapping[fx.Node, int]
    """The place in the order after which a value is read no more; of what observes, its rounded value."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is rounded while a graph is walked."""

    rounded: Mapping[fx.Node, frozenset[fx.Node]]
    """For each node that reads from observers, those whose rounding it sees; the others it reads through."""
    int8: frozenset[fx.Node]
    """Nodes that run in int8: they take the mended weights and biases."""

    def treats(self, node: fx.Node) -> tuple[frozenset[fx.Node], bool]:
        """Return what two plans must agree on to do the same at a node."""
        return self.rounded.get(node, frozenset()), node in self.int8


def layout(prepared: fx.GraphModule) -> Layout:
    """Take a prepared graph apart."""
    observers: dict[fx.Node, Observer] = {}
    sources: dict[fx.Node, fx.Node] = {}
    order = []
    for node in prepared.graph.nodes:
        module = prepared.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, Observer):
            (source,) = node.all_input_nodes
            observers[node], sources[node] = module, sources.get(source, source)
        elif node.op != "get_attr":
            order.append(node)
    last_use: dict[fx.Node, int] = {}
    for place, node in enumerate(order):
        for source in node.all_input_nodes:
            last_use |= {source: place, sources.get(source, source): place}
    return Layout(order=tuple(order), observers=observers, sources=sources, last_use=last_use)


def without(graph: Layout, kept: Iterable[fx.Node]) -> Plan:
    """Return the plan of what is quantized if some nodes stay float; what shares their parameters falls with them."""
    off = set(kept)
    live = {node.name: node for node in graph.order if ANNOTATION in node.meta and node not in off}
    for node in list(live.values()):  # in order, as `placement.drop_dangling` does it
        if not all(owner in live for owner in _owners(node)):
            del live[node.name]
    return _plan(graph, live)


def alone(graph: Layout, nodes: Iterable[fx.Node]) -> Plan:
    """Return the plan in which these nodes are quantized, with the parameters that they have, and nothing else."""
    return _plan(graph, {node.name: node for node in nodes if ANNOTATION in node.meta})


def _owners(node: fx.Node) -> list[str]:
    """Return the names of the nodes whose quantization parameters an annotated node takes."""
    annotation = node.meta[ANNOTATION]
    specs = [annotation.output_qspec, *annotation.input_qspec_map.values()]
    owners = [spec.edge_or_node for spec in specs if isinstance(spec, SharedQuantizationSpec)]
    # Names: the annotations of a copied graph still hold the nodes of the first.
    return [owner.name if isinstance(owner, fx.Node) else owner[1].name for owner in owners]


def _plan(graph: Layout, live: Mapping[str, fx.Node]) -> Plan:
    written = {name for name, node in live.items() if node.meta[ANNOTATION].output_qspec is not None}
    rounded: dict[fx.Node, frozenset[fx.Node]] = {}
    for reader in graph.order:
        seen = [node for node in reader.all_input_nodes if node in graph.observers]
        if not seen:
            continue
        specs = reader.meta[ANNOTATION].input_qspec_map if reader.name in live else {}
        read = {source.name for source, spec in specs.items() if spec is not None}
        rounded[reader] = frozenset(node for node in seen if graph.sources[node].name in written | read)
    return Plan(rounded=rounded, int8=frozenset(live.values()))
