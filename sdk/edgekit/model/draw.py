"""From a captured program to the drawing of its network."""

from torch import fx
from torch.export import ExportedProgram

from edgekit.model import graph
from edgekit.model.drawing import Drawing, DrawnOperation
from edgekit.model.effort import constants_of, time_of, weights_of


def draw(program: ExportedProgram) -> Drawing:
    """Return the operations that compute, each with those whose values reach it, through reshapes and the like.

    Args:
        program: A captured float program.
    """
    nodes = graph.operations(program.graph)
    places = {node: number for number, node in enumerate(nodes)}
    reached: dict[fx.Node, tuple[int, ...]] = {}
    for node in program.graph.nodes:
        found = dict.fromkeys(
            place
            for one in node.all_input_nodes
            for place in ((places[one],) if one in places else reached.get(one, ()))
        )
        reached[node] = tuple(found)
    constants = constants_of(program)
    times = [time_of(node, integers=True) for node in nodes]
    whole = sum(times) or 1.0
    operations = []
    for node, time in zip(nodes, times, strict=True):
        weights = weights_of(node, constants)
        constants -= {one.name for one in node.all_input_nodes}  # what others read, too, is in the file once
        operations.append(
            DrawnOperation(
                operation=graph.operation(node),
                path=graph.module_path(node),
                inputs=reached[node],
                float_bytes=weights.float_bytes,
                int8_bytes=weights.int8_bytes,
                time_share=time / whole,
            )
        )
    return Drawing(operations=tuple(operations))
