"""Shape a program so that one delegate takes all of it: every delegate costs memory, bytes and a round of passes."""

from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from edgekit.graph import is_dequantize

_aten = torch.ops.aten


def decompose_hardsigmoid(program: ExportedProgram) -> None:
    """Write hard-sigmoid as ``hardtanh(x + 3, 0, 6) / 6`` in place, all of which XNNPACK takes.

    ExecuTorch's own decomposition brings in scalar tensors of another dtype and their conversions, which stay outside
    the delegate: two kernels and eight nodes in a small MobileNetV3.
    """
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not _aten.hardsigmoid.default:
            continue
        with graph.inserting_before(node):
            shifted = graph.call_function(_aten.add.Tensor, (node.args[0], 3.0))
            clamped = graph.call_function(_aten.hardtanh.default, (shifted, 0.0, 6.0))
        shifted.meta, clamped.meta = dict(node.meta), dict(node.meta)
        node.target = _aten.mul.Tensor  # changed in place: the node may be an output, known by its name
        node.args = (clamped, 1 / 6)
    program.graph_module.recompile()


def write_convolutions(program: ExportedProgram) -> None:
    """Write ``conv2d`` as the ``convolution`` it decomposes to, in place: the lowering saves a round of 2 s for it."""
    for node in program.graph.nodes:
        if node.op != "call_function" or node.target is not _aten.conv2d.default or node.kwargs:
            continue
        given = (*node.args, *(None, [1, 1], [0, 0], [1, 1], 1)[len(node.args) - 2 :])
        data, weight, bias, stride, padding, dilation, groups = given
        if data.meta["val"].dim() != 4:  # an image without a batch decomposes to more
            continue
        node.target = _aten.convolution.default
        node.args = (data, weight, bias, stride, padding, dilation, False, [0, 0], groups)
    program.graph_module.recompile()


def widen_convolutions(program: ExportedProgram) -> None:
    """Write a float ``conv1d`` as the ``conv2d`` of a picture one pixel wide, in place.

    ExecuTorch does that itself, but takes a convolution for quantized if its output is, whatever its input: a float
    one whose output is rounded then fails when it is loaded (error 0x1; seen in 1.5.1, ``conv1d_unsqueeze_pass``).
    """
    graph, parameters = program.graph, program.graph_signature.inputs_to_parameters
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not _aten.conv1d.default or node.kwargs:
            continue
        given: tuple[Any, ...] = (*node.args, *(None, [1], [0], [1], 1)[len(node.args) - 2 :])
        data, weight, bias, stride, padding, dilation, groups = given
        if is_dequantize(data) or weight.name not in parameters or len(weight.users) != 1:
            continue
        name = parameters[weight.name]
        program.state_dict[name] = nn.Parameter(program.state_dict[name].detach().unsqueeze(-1), requires_grad=False)
        weight.meta["val"] = weight.meta["val"].unsqueeze(-1)
        with graph.inserting_before(node):
            wide = graph.call_function(_aten.unsqueeze.default, (data, -1))
            window = ([*stride, 1], [*padding, 0], [*dilation, 1], groups)
            layer = graph.call_function(_aten.conv2d.default, (wide, weight, bias, *window))
        wide.meta = {**node.meta, "val": data.meta["val"].unsqueeze(-1)}
        layer.meta = {**node.meta, "val": node.meta["val"].unsqueeze(-1)}
        node.target, node.args = _aten.squeeze.dim, (layer, -1)
    program.graph_module.recompile()
