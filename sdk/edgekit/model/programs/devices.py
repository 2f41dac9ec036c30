"""Programs that were saved on another device, a GPU mostly, are read onto the CPU: their archive is written anew."""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import torch

_CPU = {"type": "cpu", "index": None}
_HERE = ("cpu", "meta")


@contextmanager
def on_cpu(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield an archive of ``torch.export.save`` that needs no other device: the file itself, or a copy of it.

    Each tensor and each operation that takes a device has it in the archive's JSON, as ``torch._export.serde.schema``
    defines it; the example's tensors have it in their pickle.
    """
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryFile() as copy:
        changed = {
            name: json.dumps(moved).encode()
            for name in archive.namelist()
            if name.endswith(".json")
            if (moved := _moved(content := json.loads(archive.read(name)))) != content
        }
        if not changed:
            file.seek(0)
            yield file
            return
        with zipfile.ZipFile(copy, "w") as written:
            for info in archive.infolist():
                if info.filename in changed:
                    written.writestr(info.filename, changed[info.filename])
                elif "sample_inputs" in info.filename.split("/") and info.file_size:
                    written.writestr(info.filename, _example(archive.read(info)))
                else:
                    with archive.open(info) as source, written.open(info.filename, "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target)
        copy.seek(0)
        yield copy


def _moved(value: Any) -> Any:
    """Return JSON in which every device that is not here is the CPU."""
    match value:
        case {"type": str(kind), "index": None | int()} if len(value) == 2 and kind not in _HERE:
            return _CPU
        case dict():
            return {key: _moved(inner) for key, inner in value.items()}
        case list():
            return [_moved(inner) for inner in value]
    return value


def _example(data: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), buffer)
    return buffer.getvalue()
