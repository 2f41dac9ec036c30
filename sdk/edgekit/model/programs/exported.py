"""An exported program becomes a module that can be captured anew: for other sizes, in eval mode, in float32."""

import warnings
from collections.abc import Mapping
from typing import Any, get_args

import sympy
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.fx.graph import _PyTreeCodeGen, _PyTreeInfo
from torch.utils import _pytree as pytree

from edgekit.errors import SourceError
from edgekit.model.outputs import flattened, identifiers, is_named
from edgekit.model.programs.evaluation import set_to_eval
from edgekit.model.programs.program import Axes, Program, limited
from edgekit.model.programs.recompose.layers import recompose
from edgekit.spec import Dimension, DType, TensorSpec

_aten = torch.ops.aten
# What a trace proved of its own sizes and types holds for no others; capture proves it again.
_CHECKS = {
    _aten._assert_scalar.default, _aten._assert_tensor_metadata.default, _aten._assert_async.msg,
    _aten.sym_constrain_range.default, _aten.sym_constrain_range_for_size.default,
}  # fmt: skip
_WIDE = (torch.float16, torch.bfloat16, torch.float64)
_EXPORT_AGAIN = "Export the model again with torch.export.export, with tensors as its inputs."


def of_exported(program: ExportedProgram, origin: str) -> Program:
    """Return what an exported program computes and takes; it is left as it is.

    Args:
        program: Of ``torch.export.export`` or ``torch.export.load``.
        origin: Where it is from, in words, for messages.

    Raises:
        SourceError: If its inputs or outputs are of kinds that artifacts do not have.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = program.module(check_guards=False)  # guards are text that torch would compile
    # Without the hooks that hold every call against the traced sizes.
    module = fx.GraphModule(own, own.graph, _class_of(program))
    user_inputs = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    kept = _tensor_inputs(origin, module, placeholders, [values.get(name) for name in user_inputs])
    names = identifiers((str(node.target) for node, _ in kept), ())
    axes, dimensions = Axes(), dict[str, Dimension | None]()
    inputs = tuple(
        _spec(origin, name, value, axes, program, dimensions) for name, (_, value) in zip(names, kept, strict=True)
    )
    outputs = _outputs(origin, program, names, axes, dimensions)
    _flat_call(module, names, program)
    recompose(module)
    notes = _plain(module, program, set_to_eval(module))
    return Program(module=module, origin=origin, inputs=inputs, outputs=outputs, dimensions=dimensions, notes=notes)


def _class_of(program: ExportedProgram) -> str:
    """Return the name of the class that was exported; a model without a name of its own is called by it."""
    stacks = [node.meta.get("nn_module_stack") or {} for node in program.graph.nodes]
    kinds = [kind for stack in stacks for path, kind in stack.values() if not path]
    name = str(kinds[0] if kinds else "").rpartition(".")[2]
    return name if name.isidentifier() and "nn_module_stack" not in name else "Program"


def _tensor_inputs(
    origin: str, module: fx.GraphModule, placeholders: list[fx.Node], values: list[Any]
) -> list[tuple[fx.Node, Tensor]]:
    """Return the inputs that are tensors; numbers that the program was exported with stand in it already."""
    kept = []
    for node, value in zip(placeholders, values + [None] * (len(placeholders) - len(values)), strict=True):
        if isinstance(value, Tensor):
            kept.append((node, value))
        elif node.users:
            raise SourceError(f"{origin} takes {node.target}, which is no tensor.", hint=_EXPORT_AGAIN)
        else:
            module.graph.erase_node(node)
    if not kept:
        raise SourceError(f"{origin} takes no tensor.", hint=_EXPORT_AGAIN)
    return kept


def _flat_call(module: fx.GraphModule, names: tuple[str, ...], program: ExportedProgram) -> None:
    """Let the module take its tensors by position, whatever containers they were exported in."""
    leaves: list[pytree.TreeSpec] = [pytree.treespec_leaf() for _ in names]
    given = pytree.TreeSpec(tuple, None, [pytree.TreeSpec(tuple, None, leaves), pytree.TreeSpec(dict, [], [])])
    out_spec = program.call_spec.out_spec
    for name, node in zip(names, (node for node in module.graph.nodes if node.op == "placeholder"), strict=True):
        node.target = name
    module.graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(list(names), given, out_spec)))


def _plain(module: fx.GraphModule, program: ExportedProgram, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Drop checks, and write types other than float32 as float32, which the weights are copied to."""
    widened = set()
    for node in list(module.graph.nodes):
        if node.op == "call_function" and node.target in _CHECKS:
            module.graph.erase_node(node)
            continue
        for dtype in _WIDE:
            if dtype in (*node.args, *node.kwargs.values()):
                node.args = tuple(torch.float32 if value is dtype else value for value in node.args)
                node.kwargs = {key: torch.float32 if value is dtype else value for key, value in node.kwargs.items()}
                widened.add(dtype)
    widened |= {tensor.dtype for tensor in program.state_dict.values() if tensor.dtype in _WIDE}
    module.graph.eliminate_dead_code()
    module.recompile()
    kinds = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in widened))
    return (*notes, f"The program computes in {kinds}: it was built in float32.") if widened else notes


def _spec(
    origin: str,
    name: str,
    value: Tensor,
    axes: Axes,
    program: ExportedProgram,
    dimensions: dict[str, Dimension | None],
) -> TensorSpec:
    shape: list[int | str] = []
    if value.ndim == 0:
        raise SourceError(f"{origin}: the input {name} is one number.", hint="Inputs are batch first.")
    sizes: list[Any] = list(value.shape)  # numbers and symbols
    for axis, size in enumerate(sizes):
        if isinstance(size, int):
            shape.append(size)
            continue
        expression = _expression(size)
        label = axes.name(str(expression), name, axis, value.ndim)
        shape.append(label)
        dimensions.setdefault(label, _dimension(origin, name, axis, expression, program))
    return TensorSpec.model_validate({"name": name, "dtype": _dtype(origin, name, value), "shape": tuple(shape)})


def _dimension(origin: str, name: str, axis: int, expression: Any, program: ExportedProgram) -> Dimension | None:
    """Return the range of a size: of a symbol, or of so many times a symbol."""
    step, symbol = expression.as_coeff_Mul()
    if not isinstance(symbol, sympy.Symbol) or int(step) < 1:
        raise SourceError(
            f"{origin}: size {axis} of {name} is {expression}, which no dimension can say.",
            hint="Export with sizes that vary by themselves, or in multiples: 2 * Dim('half').",
        )
    found, whole = program.range_constraints.get(symbol), program.range_constraints.get(expression)
    least, most = (None, None) if found is None else (_number(found.lower), _number(found.upper))
    least, most = max(1, least or 1) * int(step), most and most * int(step)
    if whole is not None:
        least, most = max(int(step), _number(whole.lower) or 1), _number(whole.upper)
    return limited(least, most, batch=axis == 0, multiple=int(step))


def _expression(size: Any) -> Any:
    """Return the sympy expression of a symbolic size."""
    return size.node.expr


def _number(bound: Any) -> int | None:
    """Return a bound, or None for those that torch writes where there is none."""
    return int(bound) if getattr(bound, "is_Integer", False) and int(bound) < 2**31 else None


def _outputs(
    origin: str,
    program: ExportedProgram,
    inputs: tuple[str, ...],
    axes: Axes,
    dimensions: Mapping[str, Dimension | None],
) -> tuple[TensorSpec, ...]:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    flat = [values.get(name) if isinstance(name, str) else None for name in program.graph_signature.user_outputs]
    result = pytree.tree_unflatten(flat, program.call_spec.out_spec)
    found = flattened(origin, result)
    labels = [label for label, _ in found] if is_named(result) else _numbered(len(found))
    specs = []
    for label, (_, value) in zip(identifiers(labels, inputs), found, strict=True):
        shape: list[int | str] = []
        for axis, size in enumerate(value.shape):
            name = size if isinstance(size, int) else axes.names.get(str(_expression(size)), f"{label}_{axis}")
            shape.append(name)
        specs.append(
            TensorSpec.model_validate({"name": label, "dtype": _dtype(origin, label, value), "shape": tuple(shape)})
        )
    return tuple(specs)


def _numbered(count: int) -> list[str]:
    return ["output"] if count == 1 else [f"output_{number}" for number in range(count)]


def _dtype(origin: str, name: str, value: Tensor) -> DType:
    kind = "float32" if value.dtype in _WIDE else str(value.dtype).removeprefix("torch.")
    if kind not in get_args(DType):
        raise SourceError(
            f"{origin}: {name} is {kind}, which no artifact has.", hint=f"There are {', '.join(get_args(DType))}."
        )
    return kind  # type: ignore[return-value]
