"""Interpretations that passes repeat, and stand-ins that do them once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from executorch.exir.dialects.edge._ops import EdgeOpOverload
from executorch.exir.pass_base import ExportPass, PassResult, _ExportPassBase
from executorch.exir.verification import verifier
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

_PLAIN = {
    bool, int, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format,
}  # fmt: skip
_VALUE_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


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


def replay_once() -> Callable[..., PassResult]:
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


def evaluate_once() -> Callable[..., Any]:
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


def check_once() -> Callable[[fx.GraphModule], None]:
    """Skip the check of operand types for a graph that passed it: 0.1 s, ten times in a lowering."""
    plain = verifier._check_tensor_args_matching_op_allowed_dtype
    passed = _Unchanged()

    def check(module: fx.GraphModule) -> None:
        if module not in passed:
            plain(module)
            passed.remember(module)

    return check
