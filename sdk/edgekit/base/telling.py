"""Tell what a file is: the first bytes, the names inside archives, and the files of a folder."""

import json
import re
import stat
import tomllib
from pathlib import Path

from edgekit.base import protobuf, zips
from edgekit.base.filekind import FileKind
from edgekit.errors import SourceError

TORCH_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that files of torch before 1.6 begin with, pickled, behind the protocol."""
_HEAD = 2**13
_TEXT = 2**20
_FILES = 10_000
_MAGIC: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", FileKind.LFS_POINTER),
    (0, b"\x89HDF\r\n\x1a\n", FileKind.HDF5),
    (0, b"\x93NUMPY", FileKind.NUMPY),
    (0, b"GGUF", FileKind.GGUF),
    (0, b"ggml", FileKind.GGUF),
    (0, b"lmgg", FileKind.GGUF),
    (0, b"tjgg", FileKind.GGUF),
    (0, b"PAR1", FileKind.PARQUET),
    (0, b"\x1f\x8b", FileKind.COMPRESSED),
    (0, b"BZh", FileKind.COMPRESSED),
    (0, b"\xfd7zXZ\0", FileKind.COMPRESSED),
    (0, b"\x28\xb5\x2f\xfd", FileKind.COMPRESSED),
    (0, b"\x04\x22\x4d\x18", FileKind.COMPRESSED),
    (0, b"x\x01", FileKind.COMPRESSED),
    (0, b"x\x9c", FileKind.COMPRESSED),
    (0, b"x\xda", FileKind.COMPRESSED),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind.ARCHIVE),
    (0, b"Rar!\x1a\x07", FileKind.ARCHIVE),
    (0, b"\x89PNG\r\n\x1a\n", FileKind.PICTURE),
    (0, b"\xff\xd8\xff", FileKind.PICTURE),
    (0, b"GIF8", FileKind.PICTURE),
    (0, b"\x7fELF", FileKind.PROGRAM),
    (0, b"MZ", FileKind.PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", FileKind.PROGRAM),
    (4, b"TFL3", FileKind.TFLITE),
    (4, b"ET12", FileKind.PTE),
    (4, b"ORTM", FileKind.ORT),
    (257, b"ustar", FileKind.TAR),
)
_LEVELDB_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def kind_of(path: Path) -> FileKind:
    """Return what a file or a folder is, whatever its name; at most a megabyte of it is read, and nothing unpacked.

    A torch file may be damaged further inside; which of a state dict, a checkpoint and a whole model it is stands in
    its pickle.

    Raises:
        SourceError: If there is nothing, if it cannot be read, or if it is a pipe or a device.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _of_folder(path)
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path} is no file but a pipe or a device.", hint="Give the file of the weights.")
        return _of_file(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise SourceError(f"{path} cannot be read: {error}", hint="Correct the path.") from error


def _of_file(path: Path) -> FileKind:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - len(_LEVELDB_END)))
        end = file.read()
    if not head:
        return FileKind.EMPTY
    for start, magic, kind in _MAGIC:
        if head[start : start + len(magic)] == magic:
            return _of_tar(path) if kind is FileKind.TAR else kind
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _of_zip(path)
    if head[8:9] == b"{" and (int.from_bytes(head[:8], "little") < 2**32 or path.suffix.lower() == ".safetensors"):
        return FileKind.SAFETENSORS
    if (found := _of_pickle(head)) is not None:
        return found
    if end == _LEVELDB_END or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return FileKind.TENSORFLOW_CHECKPOINT
    if (text := _text(path, head)) is not None:
        return _of_text(path, text)
    tar = _of_tar(path, FileKind.UNKNOWN)
    return protobuf.kind_of(path) if tar is FileKind.UNKNOWN else tar


def _of_pickle(head: bytes) -> FileKind | None:
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        body = head[2:]
        body = body[9:] if body[:1] == b"\x95" else body
        return FileKind.TORCH_LEGACY if body.startswith(TORCH_MAGIC) else FileKind.PICKLE
    # Protocols 0 and 1 have no mark; what they begin with is a list, a dict, a tuple or a global, and its memo.
    old = re.match(rb"(\(l|\(d|\(t|\(i|\]q|\}q|\)\.|c[A-Za-z_][\w.]*\n[\w.]+\n|L\d{20,}L\n\.)", head)
    return FileKind.PICKLE if old else None


def _of_zip(path: Path) -> FileKind:
    try:
        names = [name.lstrip("/") for name in zips.members(path)]
    except zips.ZipError:
        return FileKind.TORCH if _torch_start(path) else FileKind.ZIP  # cut off: its reader says how
    tops = {name.partition("/")[0] for name in names}
    inner = {name.partition("/")[2] for name in names} if len(tops) == 1 else set()
    everywhere = inner | set(names)
    if "archive_format" in everywhere or "models/model.json" in everywhere:
        return FileKind.EXPORTED
    if {"serialized_exported_program.json", "serialized_state_dict.pt"} & everywhere:
        return FileKind.EXPORTED_OLD
    if "data.pkl" in everywhere:
        script = "constants.pkl" in everywhere or any(name.startswith("code/") for name in everywhere)
        return FileKind.TORCHSCRIPT if script else FileKind.TORCH
    if ".data/extern_modules" in everywhere:
        return FileKind.TORCH_PACKAGE
    if "config.json" in everywhere and {"model.weights.h5", "metadata.json"} & everywhere:
        return FileKind.KERAS
    if any(name.endswith("Manifest.json") for name in everywhere) and any(
        name.endswith((".mlmodel", "weight.bin")) for name in everywhere
    ):
        return FileKind.COREML
    return FileKind.NPZ if names and all(name.endswith(".npy") for name in names) else FileKind.ZIP


def _torch_start(path: Path) -> bool:
    with path.open("rb") as file:
        return b"/data.pkl" in file.read(512)


def _of_tar(path: Path, otherwise: FileKind = FileKind.TAR) -> FileKind:
    """Look at the names of the first few members: torch's first format was a tar archive, written without a mark."""
    names = []
    with path.open("rb") as file:
        for _ in range(8):
            header = file.read(512)
            length = re.fullmatch(rb"[0-7]{1,12}", header[124:136].strip(b"\0 "))
            if len(header) < 512 or length is None or not header[:1].strip(b"\0"):
                break
            names.append(header[:100].rstrip(b"\0").removeprefix(b"./"))
            file.seek(-(-int(length[0], 8) // 512) * 512, 1)
    if {b"storages", b"tensors", b"pickle"} & set(names):
        return FileKind.TORCH_TAR
    return FileKind.TAR if names and otherwise is FileKind.TAR else otherwise


def _text(path: Path, head: bytes) -> str | None:
    if re.search(rb"[\0-\x08\x0e-\x1a]", head):
        return None
    with path.open("rb") as file:
        data = file.read(_TEXT)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = len(data) == _TEXT and error.start > _TEXT - 4
        return data[: error.start].decode("utf-8-sig") if cut else None


def _of_text(path: Path, text: str) -> FileKind:
    start = text.lstrip()[:200].lower()
    if re.match(r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype html|html|head|body|title)", start, re.DOTALL):
        return FileKind.HTML
    if start.startswith("<"):
        return FileKind.XML
    if start[:1] == "{" or re.match(r"\[\s*[\[{\"\d\]-]", start):
        if '"weight_map"' in text or path.name.endswith(".index.json"):
            return FileKind.SHARDS
        return FileKind.JSON
    if path.suffix.lower() == ".py" or re.search(r"^(import|from) [\w.]+|^def \w+\(|^class \w+", text, re.MULTILINE):
        return FileKind.PYTHON
    if len(text) < _TEXT and _parses(text):
        return FileKind.TOML
    return FileKind.TEXT


def _parses(text: str) -> bool:
    if not re.search(r"^\s*\[[^\]]+\]|^[\w.-]+ *=", text, re.MULTILINE):
        return False
    try:
        return bool(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError):
        return False


def _of_folder(path: Path) -> FileKind:
    names = set()
    for number, entry in enumerate(path.iterdir()):
        if number == _FILES:
            break
        names.add(entry.name)
    weights = any(re.search(r"\.(safetensors|bin|pth?|ckpt)$|\.index\.json$", name) for name in names)
    if "model_index.json" in names:
        return FileKind.DIFFUSERS
    if "config.json" in names and (weights or _names_a_model(path / "config.json")):
        return FileKind.HUGGING_FACE
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        return FileKind.SAVED_MODEL
    if "Manifest.json" in names or "coremldata.bin" in names or path.suffix in (".mlpackage", ".mlmodelc"):
        return FileKind.COREML
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return FileKind.TORCH_SHARDS
    if "data.pkl" in names and ("version" in names or "data" in names):
        return FileKind.TORCH_FOLDER
    return FileKind.FOLDER


def _names_a_model(config: Path) -> bool:
    try:
        if not config.is_file() or config.stat().st_size > _TEXT:
            return False
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool({"model_type", "architectures"} & found.keys())
