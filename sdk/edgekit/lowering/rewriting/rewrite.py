"""All rewrites, in their order: what one writes, a later one may write anew."""

from typing import Any

import torch
from torch.export import ExportedProgram

from edgekit.lowering.rewriting import (
    activations,
    attention,
    convolutions,
    elements,
    normalization,
    padding,
    pieces,
    pooling,
    reductions,
    resizing,
)
from edgekit.lowering.rewriting.folding import fold_constants
from edgekit.lowering.rewriting.recurrent import loop_over_time
from edgekit.lowering.rewriting.scalars import read_apart, write_numbers
from edgekit.lowering.rewriting.writer import Rewrite, Writer, drop_unused
from edgekit.model.graph import arguments

_aten = torch.ops.aten

_LAYERS: dict[Any, Rewrite] = {
    _aten.layer_norm.default: normalization.layer_norm,
    _aten.rms_norm.default: normalization.rms_norm,
    _aten.group_norm.default: normalization.group_norm,
    _aten.instance_norm.default: normalization.instance_norm,
    _aten.scaled_dot_product_attention.default: attention.scaled_dot_product_attention,
    _aten.masked_fill.Scalar: attention.masked,
    _aten.where.ScalarOther: attention.masked,
    _aten.where.self: attention.masked,
    _aten.hardsigmoid.default: activations.hardsigmoid,
    _aten.gelu.default: activations.gelu,
    _aten.elu.default: activations.elu,
    _aten.elu_.default: activations.elu,
    _aten.rrelu.default: activations.rrelu,
    _aten.celu.default: activations.elu,
    _aten.selu.default: activations.elu,
    _aten.softplus.default: activations.softplus,
    _aten.mish.default: activations.mish,
    _aten.log_sigmoid.default: activations.log_sigmoid,
    _aten.softshrink.default: activations.softshrink,
    _aten.glu.default: activations.glu,
    _aten.prelu.default: activations.prelu,
    _aten.max_pool2d.default: pooling.plain_maximum,
    _aten.max_pool1d.default: pooling.pool1d,
    _aten.avg_pool1d.default: pooling.pool1d,
    _aten.avg_pool2d.default: pooling.avg_pool2d,
    _aten.adaptive_avg_pool1d.default: pooling.adaptive_average,
    _aten.adaptive_avg_pool2d.default: pooling.adaptive_average,
    _aten.conv3d.default: convolutions.conv3d,
    _aten.conv_transpose3d.input: convolutions.transposed_volumes,
    _aten.conv1d.default: convolutions.signals,
    _aten.conv1d.padding: convolutions.signals,
    _aten.conv_transpose1d.default: convolutions.transposed_signals,
    _aten.max_pool3d.default: convolutions.pool3d,
    _aten.avg_pool3d.default: convolutions.pool3d,
    _aten.pad.default: padding.pad,
    _aten.constant_pad_nd.default: padding.pad,
    _aten.reflection_pad1d.default: padding.pad,
    _aten.reflection_pad2d.default: padding.pad,
    _aten.replication_pad1d.default: padding.pad,
    _aten.replication_pad2d.default: padding.pad,
    _aten.roll.default: pieces.roll,
    _aten.flip.default: pieces.flip,
    _aten.unfold.default: pieces.frames,
    _aten.slice_scatter.default: pieces.scattered,
    _aten.select_scatter.default: pieces.scattered,
    _aten.copy.default: pieces.copied,
    _aten.fill.Tensor: pieces.copied,
    _aten.fill.Scalar: pieces.copied,
    _aten.sum.dim_IntList: reductions.total,
    _aten.mean.dim: reductions.mean,
    _aten.var.dim: reductions.variance,
    _aten.var.correction: reductions.variance,
    _aten.linalg_vector_norm.default: reductions.norm,
    _aten.norm.ScalarOpt_dim: reductions.norm,
    _aten.pow.Tensor_Scalar: reductions.power,
    _aten.std.dim: reductions.deviation,
    _aten.std.correction: reductions.deviation,
    _aten.cosine_similarity.default: reductions.cosine,
    _aten.pairwise_distance.default: reductions.distance,
    _aten.cumsum.default: reductions.running,
    _aten.amax.default: pooling.largest,
    _aten.amin.default: pooling.largest,
    _aten.log_softmax.int: attention.log_softmax,
    _aten.logsumexp.default: attention.logsumexp,
    _aten.reciprocal.default: elements.reciprocal,
    _aten.add.Tensor: elements.scaled_sum,
    _aten.sub.Tensor: elements.scaled_sum,
    _aten.rsub.Scalar: elements.taken_from,
    _aten.addcmul.default: elements.product_added,
    _aten.lerp.Scalar: elements.between,
    _aten.lerp.Tensor: elements.between,
    _aten.matmul.default: elements.by_constant,
    _aten.sign.default: elements.sign,
    _aten.erf.default: elements.erf,
    _aten.repeat.default: resizing.repeat,
    _aten.upsample_linear1d.vec: resizing.by_shares,
    _aten.affine_grid_generator.default: resizing.affine_grid,
    _aten.upsample_bilinear2d.vec: resizing.bilinear,
    _aten.upsample_nearest1d.vec: resizing.nearest,
    _aten.upsample_nearest2d.vec: resizing.nearest,
    _aten.upsample_bicubic2d.vec: resizing.by_shares,
    _aten.index.Tensor: pieces.gather_rows,
    _aten.index_select.default: pieces.gather_rows,
}
_PARTS: dict[Any, Rewrite] = {
    _aten.softmax.int: attention.softmax,
    _aten.select.int: pieces.select,
    _aten.slice.Tensor: pieces.strided_slice,
    _aten.squeeze.dim: pieces.drop_ones,
    _aten.squeeze.dims: pieces.drop_ones,
    _aten.squeeze.default: pieces.drop_ones,
    _aten.unsqueeze.default: pieces.drop_ones,
    _aten.expand.default: pieces.expand,
    _aten.expand_as.default: pieces.expand,
}
_CEIL_POOLS: dict[Any, Rewrite] = {
    _aten.avg_pool1d.default: pooling.pool1d,
    _aten.avg_pool2d.default: pooling.avg_pool2d,
    _aten.max_pool1d.default: pooling.plain_maximum,
    _aten.max_pool2d.default: pooling.plain_maximum,
}


def rewrite(program: ExportedProgram) -> None:
    """Write what XNNPACK does not take as what it takes, in place.

    Args:
        program: A captured or quantized program.
    """
    write = Writer(program)
    fold_constants(write)
    loop_over_time(write)
    pooling.extremes(write)
    write.rewrite(_LAYERS)
    pooling.adaptive_maxima(write)
    pieces.take_apart(write)
    write.rewrite(_PARTS)
    write_numbers(write)
    read_apart(program.graph)
    drop_unused(program)


def rewrite_ceil_pools(program: ExportedProgram) -> None:
    """Write out pools in ceil mode, in place: ONNX counts other places and windows than torch (seen in 1.32)."""
    if any(node.target in _CEIL_POOLS and arguments(node)["ceil_mode"] for node in program.graph.nodes):
        Writer(program).rewrite(_CEIL_POOLS)
