"""Write operations as what the exporters decompose them to: a program that needs no decomposing is not traced anew."""

import operator
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.model.graph import add_call

_aten = torch.ops.aten


def write_functional(program: ExportedProgram) -> None:
    """Write reshapes as the view, and perhaps the copy, that they stand for, and batch norms as in inference, in place.

    Means of whole pictures, too. No exporter keeps any of them; without them it need not trace the program anew.
    """
    for node in list(program.graph.nodes):
        if node.op != "call_function" or node.kwargs:
            continue
        if node.target is _aten.reshape.default:
            write_copy(node)
        elif node.target is _aten.batch_norm.default:
            _write_batch_norm(node)
        elif node.target is _aten.adaptive_avg_pool2d.default:
            _write_mean(node)
    program.graph_module.recompile()


def write_decomposed(program: ExportedProgram) -> None:
    """Write operations as what ExecuTorch decomposes them to, in place: the lowering saves a round of up to 2 s for it.

    Only where the decomposition is one operation; a round is saved if no other is left that needs it.
    """
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.kwargs:
            continue
        given: tuple[Any, ...] = node.args
        match node.target:
            case _aten.conv1d.default | _aten.conv2d.default:
                _write_convolution(node)
            case _aten.transpose.int:
                data, first, second = given
                order = list(range(node.meta["val"].dim()))
                order[first], order[second] = order[second], order[first]
                node.target, node.args = _aten.permute.default, (data, order)
            case _aten.softmax.int if len(given) == 2:  # with a third argument it converts
                node.target, node.args = _aten._softmax.default, (*given, False)
            case _aten.layer_norm.default:
                data, shape, weight, bias, eps = (given + (None, None, 1e-5)[len(given) - 2 :])[:5]
                with graph.inserting_before(node):
                    normed = add_call(node, _aten.native_layer_norm.default, data, shape, weight, bias, eps)
                node.target, node.args = operator.getitem, (normed, 0)
    program.graph_module.recompile()


def write_copy(reshape: fx.Node) -> None:
    """Write a reshape as a view, behind a copy if it needs one."""
    given: tuple[Any, ...] = reshape.args
    data, sizes = given
    if data.meta["val"].untyped_storage()._cdata != reshape.meta["val"].untyped_storage()._cdata:
        with reshape.graph.inserting_before(reshape):
            data = add_call(reshape, _aten.clone.default, data, memory_format=torch.contiguous_format)
    reshape.target, reshape.args = _aten.view.default, (data, sizes)


def _write_batch_norm(node: fx.Node) -> None:
    data, *parameters, training, momentum, eps, _ = node.args
    if not training and None not in parameters:
        given = (data, *parameters, momentum, eps)
        with node.graph.inserting_before(node):
            normed = add_call(node, _aten._native_batch_norm_legit_no_training.default, *given)
        node.target, node.args = operator.getitem, (normed, 0)


def _write_mean(pool: fx.Node) -> None:
    data, sizes = pool.args
    if isinstance(sizes, list | tuple) and set(sizes) == {1}:
        pool.target, pool.args = _aten.mean.dim, (data, [-1, -2], True)


def _write_convolution(node: fx.Node) -> None:
    given: tuple[Any, ...] = node.args
    data, weight, *rest = given
    ones, zeros = [1] * (weight.meta["val"].dim() - 2), [0] * (weight.meta["val"].dim() - 2)
    defaults: tuple[Any, ...] = (None, ones, zeros, ones, 1)
    bias, stride, padding, dilation, groups = (*rest, *defaults[len(rest) :])
    if data.meta["val"].dim() == weight.meta["val"].dim():  # without a batch it decomposes to more
        node.target = _aten.convolution.default
        node.args = (data, weight, bias, stride, padding, dilation, False, zeros, groups)
