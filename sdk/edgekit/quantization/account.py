"""What a scheme takes of a model, and what it leaves: for messages, the report and the limit of the size."""

from torch import fx

from edgekit.model.graph import module_path
from edgekit.model.program import Captured, Source
from edgekit.quantization import features, recurrent
from edgekit.quantization.observers import PerChannelWeightObserver
from edgekit.quantization.placement import uneven
from edgekit.quantization.tables import PerChannelGroupTableObserver, PerChannelTableObserver, tables
from edgekit.quantization.uses import BESIDE, FAMILY
from edgekit.spec import DYNAMIC, Embeddings, QuantSpec, Scheme

# XNNPACK keeps the scale of a group as bfloat16, and so are those of tables.
_GROUP_SCALE_BITS = 16


def wanted(scheme: Scheme, spec: QuantSpec) -> str:
    """Say what kinds of layers a scheme quantizes."""
    if scheme is Scheme.W4_DYNAMIC:
        return f"linear (with a multiple of {spec.group_size} inputs)"
    return "linear" if scheme in DYNAMIC else "convolution, linear, add or mul"


def notes(scheme: Scheme, spec: QuantSpec, captured: Captured, prepared: fx.GraphModule) -> tuple[str, ...]:
    """Name the layers that compute in float: recurrent ones, and those that groups of 4-bit weights do not divide.

    And the tables of embeddings that have 8 bits where 4 were asked for, and the inputs that are scaled first.
    """
    found = features.note(prepared.graph), recurrent.note(prepared.graph), _wide_tables(spec, prepared)
    stay = tuple(note for note in found if note is not None)
    if scheme is not Scheme.W4_DYNAMIC:
        return stay
    graph = captured.program.module(check_guards=False).graph
    assert isinstance(graph, fx.Graph)
    layers = uneven(graph, spec.group_size)
    if not layers:
        return stay
    named = ", ".join(module_path(node) or node.name for node in layers)
    return (*stay, f"{scheme} leaves in float, since groups of {spec.group_size} do not divide their inputs: {named}.")


def _wide_tables(spec: QuantSpec, prepared: fx.GraphModule) -> str | None:
    if spec.embeddings is not Embeddings.INT4:
        return None
    observed = [node for node, observer in _observers(prepared) if isinstance(observer, PerChannelTableObserver)]
    names = dict.fromkeys(module_path(user) or user.name for node in observed for user in node.users)
    return (
        f"Tables of embeddings have 8 bits, since groups of {spec.group_size} do not divide their rows: "
        f"{', '.join(names)}."
        if names
        else None
    )


def _observers(prepared: fx.GraphModule) -> list[tuple[fx.Node, PerChannelWeightObserver]]:
    """Return what observes weights and tables, by its node."""
    modules = [
        (node, prepared.get_submodule(str(node.target))) for node in prepared.graph.nodes if node.op == "call_module"
    ]
    return [(node, module) for node, module in modules if isinstance(module, PerChannelWeightObserver)]


def weight_bytes(scheme: Scheme, spec: QuantSpec, prepared: fx.GraphModule, source: Source) -> int:
    """Return the bytes that the weights are stored in.

    Static schemes are to take them all but tables that are kept at a byte each; of a
    dynamic one, and of tables, it counts what it really takes.
    """
    observed = {node.all_input_nodes[0]: observer for node, observer in _observers(prepared)}
    if scheme not in DYNAMIC:
        kept: int = sum(table.meta["val"].numel() for table in tables(prepared.graph))
        packed = sum(node.meta["val"].numel() * (8 - _bits(one, scheme, spec)) / 8 for node, one in observed.items())
        return source.float_bytes // 4 + 3 * kept - int(packed)
    own = {node.meta.get(FAMILY, node.target): node for node in observed}.values()  # a file holds a family once
    saved = 0.0
    for node in own:
        before = 0 if BESIDE in node.meta else 32
        saved += node.meta["val"].numel() * (before - _bits(observed[node], scheme, spec)) / 8
    return source.float_bytes - int(saved)


def _bits(observer: PerChannelWeightObserver, scheme: Scheme, spec: QuantSpec) -> float:
    """Return the bits that a weight takes, with its share of the scale of a group."""
    if isinstance(observer, PerChannelTableObserver):
        return 8
    in_groups = scheme is Scheme.W4_DYNAMIC or isinstance(observer, PerChannelGroupTableObserver)
    return 4 + _GROUP_SCALE_BITS / spec.group_size if in_groups else 8
