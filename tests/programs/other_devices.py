"""Files of programs as a machine with a GPU writes them: what names the CPU names a GPU, in code, JSON and pickles."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

_PICKLED = re.compile(rb"X\x03\x00\x00\x00cpu")


def as_of_cuda(path: Path, device: str = "cuda:0") -> int:
    """Write a .pt2 archive or TorchScript file anew, saved on a GPU; return how many places were changed."""
    data, count = moved(path.read_bytes(), device)
    path.write_bytes(data)
    return count


def moved(data: bytes, device: str) -> tuple[bytes, int]:
    """Return the bytes of an archive, with other archives in it, and the number of changes."""
    kind, _, index = device.partition(":")
    buffer, total = io.BytesIO(), 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(buffer, "w") as written:
        for info in archive.infolist():
            content, count = archive.read(info), 0
            if content[:2] == b"PK":
                content, count = moved(content, device)
            elif info.filename.endswith(".json"):
                there = {"type": kind, "index": int(index) if index else None}
                before = json.loads(content)
                after = _devices(before, there)
                count, content = int(before != after), json.dumps(after).encode()
            elif info.filename.endswith(".py"):
                content, count = re.subn(rb'torch\.device\("cpu"\)', f'torch.device("{device}")'.encode(), content)
            elif info.filename.endswith(".pkl"):
                there_text = b"X" + len(device).to_bytes(4, "little") + device.encode()
                content, count = _PICKLED.subn(lambda _, text=there_text: text, content)  # type: ignore[misc]
            total += count
            written.writestr(info, content)
    return buffer.getvalue(), total


def _devices(value: Any, there: dict[str, Any]) -> Any:
    match value:
        case {"type": "cpu", "index": None}:
            return there
        case dict():
            return {key: _devices(inner, there) for key, inner in value.items()}
        case list():
            return [_devices(inner, there) for inner in value]
    return value
