"""What a file is: told by its content whatever its name, at once, without torch."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekit.base import zips
from edgekit.base.filekind import FileKind
from edgekit.base.telling import TORCH_MAGIC, kind_of
from edgekit.errors import SourceError


def zipped(*names: str) -> bytes:
    """Return a zip archive with members of these names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tarred(*names: str, kind: int = tarfile.USTAR_FORMAT, mark: bool = True) -> bytes:
    """Return a tar archive with members of these names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue() if mark else buffer.getvalue().replace(b"ustar", b"\0\0\0\0\0")


def field(number: int, content: bytes | int) -> bytes:
    """Return a field of a protobuf message."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    key = number << 3 | 2
    start = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    return start + bytes([len(content)]) + content


PICKLED = pickle.dumps({"w": 1.5})
SAFE = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
HTML = b"\n <!DOCTYPE html><html><head><title>Sign in</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ARRAY, ARRAYS = io.BytesIO(), io.BytesIO()
np.save(ARRAY, np.ones(3))
np.savez(ARRAYS, a=np.ones(3))

FILES = {
    "torch": (FileKind.TORCH, zipped("net/data.pkl", "net/byteorder", "net/data/0", "net/version")),
    "torch cut off": (FileKind.TORCH, zipped("net/data.pkl", "net/data/0")[:60]),
    "legacy": (FileKind.TORCH_LEGACY, b"\x80\x02" + TORCH_MAGIC + b"\x80\x02M\xe9\x03."),
    "legacy, protocol 4": (FileKind.TORCH_LEGACY, pickle.dumps(0x1950A86A20F9469CFC6C, protocol=4) + b"\x80\x04K\x00."),
    "torch tar": (FileKind.TORCH_TAR, tarred("sys_info", "pickle", "tensors", "storages")),
    "torch tar without a mark": (FileKind.TORCH_TAR, tarred("pickle", "tensors", "storages", mark=False)),
    "torchscript": (FileKind.TORCHSCRIPT, zipped("n/data.pkl", "n/constants.pkl", "n/code/__torch__.py", "n/version")),
    "pt2": (FileKind.EXPORTED, zipped("n/models/model.json", "n/archive_format", "n/byteorder")),
    "old pt2": (
        FileKind.EXPORTED_OLD,
        zipped("serialized_exported_program.json", "serialized_state_dict.pt", "version"),
    ),
    "torch package": (FileKind.TORCH_PACKAGE, zipped("m/.data/extern_modules", "m/net.py")),
    "safetensors": (FileKind.SAFETENSORS, len(SAFE).to_bytes(8, "little") + SAFE + bytes(4)),
    "index": (FileKind.SHARDS, b'{"metadata": {}, "weight_map": {"w": "a.safetensors"}}'),
    "pickle": (FileKind.PICKLE, PICKLED),
    "pickle, protocol 0": (FileKind.PICKLE, pickle.dumps({"w": 1.5}, protocol=0)),
    "pickle of a call, protocol 0": (FileKind.PICKLE, b"cos\nsystem\n(S'true'\ntR."),
    "gzip": (FileKind.COMPRESSED, gzip.compress(PICKLED)),
    "bz2": (FileKind.COMPRESSED, bz2.compress(PICKLED)),
    "xz": (FileKind.COMPRESSED, lzma.compress(PICKLED)),
    "zstd": (FileKind.COMPRESSED, b"\x28\xb5\x2f\xfd" + bytes(20)),
    "zip": (FileKind.ZIP, zipped("readme.txt", "weights.bin")),
    "empty zip": (FileKind.ZIP, zipped()),
    "tar": (FileKind.TAR, tarred("a.txt")),
    "empty": (FileKind.EMPTY, b""),
    "html": (FileKind.HTML, HTML),
    "html behind a comment": (FileKind.HTML, b"\xef\xbb\xbf<!-- saved -->\n<HTML>"),
    "xml": (FileKind.XML, b'<?xml version="1.0"?><net name="openvino"/>'),
    "lfs": (FileKind.LFS_POINTER, POINTER),
    "keras": (FileKind.KERAS, zipped("metadata.json", "config.json", "model.weights.h5")),
    "hdf5": (FileKind.HDF5, b"\x89HDF\r\n\x1a\n" + bytes(100)),
    "tflite": (FileKind.TFLITE, struct.pack("<I", 28) + b"TFL3" + bytes(100)),
    "pte": (FileKind.PTE, struct.pack("<I", 28) + b"ET12" + bytes(100)),
    "gguf": (FileKind.GGUF, b"GGUF" + struct.pack("<IQQ", 3, 0, 0)),
    "onnx": (FileKind.ONNX, field(1, 8) + field(2, b"pytorch") + field(7, b"\x0a\x00") + field(8, b"\x10\x12")),
    "onnx, graph first": (FileKind.ONNX, field(7, b"\x0a\x00") + field(1, 8)),
    "core ml": (FileKind.COREML, field(1, 5) + field(2, b"description") + field(500, b"network")),
    "frozen graph": (FileKind.TENSORFLOW_GRAPH, field(1, b"\x0a\x01a") * 5 + field(4, b"\x08\x01")),
    "saved_model.pb": (FileKind.SAVED_MODEL, field(1, 1) + field(2, b"\x0a\x00")),
    "tensorflow checkpoint": (FileKind.TENSORFLOW_CHECKPOINT, b"\0\0\1" * 40 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"),
    "npy": (FileKind.NUMPY, ARRAY.getvalue()),
    "npz": (FileKind.NPZ, ARRAYS.getvalue()),
    "png": (FileKind.PICTURE, b"\x89PNG\r\n\x1a\n" + bytes(20)),
    "elf": (FileKind.PROGRAM, b"\x7fELF" + bytes(40)),
    "json": (FileKind.JSON, b'{"a": 1}'),
    "toml": (FileKind.TOML, b'[model]\nname = "net"\n'),
    "python": (FileKind.PYTHON, b"import torch\nclass Net: pass\n"),
    "text": (FileKind.TEXT, b"Not found\n"),
    "text in German": (FileKind.TEXT, "größer\n".encode()),
    "noise": (FileKind.UNKNOWN, bytes(range(200, 256)) * 20),
    "zeros": (FileKind.UNKNOWN, bytes(4096)),
}


@pytest.mark.parametrize("suffix", ["", ".PTH", ".safetensors"])
@pytest.mark.parametrize("name", FILES)
def test_files_are_told_by_their_content(tmp_path: Path, name: str, suffix: str) -> None:
    """Whatever they are called."""
    kind, content = FILES[name]
    (tmp_path / f"weights{suffix}").write_bytes(content)
    assert kind_of(tmp_path / f"weights{suffix}") is kind


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (FileKind.HUGGING_FACE, {"config.json": b"{}", "model.safetensors": b""}),
        (FileKind.HUGGING_FACE, {"config.json": b"{}", "pytorch_model.bin.index.json": b"{}"}),
        (FileKind.HUGGING_FACE, {"config.json": b'{"model_type": "bert"}'}),
        (FileKind.DIFFUSERS, {"model_index.json": b"{}", "vae": None}),
        (FileKind.SAVED_MODEL, {"saved_model.pb": b"", "variables": None}),
        (FileKind.COREML, {"Manifest.json": b"{}", "Data": None}),
        (FileKind.TORCH_SHARDS, {".metadata": b"", "__0_0.distcp": b""}),
        (FileKind.TORCH_FOLDER, {"data.pkl": b"", "version": b"3\n", "data": None}),
        (FileKind.FOLDER, {"config.json": b'{"a": 1}', "x.txt": b""}),
        (FileKind.FOLDER, {}),
    ],
)
def test_folders_are_told_by_their_files(tmp_path: Path, kind: FileKind, files: dict[str, bytes | None]) -> None:
    """None stands for a folder."""
    for name, content in files.items():
        if content is None:
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path) is kind


@pytest.mark.parametrize("kind", FileKind)
def test_every_kind_has_words(kind: FileKind) -> None:
    """What it is, and a way out that ends with a full stop."""
    assert kind.words
    assert not kind.hint or kind.hint.endswith(".")


@pytest.mark.parametrize("path", ["missing.pth", "nul\0l.pth", "a" * 300, "pipe"])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, path: str) -> None:
    """At once: a pipe nobody writes to would be waited for."""
    if path == "pipe":
        os.mkfifo(tmp_path / path)
    with pytest.raises(SourceError):
        kind_of(tmp_path / path)


def test_a_million_names_are_counted_and_not_read(tmp_path: Path) -> None:
    """An archive says how many entries it has before they are read; one that lies is damaged."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    local = b"PK\3\4" + bytes(26)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(entry) * 10**6, len(local), 0)
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**6, 10**6, len(entry) * 10**6, len(local))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(entry) * 10**6, 1)
    (tmp_path / "x").write_bytes(local + entry * 10**6 + wide + locator + end)
    start = time.perf_counter()
    assert kind_of(tmp_path / "x") is FileKind.ZIP
    assert time.perf_counter() - start < 1
    with pytest.raises(zips.ZipError, match="1,000,000 entries"):
        zips.members(tmp_path / "x")


def test_the_directory_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    """Names, methods, sizes and places, of stored and deflated entries, with a comment behind."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.comment = b"PK\5\6 is no end here"
        archive.writestr("a/b", b"12345")
        archive.writestr("größe", b"1" * 999, zipfile.ZIP_DEFLATED)
        with archive.open("large", "w", force_zip64=True) as member:
            member.write(b"123")
        expected = {i.filename: (i.compress_type, i.compress_size, i.file_size) for i in archive.infolist()}
    found = zips.members(tmp_path / "x.zip")
    assert {name: (m.method, m.packed, m.size) for name, m in found.items()} == expected
    with (tmp_path / "x.zip").open("rb") as file:
        file.seek(zips.start_of(file, found["a/b"]))
        assert file.read(5) == b"12345"


@pytest.mark.parametrize("cut", range(1, 150, 7))
def test_damaged_archives_are_faults(tmp_path: Path, cut: int) -> None:
    """Wherever they are cut, and whatever byte of the directory is flipped."""
    whole = zipped("net/data.pkl", "net/data/0")
    for content in (whole[:-cut], whole[:-cut] + bytes([whole[-cut] ^ 255]) + whole[len(whole) - cut + 1 :]):
        (tmp_path / "x").write_bytes(content)
        try:
            found = zips.members(tmp_path / "x")
            with (tmp_path / "x").open("rb") as file:
                for member in found.values():
                    zips.start_of(file, member)
        except zips.ZipError:
            pass
        kind_of(tmp_path / "x")


def test_telling_needs_neither_torch_nor_numpy() -> None:
    """A wrong file is named before anything heavy is imported."""
    program = "import sys, edgekit.base.telling; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "onnx", "zipfile"} & set(done.stdout.split())
