"""Checkpoints that mean harm: each would run something, or take memory or time, if it were loaded carelessly."""

import gzip
import io
import json
import marshal
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
STATE = {"first.weight": torch.rand(30, 3), "first.bias": torch.rand(30)}


def text(value: str) -> bytes:
    """Return the operation that pushes a text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """Return the operations that call a function with what the arguments push."""
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


def packed(data: bytes, method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """Return a file of torch around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/version", b"3\n")
        archive.writestr("net/byteorder", b"little")
        for name, content in members.items():
            archive.writestr(f"net/data/{name.removeprefix('_')}", content)
    return buffer.getvalue()


def legacy(data: bytes) -> bytes:
    """Return a file as old torch wrote it around a pickle."""
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True}, protocol=2)
    return MAGIC + pickle.dumps(1001, protocol=2) + system + data + pickle.dumps([], protocol=2)


def tensor(shape: bytes = b"K\x02\x85", stride: bytes = b"K\x01\x85", offset: bytes = b"K\x00", numel: bytes = b"K\x02",
           hooks: bytes = b"ccollections\nOrderedDict\n)R") -> bytes:  # fmt: skip
    """Return the operations that push a tensor of the storage 0."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + numel + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride + b"\x89" + hooks + b"tR"


def state(value: bytes, name: str = "first.bias") -> bytes:
    """Return a pickle of a dict with one entry."""
    return b"\x80\x02}" + text(name) + value + b"s."


def calls(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield operations that would make a file, by one way each."""
    touch = text(f"touch {canary}")
    code = f"open({canary!r}, 'w').close()"
    yield "os.system", call("os", "system", touch)
    yield "posix.system", call("posix", "system", touch)
    yield "eval", call("builtins", "eval", text(code))
    yield "exec, Python 2", call("__builtin__", "exec", text(code))
    yield "popen", call("subprocess", "Popen", b"(" + text("touch") + text(canary) + b"l")
    yield (
        "getattr chain",
        (
            b"cbuiltins\ngetattr\n("
            + call("builtins", "__import__", text("os"))
            + text("system")
            + b"tR("
            + touch
            + b"tR"
        ),
    )
    yield "attrgetter", call("operator", "attrgetter", text("system")) + b"(cos\n__dict__\ntR"
    yield "import", call("importlib", "import_module", text("this"))
    yield "runpy", call("runpy", "run_path", text(canary))
    yield "numpy", call("numpy.testing._private.utils", "runstring", text(code), b"}")
    yield "hub", call("torch.hub", "load", text("x/y"), text("z"))
    yield "jit", call("torch.jit", "load", text(canary))
    yield (
        "pickle in pickle",
        call("pickle", "loads", b"C" + bytes([len(touch) + 14]) + call("os", "system", touch)[:14] + touch),
    )
    yield "torch's own loads", call("torch.storage", "_load_from_bytes", b"C\x04abcd")
    yield (
        "marshal",
        call(
            "types", "FunctionType", call("marshal", "loads", bytes_of(marshal.dumps(compile(code, "x", "exec")))), b"}"
        ),
    )
    yield "partial", call("functools", "partial", b"cos\nsystem\n", touch) + b")R"
    yield "map", call("builtins", "list", call("builtins", "map", b"cos\nsystem\n", b"(" + touch + b"l"))
    yield "instance", b"(" + touch + b"ios\nsystem\n"
    yield "object", b"(cos\nsystem\n" + touch + b"o"
    yield "new object", b"cos\nsystem\n" + touch + b"\x85\x81"
    yield "new object with keywords", b"cos\nsystem\n" + touch + b"\x85}\x92"
    yield (
        "setstate",
        b"ctorch.nn.modules.module\nModule\n)\x81}" + text("__setstate__") + b"cos\nsystem\nsb" + touch + b"b",
    )
    yield "stack global", text("os") + text("system") + b"\x93" + touch + b"\x85R"


def bytes_of(data: bytes) -> bytes:
    """Return the operation that pushes bytes."""
    return b"B" + struct.pack("<I", len(data)) + data


def zip_bomb(folder: Path, name: str, lie: bool) -> Path:
    """Write an archive of which two gigabytes of zeros unpack; with ``lie`` the directory says that they are few."""
    worker = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = worker.compress(bytes(2**20)) + worker.flush(zlib.Z_FULL_FLUSH)
    data = block * 2048 + worker.flush()
    size = 1000 if lie else 2048 * 2**20
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), size, len(name), 0) + name.encode()
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(data), size, len(name), 0, 0, 0, 0, 0, 0)
    entry += name.encode()
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local) + len(data), 0)
    (folder / "bomb.pth").write_bytes(local + data + entry + end)
    return folder / "bomb.pth"


def nested(levels: int) -> bytes:
    """Return an archive in an archive in an archive."""
    data = packed(b"N.")
    for _ in range(levels):
        data = packed(data, zipfile.ZIP_DEFLATED, _0=data)
    return data


def tarred(data: bytes) -> bytes:
    """Return a file as the first torch wrote it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("sys_info", b"}."), ("pickle", data), ("tensors", b""), ("storages", b"\x80\x02K\x00.")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        member = tarfile.TarInfo("../../escape")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Return an archive with names changed to others of that length."""
    assert len(old) == len(new)
    return data.replace(old, new)


def safetensors(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    """Return a safetensors file with a header, and perhaps another length than it has."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def floods() -> Iterator[tuple[str, bytes]]:
    """Yield pickles of few bytes that ask for much."""
    yield "memo", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "bytearray", b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b"."
    yield "frame", b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N."
    yield "text", b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a."
    yield "number", b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1."
    yield "decimals", b"I" + b"9" * 1_000_000 + b"\n."
    yield "sets", b"\x80\x04" + b"\x8f" * 2_000_000 + b"."
    yield "dicts", b"\x80\x02" + b"}NNs" * 500_000 + b"."
    yield "memos", b"\x80\x04" + b"]\x94" * 1_000_000 + b"."
    yield "deep tuples", b"\x80\x02N" + b"\x85" * 300_000 + b"."
    yield "deep key", b"\x80\x02}N" + b"\x85" * 300_000 + b"Ns."
    yield "laughs", b"\x80\x02]q\x00" + b"".join(b"(" + b"h%c" % n * 10 + b"lq%c" % (n + 1) for n in range(60)) + b"."
    yield "cycle", b"\x80\x02}q\x00" + text("model") + b"h\x00s."
    yield "many names", b"\x80\x02}(" + b"".join(text(f"w{n}") + b"N" for n in range(600_000)) + b"u."
    yield "bytearray by call", state(call("builtins", "bytearray", b"J\xff\xff\xff\x7f"))
    yield "large shape", state(tensor(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"K\x00K\x00\x86"))
    yield "repeated", state(tensor(b"J\xff\xff\xff\x7f\x85", b"K\x00\x85"))
    yield "negative stride", state(tensor(stride=b"J\xff\xff\xff\xff\x85"))
    yield "far offset", state(tensor(offset=b"\x8a\x08" + b"\xff" * 7 + b"\x3f"))
    yield "large storage", state(tensor(numel=b"\x8a\x06" + b"\xff" * 5 + b"\x7f"))
    yield "many dimensions", state(tensor(b"(" + b"K\x01" * 2000 + b"t", b"(" + b"K\x01" * 2000 + b"t"))
    yield "no name", b"\x80\x02}N" + tensor() + b"s."
    yield "nothing", b"."
    yield "no storage", b"\x80\x02" + call("torch._utils", "_rebuild_tensor_v2", b"N", b"K\x01") + b"."
    yield "no sizes", state(tensor(b"(" + text("a") + b"t"))


def write(folder: Path, canary: str) -> dict[str, Path]:
    """Write hostile files into a folder and return them by name."""
    files: dict[str, Path] = {}

    def add(name: str, content: bytes, file: str = "") -> None:
        path = folder / (file or f"{len(files)}.pth")
        path.write_bytes(content)
        files[name] = path

    for name, work in calls(canary):
        add(f"{name} alone", packed(b"\x80\x02" + work + b"."))
        add(
            f"{name} beside weights",
            packed(b"\x80\x02}(" + text("w") + tensor() + text("x") + work + b"u.", _0=bytes(8)),
        )
        add(f"{name} in an old file", legacy(b"\x80\x02" + work + b"."))
    evil = call("os", "system", text(f"touch {canary}"))
    add("as a key", packed(b"\x80\x02}" + evil + b"Ns."))
    add("as a storage", packed(b"\x80\x02(" + text("storage") + evil + text("0") + text("cpu") + b"K\x02tQ."))
    add("as a shape", packed(state(tensor(evil))))
    add("as hooks", packed(state(tensor(hooks=evil)), _0=bytes(8)))
    add("as a plain pickle", b"\x80\x02" + evil + b".")
    add("as text", evil + b".")
    add("compressed", gzip.compress(b"\x80\x02" + evil + b"."))
    add("old tar", tarred(b"\x80\x02" + evil + b"."))
    add("nested", nested(12))
    for name, flood in floods():
        add(f"{name}, flood", packed(flood, _0=bytes(8)))
    for name, flood in list(floods())[:4]:
        add(f"{name}, old flood", legacy(flood))
    good = packed(state(tensor()), _0=bytes(8))
    add("traversal", renamed(good, b"net/data", b"../../xx"))
    add("absolute", renamed(good, b"net/", b"/tmp"))
    add("null", renamed(good, b"net/", b"n\0t/"))
    add("two pickles", good.replace(b"net/version", b"net/data.pkl"[:11]))
    add("deflated weights", packed(state(tensor(numel=b"J\x00\x00\x00\x10")), zipfile.ZIP_DEFLATED, _0=bytes(2**26)))
    add("giant header", safetensors(b"{", 2**62))
    add("large header", safetensors(b"{" + b" " * 2**24 + b"}"))
    add("deep header", safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))
    add("header of numbers", safetensors(b'{"a":' + b"9" * 100_000 + b"}"))
    entry = {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}
    add("large shape in a header", safetensors(json.dumps({"first.bias": entry}).encode(), data=bytes(8)))
    many = {f"w{n}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in range(150_000)}
    add("overlapping tensors", safetensors(json.dumps(many).encode(), data=bytes(4)))
    add("index of itself", b'{"weight_map": {"a": "self.index.json"}}', "self.index.json")
    add("index out of the folder", b'{"weight_map": {"a": "../../../../etc/passwd"}}', "out.index.json")
    add("index of a device", b'{"weight_map": {"a": "null"}}', "device.index.json")
    for name, target in {"null": "/dev/null", "zero": "/dev/zero", "passwd": "/etc/passwd", "loop": "loop"}.items():
        (folder / name).symlink_to(target)
        files[f"link to {target}"] = folder / name
    os.mkfifo(folder / "pipe")
    files["pipe"] = folder / "pipe"
    for lie in (False, True):
        (folder / f"bomb-{lie}").mkdir()
        files[f"bomb, lie {lie}"] = zip_bomb(folder / f"bomb-{lie}", "net/data.pkl", lie)
    return files


def mutated(data: bytes, chance: Callable[[int], int]) -> bytes:
    """Return bytes with a few flipped, cut out or put in.

    Args:
        data: The bytes.
        chance: Returns a number below the one it is given.
    """
    changed = bytearray(data)
    for _ in range(1 + chance(4)):
        place = chance(len(changed)) if changed else 0
        match chance(5):
            case 0:
                changed[place : place + 1] = bytes([chance(256)])
            case 1:
                del changed[place : place + 1 + chance(16)]
            case 2:
                changed[place:place] = bytes(chance(256) for _ in range(1 + chance(4)))
            case 3:
                changed[place : place + 4] = struct.pack("<I", (0, 1, 2**31 - 1, 2**32 - 1)[chance(4)])
            case 4:
                del changed[max(place, len(changed) - 200) :]
    return bytes(changed)
