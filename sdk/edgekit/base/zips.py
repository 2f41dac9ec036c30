"""What lies in a zip archive, read from its directory alone and with bounds; nothing is unpacked.

The standard library's reader makes an object of half a kilobyte of every entry, however many there are. Here entries
are counted first, and where a stored entry lies in the file is said, so that it can be mapped.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MOST_ENTRIES = 200_000
"""More is no model: the largest that are published have some ten thousand tensors."""
STORED, DEFLATED = 0, 8
_END, _END64, _LOCATOR, _ENTRY, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
PROGRAM_ROOM = 500 * 10**6
"""What a small program may unpack to: its code is text, and packs well."""
_COMMENT = 2**16 + 22
_GROWTH = 4
_DIRECTORY = 2**26


class ZipError(ValueError):
    """An archive that is damaged, or holds more than a reader takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An entry of an archive."""

    name: str
    method: int
    """0: stored as it is, 8: deflated."""
    packed: int
    """Bytes in the archive."""
    size: int
    """Bytes when unpacked, as the directory says."""
    header: int
    """Where its own header starts in the file."""
    encrypted: bool


def members(path: Path) -> Mapping[str, Member]:
    """Return the entries of an archive, by name.

    Raises:
        ZipError: If it is no archive, is damaged or has too many entries, or two of one name.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        total = file.seek(0, 2)
        count, size, start = _directory(file, total)
        if count > MOST_ENTRIES or size > _DIRECTORY:
            raise ZipError(f"it has {count:,} entries, more than {MOST_ENTRIES:,}")
        if start < 0 or start + size > total:
            raise ZipError("its directory lies outside of the file")
        file.seek(start)
        return _entries(file.read(size), count)


def check_growth(found: Mapping[str, Member], total: int, room: int) -> None:
    """Refuse an archive that unpacks to much more than it has: four times as much, and some room for small ones.

    Args:
        found: Its entries.
        total: Its size.
        room: Bytes that it may have beside.

    Raises:
        ZipError: If it does.
    """
    unpacked = sum(member.size for member in found.values())
    if unpacked > _GROWTH * total + room:
        raise ZipError(f"its {total:,} bytes unpack to {unpacked:,}, more than {_GROWTH} times as many")


def start_of(file: BinaryIO, member: Member) -> int:
    """Return where the bytes of an entry start in the file.

    Raises:
        ZipError: If its own header is damaged, or it reaches beyond the end of the file.
    """
    file.seek(member.header)
    local = file.read(30)
    if len(local) < 30 or local[:4] != _LOCAL:
        raise ZipError(f"the header of {member.name} is damaged")
    name, extra = struct.unpack_from("<HH", local, 26)
    start: int = member.header + 30 + name + extra
    if start + member.packed > file.seek(0, 2):
        raise ZipError(f"{member.name} is cut off")
    return start


def _directory(file: BinaryIO, total: int) -> tuple[int, int, int]:
    """Return the number of entries, the bytes of the directory and where it starts."""
    file.seek(max(0, total - _COMMENT))
    tail = file.read()
    place = tail.rfind(_END)
    while place > 0 and place + 22 + int.from_bytes(tail[place + 20 : place + 22], "little") != len(tail):
        place = tail.rfind(_END, 0, place)  # the last one may stand in the comment
    if place < 0 or len(tail) < place + 22:
        raise ZipError("it is cut off: a zip archive ends with a directory")
    count, size, start = struct.unpack_from("<HII", tail, place + 10)
    if 0xFFFF in (count,) or 0xFFFFFFFF in (size, start):
        if place < 20 or tail[place - 20 : place - 16] != _LOCATOR:
            raise ZipError("its end is damaged")
        file.seek(min(struct.unpack_from("<Q", tail, place - 12)[0], total))
        end = file.read(56)
        if len(end) < 56 or end[:4] != _END64:
            raise ZipError("its end is damaged")
        count, size, start = struct.unpack_from("<QQQ", end, 32)
    return count, size, start


def _entries(directory: bytes, count: int) -> dict[str, Member]:
    found: dict[str, Member] = {}
    place = 0
    for _ in range(count):
        if directory[place : place + 4] != _ENTRY or len(directory) < place + 46:
            raise ZipError("its directory is damaged")
        flags, method = struct.unpack_from("<HH", directory, place + 8)
        packed, size, name, extra, comment = struct.unpack_from("<IIHHH", directory, place + 20)
        (header,) = struct.unpack_from("<I", directory, place + 42)
        text = directory[place + 46 : place + 46 + name].decode("utf-8", errors="replace")
        fields = directory[place + 46 + name : place + 46 + name + extra]
        if 0xFFFFFFFF in (packed, size, header):
            size, packed, header = _large(fields, size, packed, header)
        if text in found:
            raise ZipError(f"two entries are called {text}")
        found[text] = Member(
            name=text, method=method, packed=packed, size=size, header=header, encrypted=bool(flags & 1)
        )
        place += 46 + name + extra + comment
    return found


def _large(fields: bytes, *sizes: int) -> tuple[int, int, int]:
    """Return size, packed size and place of an entry that is beyond 4 GB, from its extra fields."""
    place = 0
    while place + 4 <= len(fields):
        kind, length = struct.unpack_from("<HH", fields, place)
        if kind == 1:
            numbers = list(struct.unpack_from(f"<{length // 8}Q", fields[: place + 4 + length], place + 4))
            wide = [size if size != 0xFFFFFFFF or not numbers else numbers.pop(0) for size in sizes]
            return wide[0], wide[1], wide[2]
        place += 4 + length
    raise ZipError("an entry beyond 4 GB does not say how large it is")
