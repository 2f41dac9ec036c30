"""From a whole file and a seed to a file with something wrong, in its bytes or in the structure of its format."""

import io
import json
import random
import re
import struct
import zipfile
import zlib
from typing import Any

STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1.5, -0.0, 1e308, "", "\ud800", "\x1b[31m", "x" * 70000,
    "../../x", [], [[]], {}, {"": None}, [None] * 1000, [[[[[[[[]]]]]]]], "NaN", "\0", {"x" * 300: 1}, [10**9] * 8,
]  # fmt: skip
TOML = [
    "nan", "inf", "-1", "10000000000000000000000", '""', '"\\u0000"', "[]", "[[]]", "{}", "1979-05-27", "true",
    "'''\n'''",
]  # fmt: skip
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1, 2**40)


def mutant(data: bytes, kind: str, seed: int) -> bytes:
    """Return a mutant; the same arguments give the same one.

    Args:
        data: The whole file.
        kind: What it is: ``json``, ``jsonl``, ``csv``, ``toml``, ``zip``, ``png``, ``safetensors``, or another, which
            has bytes alone.
        seed: Which mutant.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    structured = _STRUCTURED.get(kind)
    if structured is not None and chance.random() < 0.6:
        return structured(data, chance)
    return damaged(data, chance)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes that are flipped, overwritten, cut off, doubled, left out, or put elsewhere."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8, 40))):
        if not changed:
            break
        place, length = chance.randrange(len(changed)), min(len(changed), chance.choice((1, 2, 4, 8, 16, 64, 1024)))
        match chance.randrange(8):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            case 2:
                del changed[place:]
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[place : place + length]
            case 5:
                other = chance.randrange(len(changed))
                changed[place : place + length] = changed[other : other + length]
            case 6:
                width = chance.choice(["<H", "<I", "<Q", ">I"])
                number = chance.choice(_NUMBERS) & (2 ** (8 * struct.calcsize(width)) - 1)
                changed[place : place + struct.calcsize(width)] = struct.pack(width, number)
            case _:
                changed[place:place] = chance.randbytes(length)
    return bytes(changed)


def _json(data: bytes, chance: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except ValueError:
        return damaged(data, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        value = _changed(value, chance)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with one value inside replaced, left out, doubled or renamed."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return chance.choice(STRANGE)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = chance.choice(keys)
    copy: Any = value.copy()
    match chance.randrange(10):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[str(chance.choice(STRANGE))[:500]] = copy.pop(key)
        case 1:
            copy.append(copy[key])
        case 2:
            copy[key] = value[chance.choice(keys)]
        case _:
            copy[key] = _changed(value[key], chance)
    return copy


def _toml(data: bytes, chance: random.Random) -> bytes:
    lines = data.decode("utf-8", "replace").split("\n")
    number = chance.randrange(len(lines))
    key, equals, _ = lines[number].partition("=")
    if equals and chance.random() < 0.8:
        value = chance.choice([*TOML, json.dumps(chance.choice(STRANGE), ensure_ascii=True)])
        lines[number] = f"{key}= {value}"
    elif chance.random() < 0.5:
        lines.insert(chance.randrange(len(lines)), lines[number])
    else:
        del lines[number]
    return "\n".join(lines).encode()


def _zip(data: bytes, chance: random.Random) -> bytes:
    """Return an archive whose checksums are right and whose members are not."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError):
        return damaged(data, chance)
    number = chance.randrange(len(members))
    name, content = members[number]
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    match chance.randrange(8):
        case 0:
            del members[number]
        case 1:
            members[number] = (chance.choice(("../x", "/x", "x" * 300, "", name + "\0")), content)
        case 2:
            members.append((name, content))
        case 3:
            members[number] = (name, bytes(chance.choice((0, 10**6))))
        case _:
            members[number] = (name, mutant(content, "json" if content[:1] == b"{" else "", chance.randrange(2**32)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            # A name that is there already is what some archives have.
            archive.writestr(zipfile.ZipInfo(name or "x"), content, method)
    return buffer.getvalue()


def _png(data: bytes, chance: random.Random) -> bytes:
    """Return a picture whose checksums are right and one of whose chunks is not."""
    place = 8
    chunks = []
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    number = chance.randrange(len(chunks))
    name, content = chunks[number]
    chunks[number] = (name, damaged(content, chance))
    if chance.random() < 0.3:
        chunks.insert(number, (name, content))
    parts = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return data[:8] + b"".join(parts)


def _safetensors(data: bytes, chance: random.Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = mutant(data[8 : 8 + length], "json", chance.randrange(2**32))
    claimed = len(header) if chance.random() < 0.9 else chance.choice(_NUMBERS)
    return struct.pack("<Q", claimed & (2**64 - 1)) + header + data[8 + length :]


def _jsonl(data: bytes, chance: random.Random) -> bytes:
    """Return a table with one line changed, left out or doubled."""
    lines = data.splitlines()
    number = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[number]
        case 1:
            lines.insert(chance.randrange(len(lines)), lines[number])
        case _:
            lines[number] = _json(lines[number], chance)
    return b"\n".join(lines)


def _csv(data: bytes, chance: random.Random) -> bytes:
    """Return a table with one cell changed, or more or fewer of them in a line."""
    lines = [line.split(b",") for line in data.splitlines()]
    line = chance.choice(lines)
    place = chance.randrange(len(line))
    match chance.randrange(6):
        case 0:
            del line[place]
        case 1:
            line.insert(place, line[place])
        case 2:
            line[place] = chance.choice((b'"', b"\0", b'"\n', b"\r", b";", b"\xff", b"\xef\xbb\xbf"))
        case _:
            line[place] = str(chance.choice(STRANGE)).encode("utf-8", "surrogatepass")
    return b"\n".join(b",".join(cells) for cells in lines)


_STRUCTURED = {
    "json": _json, "jsonl": _jsonl, "csv": _csv, "toml": _toml, "zip": _zip, "png": _png, "safetensors": _safetensors,
}  # fmt: skip


def words(text: str) -> str:
    """Return a message without what differs from mutant to mutant, so that findings of one kind are one."""
    return re.sub(r"\d+|'[^']*'", "_", text)[:160]
