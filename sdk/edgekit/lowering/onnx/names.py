"""The names in an ONNX file, the project's for what goes in and out, and what the file says of its model."""

import json

import onnx_ir as ir

from edgekit.model.program import Source
from edgekit.spec import TensorSpec


def name_by_operator(graph: ir.Graph) -> None:
    """Name nodes after their operators, in their order, and so what they give and the constants that torch.onnx made.

    Its own names hold numbers that say how often torch traced the graph. Tidied Q and DQ nodes keep theirs.
    """
    taken = {value.name for value in [*graph.inputs, *graph.outputs, *graph.initializers.values()]}
    count: dict[str, int] = {}

    def fresh(kind: str) -> str:
        while True:
            name = f"{kind}_{count.setdefault(kind, 0)}"
            count[kind] += 1
            if name not in taken:
                return name

    for node in graph:
        for value in node.inputs:
            if value is not None and value.is_initializer() and str(value.name).startswith("val_"):
                value.name = fresh("constant")
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            node.name = fresh(node.op_type.lower())
            for index, value in enumerate(node.outputs):
                if not value.is_graph_output():
                    value.name = f"{node.name}_{index}" if index else node.name


def name_interface(graph: ir.Graph, source: Source) -> None:
    """Give inputs, outputs and their dimensions the names of the project; what else has such a name gives way.

    A dimension that no input has is derived by the exporter, whose own name for it is a formula.
    """
    specs = [*zip(graph.inputs, source.inputs, strict=True), *zip(graph.outputs, source.outputs, strict=True)]
    taken = {spec.name for _, spec in specs}
    values = [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    used = {value.name for value in values} | taken
    own = {value for value, _ in specs}
    for value in values:
        if value.name in taken and value not in own:
            value.name = _free(str(value.name), used)
    for value, _ in specs:  # first away from each other's names
        value.name = _free("interface", used)
    for value, spec in specs:
        value.name = spec.name
        value.shape = ir.Shape([_size(spec, axis, size) for axis, size in enumerate(value.shape or spec.shape)])


def _size(spec: TensorSpec, axis: int, size: object) -> int | str:
    named = spec.shape[axis]
    return size if isinstance(size, int) else str(named)


def _free(name: str, used: set[str | None]) -> str:
    number = 1
    while f"{name}_{number}" in used:
        number += 1
    used.add(f"{name}_{number}")
    return f"{name}_{number}"


def metadata(source: Source) -> dict[str, str]:
    """Return what the file says of its model beside the graph: JSON texts by key, see docs/bundle.md."""
    found: dict[str, object] = {}
    if source.labels:
        found["edgekit.labels"] = list(source.labels)
    if source.preprocessing is not None:
        found["edgekit.preprocessing"] = source.preprocessing.model_dump(mode="json")
    if source.audio is not None:
        found["edgekit.audio"] = source.audio.model_dump(mode="json")
    if source.dimensions:
        found["edgekit.dimensions"] = {
            name: size.told.model_dump(mode="json") for name, size in source.dimensions.items()
        }
    return {key: json.dumps(value, sort_keys=True, ensure_ascii=False) for key, value in found.items()}
