"""Shape a program so that one delegate takes all of it: every delegate costs memory, bytes and a round of passes."""

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from edgekit.lowering.decomposed import write_copy
from edgekit.model.graph import add_call

_aten = torch.ops.aten


def pool_means(program: ExportedProgram) -> None:
    """Write means over places or tokens in place as the one form that XNNPACK takes: of 4-D, over the last two, kept.

    A mean outside is a delegate more, and the only reason why many apps need the library of kernels. A mean of a batch
    that may grow stands between integers, but computes in float: XNNPACK's mean of integers keeps its workspace when a
    larger batch comes, and gives garbage (48 dB at batch 16, then 14 at batch 64, on one load of a classifier; 1.5.1).
    The view behind it is what keeps it in float, even where it changes no shape.
    """
    for node in list(program.graph.nodes):
        if node.op != "call_function" or node.kwargs:
            continue
        if node.target is _aten.adaptive_avg_pool2d.default:
            _write_global_pool(node)
        if node.target is _aten.mean.dim:
            _write_mean(node)
    program.graph_module.recompile()


def _write_global_pool(node: fx.Node) -> None:
    """Write an adaptive pool to one place as the mean that it is."""
    given: tuple[Any, ...] = node.args
    data, size = given
    if data.meta["val"].dim() == 4 and list(size) == [1, 1]:
        node.target, node.args = _aten.mean.dim, (data, [2, 3], True)


def _write_mean(node: fx.Node) -> None:
    given: tuple[Any, ...] = node.args
    data, dims, *keep = given
    shape, result = data.meta["val"].shape, node.meta["val"].shape
    axes = sorted(axis % len(shape) for axis in dims or ())
    sizes = [size if isinstance(size, int) else -1 for size in result]
    if sizes.count(-1) > 1:
        return
    match len(shape), axes:
        case 4, [2, 3] if -1 in sizes or not any(keep):
            pass
        case 3, [1] | [2] if all(isinstance(size, int) for size in shape[1:]):
            with node.graph.inserting_before(node):
                if axes == [1]:
                    data = add_call(node, _aten.permute.default, data, [0, 2, 1])
                data = add_call(node, _aten.reshape.default, data, [-1, shape[3 - axes[0]], 1, shape[axes[0]]])
            write_copy(data)
        case _:
            return
    with node.graph.inserting_before(node):
        mean = add_call(node, _aten.mean.dim, data, [2, 3], True)
    node.target, node.args = _aten.view.default, (mean, sizes)


def infer_batches(program: ExportedProgram) -> None:
    """Write matrix products and reshapes in place so that no view names the symbolic batch: XNNPACK refuses those.

    torch decomposes a product of two batches of matrices, and a reshape that has to copy, to views of sizes that it
    reads from its input, and expands the matrices to the shape that they have. Attention falls into eight delegates a
    block by it.
    """
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.kwargs:
            continue
        if node.target is _aten.matmul.default:
            _write_batched_product(node)
        elif node.target is _aten.reshape.default:
            write_copy(node)
    program.graph_module.recompile()


def _write_batched_product(node: fx.Node) -> None:
    """Write a product of equal batches as ``bmm`` with one batch dimension, whose size is inferred."""
    operands: tuple[Any, ...] = node.args
    data, weight = operands
    left, right = data.meta["val"].shape, weight.meta["val"].shape
    sizes = [*left[-2:], *right[-2:]]
    batch = [size if isinstance(size, int) else -1 for size in left[:-2]]
    # As text: a comparison of symbols would be remembered as a condition on them.
    if len(left) < 3 or str(left[:-2]) != str(right[:-2]) or batch.count(-1) > 1:
        return
    if not all(isinstance(size, int) for size in sizes):
        return
    with node.graph.inserting_before(node):
        first = add_call(node, _aten.reshape.default, data, [-1, *left[-2:]])
        second = add_call(node, _aten.reshape.default, weight, [-1, *right[-2:]])
        product = add_call(node, _aten.bmm.default, first, second)
    for reshape in (first, second):
        write_copy(reshape)
    node.target = _aten.view.default  # changed in place: the node may be an output, known by its name
    node.args = (product, [*batch, left[-2], right[-1]])
