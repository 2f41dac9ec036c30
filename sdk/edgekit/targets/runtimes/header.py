"""Reads the versions in an .onnx without the library: a protocol buffer whose large fields can be stepped over."""

from collections.abc import Iterator
from dataclasses import dataclass

# Fields of ModelProto and OperatorSetIdProto in onnx.proto.
_IR_VERSION, _OPSET_IMPORT = 1, 8
_DOMAIN, _VERSION = 1, 2
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True, kw_only=True)
class Header:
    """The versions of one file."""

    ir_version: int
    """Version of the file format."""
    opsets: dict[str, int]
    """Operator sets by domain; ONNX's own is the empty one."""


def read(data: bytes) -> Header | None:
    """Return the versions in an .onnx; None if the bytes are none."""
    ir_version, opsets = 0, {}
    try:
        for field, value in _fields(data):
            if field == _IR_VERSION and isinstance(value, int):
                ir_version = value
            elif field == _OPSET_IMPORT and isinstance(value, memoryview):
                entry = dict(_fields(value))
                domain, version = entry.get(_DOMAIN, memoryview(b"")), entry.get(_VERSION, 0)
                if isinstance(domain, memoryview) and isinstance(version, int):
                    opsets[bytes(domain).decode().removesuffix("ai.onnx")] = version
    except (IndexError, UnicodeDecodeError, ValueError):
        return None
    return Header(ir_version=ir_version, opsets=opsets) if opsets else None


def _fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field; numbers of fixed width are stepped over."""
    view, place = memoryview(data), 0
    while place < len(view):
        key, place = _number(view, place)
        kind = key & 7
        if kind == 0:
            value, place = _number(view, place)
            yield key >> 3, value
        elif kind == 2:
            length, place = _number(view, place)
            if place + length > len(view):
                raise ValueError("cut off")
            yield key >> 3, view[place : place + length]
            place += length
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            raise ValueError("no field has this kind")


def _number(view: memoryview, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, and return the place behind it."""
    value = shift = 0
    while True:
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("no number is this long")
