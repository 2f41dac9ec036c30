"""SHA-256 digests of files, arrays and structured values: the identity of everything that flows."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt


def of_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_arrays(arrays: Mapping[str, "npt.NDArray[Any]"]) -> str:
    """Return a digest of named arrays: their names, dtypes, shapes and little-endian values, in order of name."""
    import numpy as np  # files and texts are hashed without it

    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        digest.update(f"{name}:{array.dtype.name}:{array.shape};".encode())
        digest.update(little.data if little.ndim else little.tobytes())
    return digest.hexdigest()


def of_json(value: Any) -> str:
    """Return a digest of a JSON-like value; the order of keys does not matter."""
    return of_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
