"""Arrays in ``.npz`` and ``.safetensors`` files: small ones in memory, large ones where they lie.

What is compressed is unpacked to a temporary file once. No pickles are read.
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from safetensors import safe_open
from safetensors.numpy import load_file

from edgekit.data.gathered import temporary, write
from edgekit.data.rows import InFile, OwnFile, Rows, chunks

_BLOCK = 2**20
# What follows the fixed part of a member's own header are its name and extra fields of these lengths.
_LOCAL, _LENGTHS = 30, slice(26, 30)
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


def of_safetensors(path: Path, held: int) -> dict[str, Rows]:
    """Return the arrays of a ``.safetensors`` file.

    Args:
        path: The file.
        held: Bytes that are read into memory; the arrays of a larger file stay where they lie.
    """
    if path.stat().st_size <= held:
        return {**load_file(path)}
    with safe_open(path, "numpy"):
        pass  # checks the header
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    found: dict[str, Rows] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            dtype, shape = np.dtype(_DTYPES[tensor["dtype"]]), tuple(tensor["shape"])
            found[name] = InFile(OwnFile(path), 8 + length + tensor["data_offsets"][0], dtype, shape)
    return found


def of_npz(path: Path, held: int) -> dict[str, Rows]:
    """Return the arrays of an ``.npz`` file.

    Args:
        path: The file.
        held: Bytes of an array that is read into memory.
    """
    # Opened here: given a path, NumPy leaves the file open when it is damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        large = {info.filename.removesuffix(".npy"): info for info in archive.zip.infolist() if info.file_size > held}
        return {
            name: _member(path, archive.zip, large[name]) if name in large else archive[name] for name in archive.files
        }


def save_npz(path: Path, arrays: Mapping[str, Rows]) -> None:
    """Write a compressed ``.npz``, some rows at a time; the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in arrays.items():
            # Every member is dated 1980-01-01, as NumPy does it.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                kind = {"descr": npy.dtype_to_descr(source.dtype), "fortran_order": False, "shape": source.shape}
                npy.write_array_header_1_0(member, kind)
                for _, part in chunks(source):
                    member.write(np.ascontiguousarray(part).data)


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Rows:
    """Return a large member: as it lies in the archive, or unpacked. Its checksum is checked in both cases."""
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member)
        if fortran or dtype.hasobject:  # rows lie nowhere together, or are pickles, which NumPy refuses
            with archive.open(info) as again:
                array: Rows = npy.read_array(again, allow_pickle=False)
                return array
        start = member.tell()
        if info.file_size - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{info.filename} is cut off")
        if info.compress_type == zipfile.ZIP_STORED:
            for _ in _blocks(member):
                pass
            return InFile(OwnFile(path), _start(path, info) + start, dtype, shape)
        unpacked = temporary()
        for block in _blocks(member):
            write(unpacked, np.frombuffer(block, np.uint8))
        return InFile(unpacked, 0, dtype, shape)


def _header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(member)
    if version == (1, 0):
        return npy.read_array_header_1_0(member)
    if version == (2, 0):
        return npy.read_array_header_2_0(member)
    raise ValueError(f"version {version} of .npy is not read")


def _blocks(member: Any) -> Iterator[bytes]:
    while block := member.read(_BLOCK):
        yield block


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        lengths = file.read(_LOCAL)[_LENGTHS]
    return info.header_offset + _LOCAL + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
