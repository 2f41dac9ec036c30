"""``.safetensors`` files and the indices of weights in several files, described by their headers."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.model.weights.state import Described, State
from edgekit.model.weights.values import printable

MOST_HEADER = 2**24
"""Bytes of a header or an index; that of a model of a trillion parameters has some megabytes."""
_MOST_SHARDS = 2_000
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
    "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
}  # fmt: skip


class HeaderError(ValueError):
    """A header or an index that is damaged, or too large."""


def of_safetensors(path: Path) -> State:
    """Describe a ``.safetensors`` file.

    Raises:
        HeaderError: If its header is damaged or too large.
        OSError: If it cannot be read.
    """
    total = path.stat().st_size
    length, header = _header(path, total)
    tensors, end = {}, 0
    for name, entry in header.items():
        if name != "__metadata__":
            tensors[name] = _described(name, entry)
            end = max(end, entry["data_offsets"][1])
    if end != total - 8 - length:
        raise HeaderError(f"it is cut off: its tensors end at {8 + length + end:,}, and it has {total:,} bytes")
    from edgekit.model.weights import tensors as numbers

    return State(tensors=tensors, others={}, load=partial(numbers.of_safetensors, path))


def origin_of(path: Path) -> dict[str, str]:
    """Return what `edgekit.model.weights.trust` wrote of the pickle that the tensors come from; empty if it did not.

    Raises:
        HeaderError: If its header is damaged or too large.
        OSError: If it cannot be read.
    """
    _, header = _header(path, path.stat().st_size)
    written = header.get("__metadata__")
    text = written.get("edgekit") if isinstance(written, dict) else None
    found = _json(text.encode()) if isinstance(text, str) else {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def of_index(path: Path, read: Callable[[Path], State]) -> State:
    """Describe weights in several files, by the index beside them.

    Args:
        path: The ``.index.json``.
        read: Reads one of the files that it names.

    Raises:
        HeaderError: If it is no such index, or names a file that is not beside it or lacks a tensor.
        OSError: If it or one of the files cannot be read.
    """
    if path.stat().st_size > MOST_HEADER:
        raise HeaderError(f"it has more than {MOST_HEADER:,} bytes")
    mapping = _json(path.read_bytes()).get("weight_map")
    if not isinstance(mapping, dict) or not mapping or not all(isinstance(name, str) for name in mapping.values()):
        raise HeaderError('it has no "weight_map" from tensors to files')
    names = sorted(set(mapping.values()))
    if len(names) > _MOST_SHARDS:
        raise HeaderError(f"it names {len(names):,} files, more than {_MOST_SHARDS:,}")
    # Files of a hub's cache are links into another folder, so links are followed; names that leave the folder are not.
    if strange := [name for name in names if Path(name).name != name or name in ("", ".", "..") or "\0" in name]:
        raise HeaderError(f"it names {printable(strange[0])}, which is no file beside it")
    if missing := [name for name in names if not (path.parent / name).is_file()]:
        raise HeaderError(f"it names {printable(missing[0])}, which is not beside it; {len(missing)} are missing")
    states = {name: read(path.parent / name) for name in names}
    lacking = [key for key, name in mapping.items() if key not in states[name].tensors]
    if lacking:
        raise HeaderError(f"{printable(mapping[lacking[0]])} has no {printable(lacking[0])}, which the index says")
    tensors = {key: described for state in states.values() for key, described in state.tensors.items()}
    others = {key: what for state in states.values() for key, what in state.others.items()}

    def load() -> dict[str, Any]:
        return {key: tensor for state in states.values() for key, tensor in state.load().items()}

    return State(tensors=tensors, others=others, load=load)


def _header(path: Path, total: int) -> tuple[int, dict[str, Any]]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > total - 8:
            raise HeaderError(f"it is cut off: its header alone says that it has {length:,} bytes")
        if length > MOST_HEADER:
            raise HeaderError(f"its header has {length:,} bytes, more than {MOST_HEADER:,}")
        return length, _json(file.read(length))


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"its JSON is damaged: {error}"[:150]) from error
    if not isinstance(found, dict):
        raise HeaderError("its JSON is no object")
    return found


def _described(name: str, entry: Any) -> Described:
    match entry:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [int() as start, int() as end]} if (
            0 <= start <= end and all(type(size) is int and 0 <= size < 2**62 for size in shape)
        ):
            return Described(shape=tuple(shape), dtype=_DTYPES.get(dtype, printable(dtype)))
    raise HeaderError(f"the header of {printable(name)} is damaged")
