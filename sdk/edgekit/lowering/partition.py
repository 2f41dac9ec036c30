"""What the delegate takes: ExecuTorch's choice, made in the bodies of loops, too."""

from types import SimpleNamespace
from typing import Any

from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir.backend.partitioner import PartitionResult
from executorch.exir.graph_module import get_control_flow_submodules
from torch import fx
from torch.export import ExportedProgram


class Partitioner(XnnpackPartitioner):
    """XNNPACK's partitioner, which by itself looks at the outermost graph alone; the lowering takes what is tagged."""

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        """Tag the nodes to delegate with the name of their delegate."""
        result: PartitionResult = super().partition(exported_program)  # type: ignore[no-untyped-call]
        for number, body in enumerate(bodies(exported_program.graph_module)):
            inner: Any = SimpleNamespace(
                graph_module=body,
                graph=body.graph,
                graph_signature=exported_program.graph_signature,
                state_dict=exported_program.state_dict,
                constants=exported_program.constants,
            )
            for one in self.generate_partitions(inner):
                tag = f"loop{number}_{one.id}"
                for node in one.nodes:
                    node.meta["delegation_tag"] = tag
                result.partition_tags[tag] = self.delegation_spec
        return result


def bodies(module: fx.GraphModule) -> list[fx.GraphModule]:
    """Return the bodies of all loops of a module."""
    found: list[fx.GraphModule] = []
    for _, body, _ in get_control_flow_submodules(module):
        found += [body, *bodies(body)]
    return found
