"""Operators on pictures and other grids: pools, sizes, samples, and norms over places."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

from edgekit.model.programs.onnx.elementwise import Operator
from edgekit.model.programs.onnx.node import Node, OnnxError, Value, numbers, tensor
from edgekit.model.programs.onnx.windows import Window


def _pool(node: Node, x: Value) -> Any:
    given = tensor(x)
    window = Window.of(node, given.ndim - 2, ())
    rank, ceil = given.ndim - 3, bool(node.attribute("ceil_mode", 0))
    if node.op == "MaxPool":
        if len(node.writes) > 1 and node.writes[1]:
            raise OnnxError("its indices are used")
        given, padding = window.padded(given, float("-inf"))
        call: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank]
        return call(given, window.kernel, window.strides, padding, window.dilations, ceil)
    counted = bool(node.attribute("count_include_pad", 0))
    given, padding = window.padded(given, 0.0)
    if (not any(padding) and window.begins != window.ends and not counted) or set(window.dilations) != {1}:
        raise OnnxError("its padding or dilation is not torch's")
    call = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank]
    return call(given, window.kernel, window.strides, padding, ceil, counted)


def _global(kind: str) -> Operator:
    def apply(node: Node, x: Value) -> Any:
        given = tensor(x)
        axes = list(range(2, given.ndim))
        return given.mean(axes, keepdim=True) if kind == "mean" else given.amax(axes, keepdim=True)

    return apply


def _resize(node: Node, x: Value, *more: Value) -> Any:
    given = tensor(x)
    scales, sizes = (more[-1] if node.op == "Upsample" or len(more) == 2 else None), None
    if node.op == "Resize" and len(more) == 3:
        scales, sizes = (None if more[1] is None or _empty(more[1]) else more[1]), more[2]
    if node.op == "Resize" and node.version < 11:
        scales, sizes = more[0], None
    mode = node.attribute("mode", b"nearest").decode()
    where = node.attribute(
        "coordinate_transformation_mode", b"half_pixel" if node.version >= 11 else b"asymmetric"
    ).decode()
    rounding = node.attribute("nearest_mode", b"round_prefer_floor").decode() if node.version >= 11 else "floor"
    axes = [int(axis) % given.ndim for axis in node.attribute("axes") or range(given.ndim)]
    arguments: dict[str, Any] = {}
    wanted = numbers(sizes if sizes is not None else scales, "its size")
    if sorted(axes)[-given.ndim + 2 :] != axes[-given.ndim + 2 :] or _touches_channels(
        given, axes, wanted, sizes is not None
    ):
        raise OnnxError("it resizes channels or the batch")
    arguments["size" if sizes is not None else "scale_factor"] = wanted[-(given.ndim - 2) :]
    if mode == "nearest":
        mode = _nearest(where, rounding)
    else:
        mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[given.ndim - 2] if mode == "linear" else "bicubic"
        if where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
            raise OnnxError(f"its coordinates are {where}, which torch has for nearest alone")
        if mode == "bicubic" and abs(node.attribute("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
            raise OnnxError("its cubic coefficient is not torch's")
        arguments |= {"align_corners": where == "align_corners", "antialias": bool(node.attribute("antialias", 0))}
    if "scale_factor" in arguments:
        arguments["scale_factor"] = [float(one) for one in arguments["scale_factor"]]
    return functional.interpolate(given, mode=mode, **arguments)


def _empty(value: Value) -> bool:
    return value is not None and 0 in value.shape


def _touches_channels(x: Tensor, axes: list[int], wanted: list[Any], sizes: bool) -> bool:
    outer = [(axis, size) for axis, size in zip(axes, wanted, strict=True) if axis < 2]
    return any(size != (x.shape[axis] if sizes else 1) for axis, size in outer if isinstance(size, int | float))


def _nearest(where: str, rounding: str) -> str:
    if where == "asymmetric" and rounding == "floor":
        return "nearest"
    if where in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round_prefer"):
        return "nearest-exact"
    raise OnnxError(f"nearest by {where} and {rounding} is not torch's")


def _depth_to_space(node: Node, x: Value) -> Any:
    given, block = tensor(x), node.attribute("blocksize")
    if node.attribute("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(given, block)
    batch, channels, height, width = given.shape
    parts = given.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // block**2, height * block, width * block)


def _space_to_depth(node: Node, x: Value) -> Any:
    given, block = tensor(x), node.attribute("blocksize")
    batch, channels, height, width = given.shape
    parts = given.reshape(batch, channels, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(batch, channels * block**2, height // block, width // block)


def _instance_norm(node: Node, x: Value, weight: Value, bias: Value) -> Any:
    epsilon = node.attribute("epsilon", 1e-5)
    return functional.instance_norm(tensor(x), None, None, tensor(weight), tensor(bias), True, 0.0, epsilon)


def _group_norm(node: Node, x: Value, weight: Value, bias: Value) -> Any:
    return functional.group_norm(
        tensor(x), node.attribute("num_groups"), tensor(weight), tensor(bias), node.attribute("epsilon", 1e-5)
    )


def _grid_sample(node: Node, x: Value, grid: Value) -> Any:
    mode = node.attribute("mode", b"linear").decode()
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    edge = node.attribute("padding_mode", b"zeros").decode()
    return functional.grid_sample(tensor(x), tensor(grid), mode, edge, bool(node.attribute("align_corners", 0)))


def _local_response(node: Node, x: Value) -> Any:
    return functional.local_response_norm(
        tensor(x), node.attribute("size"), node.attribute("alpha", 1e-4), node.attribute("beta", 0.75),
        node.attribute("bias", 1.0),
    )  # fmt: skip


def _variance(node: Node, x: Value) -> Any:
    axes = list(node.attribute("axes") or (0, 2, 3))
    centred = tensor(x) - tensor(x).mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + 1e-9).sqrt()


GRIDS: dict[str, Callable[..., Any]] = {
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "Resize": _resize,
    "Upsample": _resize,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "GridSample": _grid_sample,
    "LRN": _local_response,
    "MeanVarianceNormalization": _variance,
}
