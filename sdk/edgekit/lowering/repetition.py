"""What ExecuTorch 1.5.1 and torch.onnx repeat while they lower a program, and stand-ins that do it once.

A stand-in leaves out a repetition, never a decision. Lowering the packaged sample to a .pte takes 15.1 s of CPU time
plainly and 3.3 s with them (14.0 and 3.0 s a second time in a process), to an .onnx 2.9 and 1.0 s. Each is worth, with
all others in place: decompositions 4.2 s, patterns 2.1 s (the first time), code 0.7 s, evaluations 0.6 s, checks,
provenance and replays 0.5 s each.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import getitem
from typing import Any

import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack._passes import XNNPACKPassManager
from executorch.backends.xnnpack._passes.convert_to_sdpa import ConvertToSDPAPass
from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import ConvertToUpsampleBilinear2d
from executorch.exir.dialects._ops import ops
from executorch.exir.graph_module import contains_any_call_fn_target_op
from executorch.exir.pass_base import _ExportPassBase
from executorch.exir.verification import verifier
from torch import fx
from torch.export import ExportedProgram
from torch.fx.graph import CodeGen
from torch.fx.traceback import NodeSource

from edgekit.lowering.interpretation import check_once, evaluate_once, replay_once

_aten = torch.ops.aten
PATTERN_PASSES = {
    ConvertToUpsampleBilinear2d: ops.edge.aten.upsample_bilinear2d.vec,
    ConvertToSDPAPass: ops.edge.aten._softmax.default,
}
"""Passes that look for the graph of a small program, and an operation that each of these graphs has."""
_FUNCTIONAL = {
    _aten.conv1d.default, _aten.conv2d.default, _aten.linear.default, _aten.matmul.default, _aten.transpose.int,
    _aten.max_pool2d.default, _aten.hardswish.default, _aten.hardsigmoid.default, _aten.softmax.int,
    _aten.layer_norm.default, _aten.pad.default,
}  # fmt: skip
_ROUNDINGS = {
    f"quantized_decomposed::{kind}_per_{what}" for kind in ("quantize", "dequantize") for what in ("tensor", "channel")
}
# Their decomposition is themselves.
_SIZES = {_aten.sym_size.int}


def stand_ins() -> tuple[tuple[Any, str, Any], ...]:
    """Return (owner, name, stand-in); what they remember is meant for one lowering."""
    return (
        (ExportedProgram, "run_decompositions", _decompose_once()),
        (_ExportPassBase, "call", replay_once()),
        (_ExportPassBase, "_fx", evaluate_once()),
        (verifier, "_check_tensor_args_matching_op_allowed_dtype", check_once()),
        (xnnpack_preprocess, "XNNPACKPassManager", _MatchingPasses),
        (NodeSource, "__deepcopy__", _share),
        (fx.GraphModule, "recompile", _compile_when_called()),
    )


def _decompose_once() -> Callable[..., ExportedProgram]:
    """Skip a round of decompositions that would change nothing.

    A round makes a program functional and applies its table, in 1 to 2 s. ExecuTorch does three: one with an empty
    table, and two with almost the same one; ExecuTorch itself says where it skips one on its other path that later
    rounds only apply their tables (``_gen_edge_manager_for_partitioners``, 1.5.1). torch.onnx does one.
    """
    plain = ExportedProgram.run_decompositions
    functional: list[ExportedProgram] = []

    def run_decompositions(self: ExportedProgram, decomp_table: Any = None, **options: Any) -> ExportedProgram:
        known = any(self is program for program in functional) or _is_functional(self.graph)
        # ExecuTorch numbers nodes by where they come from, which its first round writes where it is not known yet.
        known = known and (bool(decomp_table) or all("from_node" in node.meta for node in _calls(self.graph)))
        if decomp_table is None or options or not known or _applies(decomp_table, self.graph_module):
            functional[:] = [plain(self, decomp_table, **options)]
        else:
            functional[:] = [self]
        return functional[0]

    return run_decompositions


def _applies(table: Mapping[Any, Any], module: fx.GraphModule) -> bool:
    return contains_any_call_fn_target_op(module, table.keys() - _SIZES)


def _is_functional(graph: fx.Graph) -> bool:
    """Whether all operations are functional, and such that a round with an empty table leaves as they are.

    The core operations are, and a few that networks are made of. A subgraph, or an output that nothing computes, is
    left to the round.
    """
    computed = all(node.op == "call_function" for node in graph.output_node().all_input_nodes)
    return computed and all(node.target is getitem or _stays(node.target) for node in _calls(graph))


def _calls(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "call_function"]


@cache
def _stays(target: object) -> bool:
    if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
        return False
    return torch.Tag.core in target.tags or target in _FUNCTIONAL or target._schema.name in _ROUNDINGS


class _MatchingPasses(XNNPACKPassManager):
    """XNNPACK's passes without those that cannot match: making the graphs they look for takes 2.5 s in a process."""

    def __init__(self, exported_program: ExportedProgram, passes: list[type] | None = None) -> None:
        super().__init__(exported_program, passes)
        present = {node.target for node in exported_program.graph.nodes}
        self.passes = [kind for kind in self.passes if kind not in PATTERN_PASSES or PATTERN_PASSES[kind] in present]


def _share(source: NodeSource, _memo: object) -> NodeSource:
    """Copy a node's provenance by reference: it grows by one link per interpretation, and nobody writes to it."""
    return source


def _compile_when_called() -> Callable[[fx.GraphModule], None]:
    """Write and compile the code of a changed graph when it is called, which hardly any is before it changes again."""
    plain = fx.GraphModule.recompile

    def recompile(self: fx.GraphModule) -> None:
        kind: Any = type(self)  # every module has a class of its own
        if type(self.graph._codegen) is not CodeGen or "_wrapped_call" not in vars(kind):  # the first time sets up more
            plain(self)
            return

        def forward(module: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
            plain(module)
            return module.forward(*args, **kwargs)

        kind.forward = forward

    return recompile
