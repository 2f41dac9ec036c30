"""The calls that torch and NumPy write into pickles, by what they stand for; every other call stays unmade."""

import math
import struct
from typing import Any

from edgekit.model.weights.values import Global, PickleError, Storage, StoredArray, StoredTensor, Unmade

STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "QInt8Storage": "int8", "QUInt8Storage": "uint8", "QInt32Storage": "int32",
    "UntypedStorage": "bytes",
}  # fmt: skip
_SIZES = 64
_LARGEST = 2**62
# NumPy's letters as struct's, of the scalars that stand in checkpoints: a loss, an accuracy, a mean.
SCALARS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H",
            "u4": "I", "u8": "Q", "b1": "?"}  # fmt: skip


def stored(mark: Any) -> Storage | Global:
    """Return the storage that a persistent id names, or the class whose source torch wrote beside it before 1.6.

    Raises:
        PickleError: If it names none.
    """
    match mark:
        case ("storage", Global(module=_, name=kind), str() as key, _, int() as numel, *view):
            if kind not in STORAGES or not 0 <= numel < _LARGEST or any(part is not None for part in view):
                raise PickleError(f"its storage {key!r} is of a kind that is not read"[:150])
            return Storage(STORAGES[kind], key, numel)
        case ("module", Global() as kind, *_):
            return kind
    raise PickleError("its pickle names what is no storage")


def call(target: Global, arguments: tuple[Any, ...]) -> Any:
    """Return what a call stands for: a tensor of a file, a plain value, or the call itself.

    Raises:
        PickleError: If a tensor is described by what cannot be one.
    """
    match target.module, target.name:
        case "torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3" | "_rebuild_qtensor":
            return _tensor(target.name, arguments)
        case "torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state":
            return arguments[0] if arguments else None
        case "torch._tensor", "_rebuild_from_type_v2":
            return _of_type(target, arguments)
        case "collections", "OrderedDict":
            return _dictionary(target, arguments)
        case "torch", "Size":
            return tuple(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else ()
        case "torch", "device":
            return ":".join(str(part) for part in arguments if isinstance(part, str | int))
        case _:
            return _plain(target, arguments)


def _plain(target: Global, arguments: tuple[Any, ...]) -> Any:
    match target.module, target.name:
        case "pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath" | "Path":
            return "/".join(part for part in arguments if isinstance(part, str))
        case "_codecs", "encode":
            return _bytes(target, arguments)
        case "numpy.core.multiarray" | "numpy._core.multiarray", "scalar":
            return _scalar(target, arguments)
        case "builtins" | "__builtin__", "bytes" | "bytearray" if not arguments:
            return b""
        case "builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple":
            return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []
    return Unmade(target, arguments)


def array_of(value: Any) -> StoredArray | None:
    """Return the array of NumPy that a value is; None: it is none, or of a kind that is not read."""
    if isinstance(value, Unmade) and str(value.call).endswith("multiarray._reconstruct"):
        match value.state:
            case (_, tuple() as shape, Unmade(arguments=(str() as dtype, *_)), False, bytes() as data):
                return StoredArray(dtype, shape, data)
    if isinstance(value, Unmade) and str(value.call).endswith("numeric._frombuffer"):
        match value.arguments:
            case (bytes() | bytearray() as raw, Unmade(arguments=(str() as dtype, *_)), tuple() as shape, "C"):
                return StoredArray(dtype, shape, bytes(raw))
    return None


def _tensor(name: str, arguments: tuple[Any, ...]) -> StoredTensor:
    match arguments:
        case (Storage() as storage, int() as offset, tuple() as shape, tuple() as stride, *more):
            pass
        case _:
            raise PickleError("a tensor of it is damaged")
    numbers = (offset, *shape, *stride)
    whole = all(isinstance(number, int) and 0 <= number < _LARGEST for number in numbers)
    if not whole or len(shape) != len(stride) or len(shape) > _SIZES or math.prod(shape) >= _LARGEST:
        raise PickleError("the sizes of a tensor of it are damaged")
    dtype = storage.dtype
    if name == "_rebuild_tensor_v3":
        kind = more[2] if len(more) > 2 else None
        if not isinstance(kind, Global) or kind.module != "torch":
            raise PickleError("the type of a tensor of it is damaged")
        dtype = kind.name
    return StoredTensor(storage, dtype, offset, shape, stride, quantized=name == "_rebuild_qtensor")


def _of_type(target: Global, arguments: tuple[Any, ...]) -> Any:
    """Return the tensor inside a subclass that only adds attributes; any other subclass stays unmade."""
    match arguments:
        case (Global() as function, Global(module="torch" | "torch.nn.parameter"), tuple() as inner, _):
            return call(function, inner)
    return Unmade(target, arguments)


def _dictionary(target: Global, arguments: tuple[Any, ...]) -> Any:
    if not arguments:
        return {}
    pairs = arguments[0]
    if isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return {key: value for key, value in pairs if isinstance(key, str | int)}
    return Unmade(target, arguments)


def _bytes(target: Global, arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (str() as text, "latin1" | "latin-1"):
            return text.encode("latin1", errors="replace")
    return Unmade(target, arguments)


def _scalar(target: Global, arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (Unmade(arguments=(str() as kind, *_)), bytes() as data) if kind.lstrip("<=|") in SCALARS:
            letter = SCALARS[kind.lstrip("<=|")]
            return struct.unpack(f"<{letter}", data)[0] if struct.calcsize(f"<{letter}") == len(data) else None
    return Unmade(target, arguments)
