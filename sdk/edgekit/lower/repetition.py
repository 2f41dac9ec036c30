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
from executorch.exir.dialects.edge._ops import EdgeOpOverload
from executorch.exir.graph_module import contains_any_call_fn_target_op
from executorch.exir.pass_base import ExportPass, PassResult, _ExportPassBase
from executorch.exir.verification import verifier
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.fx.graph import CodeGen
from torch.fx.traceback import NodeSource
from torch.utils import _pytree as pytree

_aten = torch.ops.aten
PATTERN_PASSES = {
    ConvertToUpsampleBilinear2d: ops.edge.aten.upsample_bilinear2d.vec,
    ConvertToSDPAPass: ops.edge.aten._softmax.default,
}
"""Passes that look for the graph of a small program, and an operation that each of these graphs has."""

_PLAIN = {
    bool, int, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format,
}  # fmt: skip
_FUNCTIONAL = {
    _aten.conv1d.default, _aten.conv2d.default, _aten.linear.default, _aten.matmul.default, _aten.transpose.int,
    _aten.max_pool2d.default, _aten.hardswish.default, _aten.hardsigmoid.default, _aten.softmax.int,
    _aten.layer_norm.default,
}  # fmt: skip
_ROUNDINGS = {
    f"quantized_decomposed::{kind}_per_{what}" for kind in ("quantize", "dequantize") for what in ("tensor", "channel")
}
# Their decomposition is themselves.
_SIZES = {_aten.sym_size.int}
_VALUE_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


def stand_ins() -> tuple[tuple[Any, str, Any], ...]:
    """Return (owner, name, stand-in); what they remember is meant for one lowering."""
    return (
        (ExportedProgram, "run_decompositions", _decompose_once()),
        (_ExportPassBase, "call", _replay_once()),
        (_ExportPassBase, "_fx", _evaluate_once()),
        (verifier, "_check_tensor_args_matching_op_allowed_dtype", _check_once()),
        (xnnpack_preprocess, "XNNPACKPassManager", _MatchingPasses),
        (NodeSource, "__deepcopy__", _share),
        (fx.GraphModule, "recompile", _compile_when_called()),
    )


class _Unchanged:
    """Remembers one graph, and tells whether it is still as it was then.

    Only a graph of placeholders, calls and outputs is remembered: constants and subgraphs could change unseen.
    """

    def __init__(self) -> None:
        self._module: fx.GraphModule | None = None
        self._nodes: list[tuple[Any, ...]] = []

    def remember(self, module: fx.GraphModule) -> None:
        plain = all(node.op in ("placeholder", "call_function", "output") for node in module.graph.nodes)
        self._module, self._nodes = (module, _state(module)) if plain else (None, [])

    def __contains__(self, module: fx.GraphModule) -> bool:
        if module is not self._module:
            return False
        now = _state(module)
        return len(now) == len(self._nodes) and all(
            all(part is before for part, before in zip(node, known, strict=True))
            for node, known in zip(now, self._nodes, strict=True)
        )


def _state(module: fx.GraphModule) -> list[tuple[Any, ...]]:
    """Describe a graph by objects that fx replaces when it changes: arguments are immutable."""
    return [(n, n.op, n.target, n.args, n.kwargs, n.name, n.meta.get("val")) for n in module.graph.nodes]


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


def _replay_once() -> Callable[..., PassResult]:
    """Skip the interpretation of a graph that has not changed since its last one.

    Most of XNNPACK's passes end with it, to give new nodes their metadata, 0.3 s each, whether they made any or not.
    It is skipped only for passes that do not change what an interpretation does.
    """
    plain = _ExportPassBase.call
    interpreted = _Unchanged()

    def call(self: ExportPass, graph_module: fx.GraphModule) -> PassResult:
        if graph_module in interpreted and _only_interprets(type(self)):
            return PassResult(graph_module, True)
        result = plain(self, graph_module)
        interpreted.remember(result.graph_module)
        return result

    return call


def _only_interprets(kind: type) -> bool:
    """Whether a pass overrides nothing of `ExportPass` but its entry, so that interpreting twice is as good as once."""
    if not issubclass(kind, ExportPass):
        return False
    own = kind.__mro__[: kind.__mro__.index(ExportPass)]
    names = {name for base in own for name in vars(base) if not name.startswith(("__", "_abc_"))}
    return not any(hasattr(ExportPass, name) for name in names - {"call"})


def _evaluate_once() -> Callable[..., Any]:
    """Let the interpretations that are left evaluate each operation once per operands, not once per pass."""
    plain = _ExportPassBase._fx
    evaluate = _Evaluate()

    def run(self: ExportPass, *args: Any, **options: Any) -> Any:
        if type(self.interpreter) is fx.Interpreter:  # every interpretation makes its own, and drops it at its end
            self.interpreter = evaluate
        return plain(self, *args, **options)

    return run


class _Evaluate(fx.Interpreter):
    """Remembers what functional operations made of fake tensors: shape, strides and type follow from the operands.

    Operands are known by identity, and kept, so that no other gets theirs. Operations on symbols, and those whose
    shape depends on values, are evaluated anew.
    """

    def __init__(self) -> None:
        super().__init__(fx.GraphModule(nn.Module(), fx.Graph()))
        self._known: dict[tuple[Any, ...], tuple[Any, list[Any]]] = {}

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        operands, tree = pytree.tree_flatten((args, kwargs))
        parts = [_identity(operand) for operand in operands]
        if None in parts or not _follows_from_operands(target) or not any(type(x) is FakeTensor for x in operands):
            return super().call_function(target, args, kwargs)
        key = (target, tree, *parts)
        if key not in self._known:
            self._known[key] = super().call_function(target, args, kwargs), operands
        return self._known[key][0]


def _identity(operand: object) -> object:
    """Return what stands for an operand in a key, or None if the operand is of a kind that is not remembered."""
    if isinstance(operand, torch.Tensor):
        return id(operand)
    return (type(operand), operand) if type(operand) in _PLAIN else None


@cache
def _follows_from_operands(target: object) -> bool:
    if not isinstance(target, torch._ops.OpOverload | EdgeOpOverload) or target._schema.is_mutable:
        return False
    return not _VALUE_DEPENDENT & set(target.tags)


def _check_once() -> Callable[[fx.GraphModule], None]:
    """Skip the check of operand types for a graph that passed it: 0.1 s, ten times in a lowering."""
    plain = verifier._check_tensor_args_matching_op_allowed_dtype
    passed = _Unchanged()

    def check(module: fx.GraphModule) -> None:
        if module not in passed:
            plain(module)
            passed.remember(module)

    return check


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
