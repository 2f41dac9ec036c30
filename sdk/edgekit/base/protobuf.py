"""Tell models that are protobuf messages apart by the numbers of their fields; nothing is parsed further."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgekit.base.filekind import FileKind

_VARINT, _LENGTH, _WIDTHS = 0, 2, {1: 8, 5: 4}
_FIELDS = 4_096
# ModelProto of ONNX: 1 ir_version, 2 to 6 producer and such, 7 graph, 8 opset_import, 14 metadata, 25 functions
_ONNX = {1: _VARINT, 2: _LENGTH, 3: _LENGTH, 4: _LENGTH, 5: _VARINT, 6: _LENGTH, 7: _LENGTH, 8: _LENGTH, 14: _LENGTH,
         20: _LENGTH, 25: _LENGTH, 26: _LENGTH}  # fmt: skip
_GRAPH, _COREML_MODELS = 7, 200


def kind_of(path: Path) -> FileKind:
    """Return which model's message a file is; `FileKind.UNKNOWN` if it is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        fields = list(_fields(file, size))
    numbers = {number for number, _ in fields}
    if not fields or -1 in numbers:
        return FileKind.UNKNOWN
    if _GRAPH in numbers and all(_ONNX.get(number) == kind for number, kind in fields):
        return FileKind.ONNX
    if fields[0] == (1, _VARINT) and any(number >= _COREML_MODELS for number in numbers):
        return FileKind.COREML
    if fields[0] == (1, _VARINT) and numbers == {1, 2}:
        return FileKind.SAVED_MODEL
    if fields[0] == (1, _LENGTH) and numbers <= {1, 2, 3, 4}:
        return FileKind.TENSORFLOW_GRAPH
    return FileKind.UNKNOWN


def _fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield number and wire type of the outermost fields; (-1, 0) where they stop making sense."""
    for _ in range(_FIELDS):
        if file.tell() == size:
            return
        key = _varint(file)
        number, kind = (-1, 0) if key is None else (key >> 3, key & 7)
        length = 0
        if kind in (_VARINT, _LENGTH):
            value = _varint(file)
            length = 0 if kind == _VARINT else value or 0
            number = number if value is not None else -1
        else:
            length = _WIDTHS.get(kind, -1)
        if number <= 0 or length < 0 or file.tell() + length > size:
            yield -1, 0
            return
        yield number, kind
        file.seek(length, 1)


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None
