"""Give operations that only move integers the same steps on both sides: XNNPACK takes no others, and says so at load.

The partitioner does not look at steps. What it delegates with two sets of them is a file that no runtime can load
(error 0x1, in 1.5.1). Rounding what is on the steps already changes no value.
"""

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.model.graph import add_call, is_quantize

_aten = torch.ops.aten
_quantize = torch.ops.quantized_decomposed.quantize_per_tensor.default
_dequantize = torch.ops.quantized_decomposed.dequantize_per_tensor.default
_MOVES = {
    _aten.max_pool2d.default, _aten.view.default, _aten.reshape.default, _aten.flatten.using_ints,
    _aten.unflatten.int, _aten.permute.default, _aten.transpose.int, _aten.slice.Tensor, _aten.unsqueeze.default,
    _aten.squeeze.dim, _aten.clone.default,
}  # fmt: skip
_PADS = {_aten.pad.default, _aten.constant_pad_nd.default}
_TAKE_PADS = {_aten.conv1d.default, _aten.conv2d.default, _aten.convolution.default}


def keep_steps(program: ExportedProgram) -> None:
    """Round what a moving operation gives to the steps of what it takes, in place, where other steps follow."""
    for node in list(program.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _PADS:
            _write_crop(node)
        if (node.target in _MOVES and _changes_steps(node)) or (node.target in _PADS and _loses_steps(node)):
            _round_behind(node)
        elif node.target is _aten.cat.default:
            _round_operands(node)
    program.graph_module.recompile()


def _steps(dequantize: fx.Node) -> tuple[Any, ...] | None:
    """Return the parameters of a dequantization with one step for the whole tensor."""
    fixed = dequantize.target in (_quantize, _dequantize) and len(dequantize.all_input_nodes) == 1
    return dequantize.args[1:] if fixed else None


def _changes_steps(node: fx.Node) -> bool:
    data: Any = node.args[0]
    steps = _steps(data)
    return steps is not None and any(is_quantize(user) and _steps(user) != steps for user in node.users)


def _loses_steps(pad: fx.Node) -> bool:
    """Whether XNNPACK's passes would write the output of a zero pad as integers though no integers are asked for.

    They take every pad of integers for one that a convolution reads, and leave the input of the others in float.
    """
    data, widths, mode, value = _padding(pad)
    steps = _steps(data)
    if steps is None or mode != "constant" or value:
        return False
    spatial = not any(widths[2 * (data.meta["val"].dim() - 2) :])
    return not all((spatial and user.target in _TAKE_PADS) or _steps(user) == steps for user in pad.users)


def _padding(pad: fx.Node) -> tuple[fx.Node, list[int], str, float]:
    given: tuple[Any, ...] = pad.args
    data, widths, *rest = given
    named = ("mode", "value") if pad.target is _aten.pad.default else ("value",)
    found: dict[str, Any] = {"mode": "constant", "value": 0, **dict(zip(named, rest, strict=False)), **pad.kwargs}
    return data, list(widths), found["mode"], float(found["value"] or 0)


def _write_crop(pad: fx.Node) -> None:
    """Write negative widths as slices: no kernel takes them."""
    data, widths, mode, value = _padding(pad)
    if mode != "constant" or min(widths, default=0) >= 0:
        return
    last = data.meta["val"].dim() - 1
    with pad.graph.inserting_before(pad):
        for axis, (before, after) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
            if before < 0 or after < 0:
                size = data.meta["val"].shape[last - axis]
                if not isinstance(size, int):
                    return
                data = add_call(pad, _aten.slice.Tensor, data, last - axis, max(-before, 0), size - max(-after, 0))
    left = [max(width, 0) for width in widths]
    pad.target, pad.args, pad.kwargs = _aten.constant_pad_nd.default, (data, left, value), {}


def _round_behind(node: fx.Node) -> None:
    """Round the result to the steps of the operand: what was the operation becomes the last dequantization."""
    data: Any = node.args[0]
    steps: tuple[Any, ...] = data.args[1:]
    with node.graph.inserting_before(node):
        moved = node.graph.create_node("call_function", node.target, node.args, node.kwargs)
        rounded = node.graph.call_function(_quantize, (moved, *steps))
    # Not evaluated anew: a pad would fix the size of the batch.
    moved.meta, value = dict(node.meta), node.meta["val"]
    rounded.meta = {**node.meta, "val": value.to(steps[-1])}
    node.target, node.args, node.kwargs = _dequantize, (rounded, *steps), {}


def _round_operands(cat: fx.Node) -> None:
    """Round what is joined to the steps of the whole, which are taken from any one of the operands."""
    operands, *axis = cat.args
    assert isinstance(operands, list | tuple)
    wanted = {_steps(user) if is_quantize(user) else None for user in cat.users}
    steps = wanted.pop() if len(wanted) == 1 else None
    if steps is None or not all(isinstance(one, fx.Node) and _steps(one) for one in operands):
        return
    joined = []
    for one in operands:
        assert isinstance(one, fx.Node)
        if _steps(one) != steps:
            with cat.graph.inserting_before(cat):
                rounded = cat.graph.call_function(_quantize, (one, *steps))
                rounded.meta = {**one.meta, "val": one.meta["val"].to(steps[-1])}
                value = cat.graph.call_function(_dequantize, (rounded, *steps))
                value.meta, one = dict(one.meta), value
        joined.append(one)
    cat.args = (joined, *axis)
