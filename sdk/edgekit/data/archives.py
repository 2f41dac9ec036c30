"""Arrays in ``.npz``, ``.npy`` and ``.safetensors`` files: small ones in memory, large ones where they lie.

What is compressed is unpacked to a temporary file once. No pickles are read. What a file says of its sizes is held
against its bytes before anything is unpacked or allocated.
"""

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from safetensors import safe_open
from safetensors.numpy import load_file

from edgekit.data.gathered import temporary, write
from edgekit.data.rows import InFile, OwnFile, Rows, chunks

_BLOCK = 2**20
# Names of arrays take no more: a header of millions of names is no data.
_HEADER = 2**20
# Data of over a gigabyte that is packed to less than a hundredth tells nothing.
_PLENTY, _RATIO = 10**9, 100
# What follows the fixed part of a member's own header are its name and extra fields of these lengths.
_LOCAL, _LENGTHS = 30, slice(26, 30)
# The record at the end of an archive: its signature, the length of all but its comment, and where the size of the list
# of members stands in it.
_END, _END_LENGTH, _LIST_SIZE = b"PK\x05\x06", 22, slice(12, 16)
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
    header = _header_of_safetensors(path)
    if path.stat().st_size <= held:
        return {**load_file(path)}
    with safe_open(path, "numpy"):
        pass  # checks the header
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    found: dict[str, Rows] = {}
    for name, tensor in header.items():
        dtype, shape = np.dtype(_DTYPES[tensor["dtype"]]), tuple(tensor["shape"])
        found[name] = InFile(OwnFile(path), start + tensor["data_offsets"][0], dtype, shape)
    return found


def names_in_safetensors(path: Path) -> list[str]:
    """Return the names of the arrays of a ``.safetensors`` file, which are not read."""
    return list(_header_of_safetensors(path))


def of_npz(path: Path, held: int) -> dict[str, Rows]:
    """Return the arrays of an ``.npz`` file.

    Args:
        path: The file.
        held: Bytes of an array that is read into memory.
    """
    _check_list(path)
    found: dict[str, Rows] = {}
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        _check_bomb(path, sum(info.file_size for info in members))
        for info in members:
            # So that many small arrays take no more than one.
            array = _member(path, archive, info, held)
            held -= 0 if isinstance(array, InFile) else info.file_size
            found[info.filename.removesuffix(".npy")] = array
    return found


def names_in_npz(path: Path) -> list[str]:
    """Return the names of the arrays of an ``.npz`` file, which are not read."""
    _check_list(path)
    with zipfile.ZipFile(path) as archive:
        return [info.filename.removesuffix(".npy") for info in archive.infolist() if not info.is_dir()]


def of_npy(path: Path, held: int) -> Rows:
    """Return the array of an ``.npy`` file.

    Args:
        path: The file.
        held: Bytes of an array that is read into memory; a larger one stays where it lies.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, path.stat().st_size)
        start = file.tell()
        if not fortran and path.stat().st_size > held:
            return InFile(OwnFile(path), start, dtype, shape)
        file.seek(0)
        array: Rows = npy.read_array(file, allow_pickle=False)
        return array


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


def _header_of_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER:
            raise ValueError(f"its header would take {length} bytes: it is no file of a few arrays")
        header: dict[str, Any] = json.loads(file.read(length))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _check_list(path: Path) -> None:
    """Refuse an archive whose list of members alone takes more than a few arrays need."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _BLOCK))
        _, found, end = file.read().rpartition(_END)
    size = int.from_bytes((found + end)[_LIST_SIZE], "little") if found else 0
    if size > _HEADER:
        raise ValueError(f"its list of members takes {size} bytes: it is no file of a few arrays")


def _check_bomb(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > max(_PLENTY, _RATIO * packed):
        raise ValueError(
            f"its {packed / 1e6:.1f} MB unpack to {unpacked / 1e9:.1f} GB, nearly all of one value: it is no data"
        )


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, held: int) -> Rows:
    """Return a member: in memory, as it lies in the archive, or unpacked. Its checksum is checked in all cases."""
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member, info.file_size, info.filename)
        # Of another order rows lie nowhere together.
        if fortran or info.file_size <= held:
            with archive.open(info) as again:
                array: Rows = npy.read_array(again, allow_pickle=False)
                again.read()  # the checksum is looked at behind the last byte
                return array
        start = member.tell()
        if info.compress_type == zipfile.ZIP_STORED:
            for _ in _blocks(member):
                pass
            return InFile(OwnFile(path), _start(path, info) + start, dtype, shape)
        _check_room(info)
        unpacked = temporary()
        for block in _blocks(member):
            write(unpacked, np.frombuffer(block, np.uint8))
        return InFile(unpacked, 0, dtype, shape)


def _header(file: IO[bytes], size: int, name: str = "it") -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read what stands before the values of an array, and hold it against the bytes that are there."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of .npy is not read")
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are pickles: none are read")
    if min(shape, default=0) < 0 or size - file.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} is cut off, or holds other than its header says ({dtype} of shape {shape})")
    return shape, fortran, dtype


def _check_room(info: zipfile.ZipInfo) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if info.file_size > free:
        raise ValueError(
            f"{info.filename} takes {info.file_size / 1e9:.1f} GB unpacked, and {folder} has {free / 1e9:.1f} GB left"
        )


def _blocks(member: IO[bytes]) -> Iterator[bytes]:
    while block := member.read(_BLOCK):
        yield block


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        lengths = file.read(_LOCAL)[_LENGTHS]
    return info.header_offset + _LOCAL + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
