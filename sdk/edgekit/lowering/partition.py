"""What the delegate takes: ExecuTorch's choice, made in the bodies of loops, too."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from executorch.backends.xnnpack.partition.config.gemm_configs import LinearConfig
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.utils.quant_utils import tag_as_implicit_q_dq
from executorch.exir.backend.canonical_partitioners.config_partitioner import format_target_name
from executorch.exir.backend.partitioner import PartitionResult
from executorch.exir.backend.utils import WhyNoPartition
from executorch.exir.dialects._ops import ops
from executorch.exir.graph_module import get_control_flow_submodules
from torch import fx
from torch.export import ExportedProgram

from edgekit.model.graph import is_dequantize, is_dynamic, is_quantize

_PER_CHANNEL = ops.edge.quantized_decomposed.dequantize_per_channel.default
_RULES = "executorch.backends.xnnpack.partition"
_Found = tuple[bool, list[fx.Node]]


class Partitioner(XnnpackPartitioner):
    """XNNPACK's partitioner, which by itself looks at the outermost graph alone; the lowering takes what is tagged."""

    def __init__(self, outside: frozenset[str] = frozenset()) -> None:
        """Take the names of the nodes that are not to be delegated."""
        super().__init__()
        self.outside = outside
        self.taken: list[fx.Node] = []
        """The nodes that were delegated, in the order of the outermost graph."""
        self._told: dict[str, str] = {}
        for config in self.target_partitioner_configs.values():
            setattr(config, "check_constraints", self._unless_outside(config.check_constraints))  # noqa: B010  # a method
            if isinstance(config, LinearConfig):
                setattr(config, "get_deps", _with_integers_alone(config.get_deps))  # noqa: B010

    def _unless_outside(self, check: Callable[..., bool]) -> Callable[..., bool]:
        return lambda node, program: node.name not in self.outside and check(node, program)

    def partition(self, exported_program: ExportedProgram) -> PartitionResult:
        """Tag the nodes to delegate with the name of their delegate."""
        with _reasons(self._told):
            return self._partition(exported_program)

    def reason(self, node: fx.Node) -> str:
        """Return why a node was not taken."""
        if node.name in self.outside:
            return "the delegate refuses it when it compiles or loads the file"
        if node.name in self._told:
            return f"the delegate takes only some of its kind: {self._told[node.name]}"
        kind = format_target_name(getattr(node.target, "__name__", ""))
        if kind not in self.target_partitioner_configs:
            return "the delegate has no such operation"
        return "the delegate takes only some of its kind"

    def _partition(self, exported_program: ExportedProgram) -> PartitionResult:
        result: PartitionResult = super().partition(exported_program)  # type: ignore[no-untyped-call]
        nodes = exported_program.graph.nodes
        self.taken = [node for node in nodes if node.op == "call_function" and "delegation_tag" in node.meta]
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


class _Listener(logging.Handler):
    """Keeps what the partitioner's rules say of the nodes that they leave."""

    def __init__(self, told: dict[str, str]) -> None:
        super().__init__(logging.DEBUG)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        why = record.msg
        if isinstance(why, WhyNoPartition) and why.node is not None:
            self._told.setdefault(why.node.name, why.reason.strip().rstrip("."))


@contextmanager
def _reasons(told: dict[str, str]) -> Iterator[None]:
    """Gather the reasons that ExecuTorch's rules write into their log within the block, by the node's name."""
    logger = logging.getLogger(_RULES)
    listener, level, propagates = _Listener(told), logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagates


def _with_integers_alone(find: Callable[..., _Found]) -> Callable[..., _Found]:
    """Return what finds the nodes of a linear layer, those too whose weights alone are integers.

    XNNPACK has kernels for them (f32-qc8w, without a bias), which ExecuTorch's partitioner does not know.
    """

    def found(node: fx.Node, program: ExportedProgram) -> _Found:
        data, weight, *bias = node.all_input_nodes
        # It knows them of integers that become integers, and of those that are made while the program runs. Before a
        # recurrent cell, what was rounded once is float.
        known = is_dequantize(data) and (is_dynamic(data) or any(map(is_quantize, node.users)))
        if bias or weight.target is not _PER_CHANNEL or known:
            return find(node, program)
        tag_as_implicit_q_dq(weight)
        return True, [weight, *weight.all_input_nodes]

    return found


def bodies(module: fx.GraphModule) -> list[fx.GraphModule]:
    """Return the bodies of all loops of a module."""
    found: list[fx.GraphModule] = []
    for _, body, _ in get_control_flow_submodules(module):
        found += [body, *bodies(body)]
    return found
