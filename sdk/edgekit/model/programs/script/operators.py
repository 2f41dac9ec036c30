"""What computes an operation of TorchScript: torch's own for tensors, Python's for numbers and lists.

Sizes stay the numbers that they are, symbolic ones too: torch's operations on them would ask for their values.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgekit.model.programs.evaluation import TRAIN

_FORBIDDEN = {"aten::save", "aten::from_file", "aten::load", "aten::set_", "aten::manual_seed"}
_DROPPED = {"aten::warn", "prim::Print"}


def _fail(message: object = "", kind: object = "") -> Any:
    raise RuntimeError(f"the model raises {str(kind).rpartition('.')[2] or 'an error'}: {message}")


def _unwrapped(value: Any) -> Any:
    if value is None:
        raise RuntimeError("a value is None that must not be")
    return value


def _divided(one: Any, other: Any, rounding: str | None = None) -> Any:
    return one / other if rounding is None else (one // other if rounding == "floor" else int(one / other))


def _appended(items: list[Any], item: Any) -> list[Any]:
    items.append(item)
    return items


def _put(items: Any, key: Any, value: Any) -> Any:
    items[key] = value
    return items


def _number(value: Any) -> Any:
    """Return the number in a tensor; a number by itself is what a trace wrote as a tensor."""
    return value.item() if isinstance(value, Tensor) else value


def _int(value: Any) -> Any:
    found = _number(value)
    return int(found) if isinstance(found, float | bool | str) else found


def _size(value: Tensor, axis: int | None = None) -> Any:
    return list(value.shape) if axis is None else value.shape[axis]


def _convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, *_: Any,
) -> Any:  # fmt: skip
    """Write the form that traces have as the operations that exporters know."""
    rank = weight.ndim - 2
    stride, padding, dilation = ((list(value) * rank)[:rank] for value in (stride, padding, dilation))
    if transposed:
        output_padding = (list(output_padding) * rank)[:rank]
        call = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[rank - 1]
        return call(x, weight, bias, stride, padding, output_padding, groups, dilation)
    return (torch.conv1d, torch.conv2d, torch.conv3d)[rank - 1](x, weight, bias, stride, padding, dilation, groups)


_PYTHON: dict[str, Callable[..., Any]] = {
    "aten::add": lambda a, b, alpha=1: a + (b if alpha == 1 else b * alpha),
    "aten::sub": lambda a, b, alpha=1: a - (b if alpha == 1 else b * alpha),
    "aten::mul": operator.mul, "aten::div": _divided, "aten::floordiv": operator.floordiv,
    "aten::floor_divide": operator.floordiv, "aten::remainder": operator.mod, "aten::neg": operator.neg,
    "aten::pow": operator.pow, "aten::eq": operator.eq, "aten::ne": operator.ne, "aten::lt": operator.lt,
    "aten::le": operator.le, "aten::gt": operator.gt, "aten::ge": operator.ge, "aten::__and__": operator.and_,
    "aten::__or__": operator.or_, "aten::__xor__": operator.xor, "aten::__not__": operator.not_,
    "aten::__is__": operator.is_, "aten::__isnot__": operator.is_not, "aten::__getitem__": operator.getitem,
    "aten::__contains__": operator.contains, "aten::_set_item": _put, "aten::len": len, "aten::append": _appended,
    "aten::list": list, "aten::keys": lambda d: list(d.keys()), "aten::values": lambda d: list(d.values()),
    "aten::items": lambda d: list(d.items()), "aten::dict": dict, "aten::get": lambda d, k, o=None: d.get(k, o),
    "aten::insert": list.insert, "aten::extend": list.extend, "aten::pop": lambda items, i=-1: items.pop(i),
    "aten::reverse": list.reverse, "aten::copy": list.copy,
    "aten::Int": _int, "aten::IntImplicit": _int, "aten::ScalarImplicit": _number, "aten::FloatImplicit": _number,
    "aten::Float": lambda value: float(_number(value)), "aten::Bool": lambda value: bool(_number(value)),
    "aten::floor": math.floor, "aten::ceil": math.ceil, "aten::sqrt": math.sqrt, "aten::log": math.log,
    "aten::exp": math.exp, "aten::abs": abs, "aten::format": lambda text, *given: text.format(*given), "aten::str": str,
    "aten::slice": lambda items, start=None, end=None, step=1: items[start:end:step],
    "aten::max": max, "aten::min": min, "aten::all": all, "aten::any": any, "aten::sum": sum, "aten::index": list.index,
    "aten::size": _size, "aten::dim": lambda x: x.dim(), "aten::numel": lambda x: x.numel(), "aten::item": _number,
    "aten::is_floating_point": lambda x: x.is_floating_point(), "aten::_unwrap_optional": _unwrapped,
    "aten::backward": _fail, "aten::_convolution": _convolution, "aten::cuda": lambda x: x, "aten::cpu": lambda x: x,
    "prim::ListConstruct": lambda *items: list(items), "prim::TupleConstruct": lambda *items: items,
    "prim::DictConstruct": lambda *items: dict(zip(items[::2], items[1::2], strict=True)),
    "prim::TupleUnpack": lambda items: items, "prim::ListUnpack": lambda items: items,
    "prim::TupleIndex": operator.getitem, "prim::NumToTensor": lambda value: value,
    "prim::RaiseException": _fail, "prim::Uninitialized": lambda: None,
    "prim::unchecked_cast": lambda value: value, "prim::unchecked_unwrap_optional": _unwrapped,
    "prim::min": lambda *items: min(*items), "prim::max": lambda *items: max(*items),
    "prim::abs": abs, "prim::dtype": lambda x: x.dtype, "prim::device": lambda x: torch.device("cpu"),
    "prim::layout": lambda x: torch.strided, "prim::is_cuda": lambda x: False, "prim::data": lambda x: x.detach(),
    "prim::requires_grad": lambda x: False, "prim::is_quantized": lambda x: False,
    "prim::StringIndex": operator.getitem,
    "prim::is_sparse": lambda x: False, "prim::is_mkldnn": lambda x: False, "prim::EnumValue": lambda x: x.value,
}  # fmt: skip
# Of these, what Python computes is the answer also where a tensor is among the values.
_ALWAYS = {
    "aten::size", "aten::dim", "aten::numel", "aten::item", "aten::Int", "aten::IntImplicit", "aten::ScalarImplicit",
    "aten::FloatImplicit", "aten::Float", "aten::Bool", "aten::is_floating_point", "aten::_unwrap_optional",
    "aten::__is__", "aten::__isnot__", "aten::__getitem__", "aten::_set_item", "aten::append", "aten::len",
    "aten::list", "aten::keys", "aten::values", "aten::items", "aten::dict", "aten::get", "aten::insert",
    "aten::extend", "aten::pop", "aten::reverse", "aten::copy", "aten::format", "aten::__contains__", "aten::str",
    "aten::backward", "aten::_convolution", "aten::cuda", "aten::cpu",
}  # fmt: skip


def computed_by(kind: str, schema: str) -> Callable[..., Any] | None:
    """Return what computes an operation, or None where nothing here does.

    Args:
        kind: The operation's name, ``aten::conv2d``.
        schema: Its schema as TorchScript writes it, ``aten::conv2d(Tensor input, ...) -> Tensor``; may be empty.
    """
    python = _PYTHON.get(kind)
    if kind in _DROPPED:
        return lambda *given: None
    if kind in _FORBIDDEN or kind.split("::")[0] not in ("aten", "prim", "torchvision"):
        return None
    if python is not None and (kind.startswith("prim::") or kind in _ALWAYS):
        return python
    overload = _overload(kind, schema)
    if overload is None:
        return python
    call = _called(overload)
    if python is None:
        return call

    def either(*given: Any) -> Any:
        return call(*given) if _has_tensor(given) else python(*given)

    return either


def _has_tensor(values: Any) -> bool:
    return any(isinstance(value, Tensor) or (isinstance(value, list) and _has_tensor(value)) for value in values)


def _overload(kind: str, schema: str) -> Any:
    namespace, _, name = kind.partition("::")
    packet = getattr(getattr(torch.ops, namespace), name, None) if namespace != "prim" else None
    overload = schema.partition("(")[0].partition(".")[2] or "default"
    return getattr(packet, overload, None)


def _called(overload: Any) -> Callable[..., Any]:
    """Return a function of values in the order of the schema, as TorchScript passes them."""
    arguments = overload._schema.arguments
    positional = sum(not argument.kwarg_only for argument in arguments)
    names = [argument.name for argument in arguments]
    devices = [number for number, argument in enumerate(arguments) if argument.name == "device"]
    trains = TRAIN.get(overload)

    def call(*given: Any) -> Any:
        values = list(given)
        for number in devices:
            if number < len(values) and values[number] is not None:
                values[number] = torch.device("cpu")
        if trains is not None and trains < len(values):
            values[trains] = False
        return overload(*values[:positional], **dict(zip(names[positional:], values[positional:], strict=False)))

    return call
