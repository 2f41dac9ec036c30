"""Files of ``torch.save``, new and legacy: their pickle as values, and where the numbers of each storage lie."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgekit.base import zips
from edgekit.base.telling import TORCH_MAGIC
from edgekit.base.zips import Member, ZipError
from edgekit.model.weights import machine
from edgekit.model.weights.machine import MOST_BYTES, Pickled
from edgekit.model.weights.values import Global, PickleError, Storage, printable

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1,
    "bool": 1, "complex64": 8, "complex128": 16, "complex32": 4, "uint16": 2, "uint32": 4, "uint64": 8, "bytes": 1,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
_SMALL = 2**20
_STARTS = (2**22, MOST_BYTES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the bytes of a storage lie in the file."""

    start: int
    packed: int
    size: int
    deflated: bool


@dataclass(frozen=True, kw_only=True)
class TorchFile:
    """What a file of ``torch.save`` holds; tensors are described, and stay where they lie."""

    path: Path
    value: Any
    globals: tuple[Global, ...]
    places: Mapping[str, Place]


def read_zip(path: Path) -> TorchFile:
    """Read a file of torch 1.6 or later.

    Raises:
        PickleError, ZipError: If it is damaged, or unpacks to more than four times the file.
        OSError: If it cannot be read.
    """
    members = zips.members(path)
    entries = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if not entries:
        raise ZipError("it has no data.pkl")
    top = min(entries, key=len).removesuffix("data.pkl")
    if any(member.encrypted for member in members.values()):
        raise ZipError("it is encrypted")
    zips.check_growth(members, path.stat().st_size, _SMALL)
    with path.open("rb") as file:
        if f"{top}byteorder" in members and _content(file, members[f"{top}byteorder"], 16) != b"little":
            raise ZipError("its numbers are big-endian")
        pickled = machine.read(_content(file, members[f"{top}data.pkl"], MOST_BYTES))
        places = {key: _place(file, members, f"{top}data/{key}", one) for key, one in pickled.storages.items()}
    return TorchFile(path=path, value=pickled.value, globals=pickled.globals, places=places)


def read_legacy(path: Path) -> TorchFile:
    """Read a file as torch wrote it before 1.6: five pickles, then the storages one after the other.

    Raises:
        PickleError: If it is damaged.
        OSError: If it cannot be read.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        for most in _STARTS:
            file.seek(0)
            try:
                pickles = _legacy_pickles(file.read(most))
                break
            except PickleError:
                if total <= most or most == _STARTS[-1]:
                    raise
        _, _, system, content, keys = pickles
        if isinstance(system.value, dict) and system.value.get("little_endian") is False:
            raise PickleError("its numbers are big-endian")
        if not isinstance(keys.value, list) or not all(isinstance(key, str) for key in keys.value):
            raise PickleError("its list of storages is damaged")
        places, start = {}, keys.end
        for key in keys.value:
            storage = content.storages.get(key)
            file.seek(start)
            numel = int.from_bytes(file.read(8), "little")
            if storage is None or numel != storage.numel or key in places:
                raise PickleError(f"its storage {printable(key)} is damaged")
            size = numel * ITEM_BYTES[storage.dtype]
            if start + 8 + size > total:
                raise PickleError(f"it is cut off in storage {printable(key)}")
            places[key] = Place(start=start + 8, packed=size, size=size, deflated=False)
            start += 8 + size
    if missing := [key for key in content.storages if key not in places]:
        raise PickleError(f"its storage {printable(missing[0])} is missing")
    return TorchFile(path=path, value=content.value, globals=content.globals, places=places)


def content(file: BinaryIO, place: Place) -> bytes:
    """Return the bytes of a storage, unpacked.

    Raises:
        ZipError: If they are not as many as the archive says.
    """
    file.seek(place.start)
    return _unpacked(file.read(place.packed), place.size) if place.deflated else file.read(place.size)


def _legacy_pickles(data: bytes) -> list[Pickled]:
    found: list[Pickled] = []
    for _ in range(5):
        found.append(machine.read(data, found[-1].end if found else 0))
    if TORCH_MAGIC not in data[: found[0].end]:
        raise PickleError("it does not start with torch's number")
    return found


def _place(file: BinaryIO, members: Mapping[str, Member], name: str, storage: Storage) -> Place:
    member = members.get(name)
    if member is None:
        raise ZipError(f"its {printable(name)} is missing")
    _check_method(member)
    wanted = storage.numel * ITEM_BYTES[storage.dtype]
    if member.size < wanted:
        raise ZipError(f"its {printable(name)} has {member.size:,} bytes and should have {wanted:,}")
    deflated = member.method == zips.DEFLATED
    return Place(start=zips.start_of(file, member), packed=member.packed, size=member.size, deflated=deflated)


def _check_method(member: Member) -> None:
    if member.method not in (zips.STORED, zips.DEFLATED):
        raise ZipError(f"its {printable(member.name)} is compressed in a way that torch does not read")
    if member.method == zips.STORED and member.packed != member.size:
        raise ZipError(f"the size of its {printable(member.name)} is damaged")


def _content(file: BinaryIO, member: Member, most: int) -> bytes:
    _check_method(member)
    if member.size > most:
        raise ZipError(f"its {printable(member.name)} unpacks to {member.size:,} bytes, more than {most:,}")
    start = zips.start_of(file, member)
    file.seek(start)
    data = file.read(member.packed)
    return _unpacked(data, member.size) if member.method == zips.DEFLATED else data


def _unpacked(data: bytes, size: int) -> bytes:
    worker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = worker.decompress(data, size + 1)
    except zlib.error as error:
        raise ZipError(f"it is damaged: {error}") from error
    if len(found) != size:
        raise ZipError("it unpacks to another size than it says")
    return found
