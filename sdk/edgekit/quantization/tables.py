"""Tables of embeddings: their rows are stored as integers, and those that a program reads become float again.

Each row has a scale of its own, or each group of values along it where they have 4 bits. A program gathers the integers
and their scales by the same indices, and multiplies: kernels that every runtime has, so that both formats give the same
values to the last bit, and no table is ever there in float.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, QuantizationSpecBase

from edgekit.quantization.attributes import attribute
from edgekit.quantization.configuration import group_weight, weight
from edgekit.quantization.dynamic import PerChannelGroupWeightObserver
from edgekit.quantization.functions import is_gather
from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.moved import moves
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.spec import Embeddings, QuantSpec

_aten = torch.ops.aten
# Of the bytes of all weights: a smaller table buys nothing for the kernels that its integers take.
_FEW_BYTES = 0.01
# A scale takes four bytes: of rows that are shorter than this, integers and scales take more than half the bytes.
_SHORTEST = 4
_UPPER = 16
"""What the upper of the two values of a byte is multiplied with."""


class PerChannelTableObserver(PerChannelWeightObserver):
    """Chooses the scale of each row of a table, and writes how rows of 8 bits are read."""

    def share(self, table: Tensor, step: float) -> None:
        """Take the scale of what reads the rows for all rows that it can hold.

        Args:
            table: The table, of shape (rows, values).
            step: The scale.
        """
        scale, _ = self.calculate_qparams()
        self.scale = torch.where(table.abs().amax(1) <= (self.quant_max + 0.5) * step, step, scale)

    def convert(self, model: fx.GraphModule, node: fx.Node) -> None:
        """Put reads of integers in the place of those of the observed table, in place."""
        (stored,) = node.all_input_nodes
        scale, _ = self.calculate_qparams()
        steps = torch.clamp(torch.round(attribute(model, stored) / scale[:, None]), self.quant_min, self.quant_max)
        _read_integers(model, node, (steps.to(torch.int8), scale[:, None]), _eight_bits)


class PerChannelGroupTableObserver(PerChannelGroupWeightObserver):
    """Chooses the scale of each group of values along the rows of a table, and writes how rows of 4 bits are read."""

    def convert(self, model: fx.GraphModule, node: fx.Node) -> None:
        """Put reads of integers in the place of those of the observed table, in place."""
        (stored,) = node.all_input_nodes
        scale, _ = self.calculate_qparams()
        packed = _packed(self.steps(attribute(model, stored)).to(torch.int8), self.group_size)
        # bfloat16 holds them: the observer rounds them to it.
        _read_integers(model, node, (packed, scale.bfloat16()), partial(_four_bits, group=self.group_size))


def annotate_tables(graph: fx.Graph, spec: QuantSpec) -> None:
    """Mark the reads of the tables that are to be stored as integers, in place.

    Args:
        graph: A captured float graph.
        spec: Says how many bits they have; 4 bits are for rows that groups divide, others have 8.
    """
    if spec.embeddings is Embeddings.FLOAT:
        return
    for table, reads in tables(graph).items():
        for read in reads:
            specs: dict[fx.Node, QuantizationSpecBase | None] = {table: _specification(table, spec)}
            read.meta[ANNOTATION] = QuantizationAnnotation(input_qspec_map=specs, _annotated=True)


def fit(prepared: fx.GraphModule) -> None:
    """Let rows that only layers in integers read lie on the steps that those round them to, in place.

    On steps of its own a row would be rounded twice, and a scale for each row buys nothing where one is for all.

    Args:
        prepared: A calibrated graph.
    """
    for node in prepared.graph.nodes:
        table = _module(prepared, node)
        if isinstance(table, PerChannelTableObserver):
            steps = {step for read in node.users for step in _steps_behind(prepared, read)}
            (step, *others) = steps or {None}
            if step is not None and not others:
                table.share(attribute(prepared, node.all_input_nodes[0]), step)


def _steps_behind(prepared: fx.GraphModule, node: fx.Node) -> set[float | None]:
    """Return the scales that a value is rounded with, moved or not; and None if something reads it in float."""
    found: set[float | None] = set()
    for user in node.users:
        module = _module(prepared, user)
        if isinstance(module, HistogramObserver):
            found.add(module.parameters_chosen[0])
        else:
            found |= _steps_behind(prepared, user) if moves(user) else {None}
    return found


def _module(prepared: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return prepared.get_submodule(str(node.target)) if node.op == "call_module" else None


def tables(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """Return the tables of a captured graph that are worth their integers, with the nodes that read them.

    A table is a float32 parameter of two dimensions whose rows are gathered, by indices that depend on an input, and
    that nothing else reads. A layer that shares it has a copy, see `uses.separate`.
    """
    held = [node for node in graph.nodes if node.op == "get_attr" and isinstance(node.meta.get("val"), Tensor)]
    least = _FEW_BYTES * sum(node.meta["val"].numel() for node in held if node.meta["val"].is_floating_point())
    computed = _computed(graph)
    found = {}
    for node in held:
        value, reads = node.meta["val"], list(node.users)
        fits = value.dtype == torch.float32 and value.dim() == 2 and value.shape[1] >= _SHORTEST
        gathered = all(is_gather(read) and read.args[0] is node for read in reads)
        if fits and gathered and value.numel() > least and any(read in computed for read in reads):
            found[node] = reads
    return found


def _computed(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that depend on an input."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _specification(table: fx.Node, spec: QuantSpec) -> QuantizationSpec:
    if spec.embeddings is Embeddings.INT4 and table.meta["val"].shape[1] % spec.group_size == 0:
        return group_weight(spec, PerChannelGroupTableObserver)
    return weight(spec, PerChannelTableObserver)


Call = Callable[..., fx.Node]
"""Adds a call in the place of a read; see `_read_integers`."""


def _read_integers(
    model: fx.GraphModule,
    observer: fx.Node,
    held: tuple[Tensor, Tensor],
    decode: Callable[[Call, fx.Node, fx.Node, tuple[Any, ...]], fx.Node],
) -> None:
    """Gather integers and scales where rows of an observed table were read, and let them be written as floats."""
    graph = model.graph
    (table,) = observer.all_input_nodes
    for read in list(observer.users):

        def call(target: Any, *args: Any, origin: fx.Node = read) -> fx.Node:
            node = graph.call_function(target, args)
            node.meta = {key: value for key, value in origin.meta.items() if key not in ("val", ANNOTATION)}
            return node

        with graph.inserting_before(read):
            parts = zip(("integers", "scales"), held, strict=True)
            stored = [_constant(model, f"{str(table.target).replace('.', '_')}_{name}", value) for name, value in parts]
            integers, scales = (call(read.target, one, *read.args[1:]) for one in stored)
            result = decode(call, integers, scales, tuple(read.meta["val"].shape))
            result.meta["val"] = read.meta["val"]
        read.replace_all_uses_with(result)
        graph.erase_node(read)
    graph.erase_node(observer)


def _constant(model: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    """Read a constant, which is there once for all reads of a table."""
    if not hasattr(model, name):
        model.register_buffer(name, value.detach().clone())
    return model.graph.get_attr(name)


def _eight_bits(call: Call, rows: fx.Node, scales: fx.Node, _sizes: tuple[Any, ...]) -> fx.Node:
    return call(_aten.mul.Tensor, call(_aten.to.dtype, rows, torch.float32), scales)


def _packed(steps: Tensor, group: int) -> Tensor:
    """Return values of 4 bits, int8 of shape (rows, values), two to a byte: int8 of shape (rows, values / 2).

    Of each group the second half stands in the upper bits, with its sign, and the first half in the lower ones, eight
    higher, without one.
    """
    halves = steps.view(len(steps), -1, 2, group // 2)
    return (halves[:, :, 1] * _UPPER + halves[:, :, 0] + _UPPER // 2).flatten(1)


def _four_bits(call: Call, rows: fx.Node, scales: fx.Node, sizes: tuple[Any, ...], *, group: int) -> fx.Node:
    """Take bytes apart in float, which is exact: the kernels for it are fast, and both formats have them."""
    *places, width = sizes
    known = [size if isinstance(size, int) else -1 for size in places]

    def shaped(value: fx.Node, *last: int) -> fx.Node:
        if known.count(-1) < 2:  # a delegate takes the form that infers one size
            return call(_aten.reshape.default, value, [*known, *last])
        if len(last) == 1:
            return call(_aten.flatten.using_ints, value, -2, -1)
        return call(_aten.unflatten.int, value, -1, list(last))

    both = shaped(call(_aten.to.dtype, rows, torch.float32), width // group, group // 2)
    upper = call(_aten.floor.default, call(_aten.mul.Tensor, both, 1 / _UPPER))
    lower = call(_aten.sub.Tensor, both, call(_aten.mul.Tensor, upper, float(_UPPER)))
    lower = call(_aten.sub.Tensor, lower, _UPPER / 2)
    steps = call(_aten.cat.default, [lower, upper], -1)
    floats = shaped(call(_aten.to.dtype, scales, torch.float32), width // group, 1)
    return shaped(call(_aten.mul.Tensor, steps, floats), width)
