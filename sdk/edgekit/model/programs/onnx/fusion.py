"""Nodes that were one layer before they were exported become one again, so that the quantizer meets it as the layer."""

from collections import Counter
from collections.abc import Collection

from torch import Tensor

from edgekit.model.programs.onnx.node import Node


def with_bias(nodes: list[Node], tensors: dict[str, Tensor], outputs: Collection[str]) -> list[Node]:
    """Return nodes with the sum behind a product with a weight taken into it: both are a linear layer.

    Args:
        nodes: In order.
        tensors: The file's constants.
        outputs: What is read outside of the graph.
    """
    uses = Counter(name for node in nodes for name in node.reads)
    sums: dict[str, tuple[Node, str]] = {}
    for node in nodes:
        if node.op == "Add" and len(node.reads) == 2:
            for product, bias in (node.reads, node.reads[::-1]):
                if bias in tensors and tensors[bias].ndim == 1 and product not in tensors:
                    sums[product] = node, bias
    found, gone = [], set[str]()
    for node in nodes:
        behind = sums.get(node.writes[0])
        weight = tensors.get(node.reads[1]) if node.op == "MatMul" else None
        if node.writes[0] in gone:
            continue
        if behind and weight is not None and weight.ndim == 2 and node.reads[0] not in tensors:
            after, bias = behind
            if uses[node.writes[0]] == 1 and node.writes[0] not in outputs and len(tensors[bias]) == weight.shape[1]:
                gone.add(after.writes[0])
                node = Node(
                    op=node.op, name=node.name, version=node.version, reads=(*node.reads, bias), writes=after.writes
                )
        found.append(node)
    return found
