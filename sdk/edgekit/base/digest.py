"""SHA-256 digests of files, arrays and structured values: the identity of everything that flows."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
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
    return of_parts({name: (array.dtype, array.shape, [array]) for name, array in arrays.items()})


def of_parts(
    arrays: Mapping[str, "tuple[np.dtype[Any], tuple[int, ...], Iterable[npt.NDArray[Any]]]"],
) -> str:
    """Return the digest that `of_arrays` has, of arrays that come part by part.

    Args:
        arrays: For each name the dtype, the whole shape, and the rows in order. One is read after the other.
    """
    import numpy as np  # files and texts are hashed without it

    digest = hashlib.sha256()
    for name, (dtype, shape, parts) in sorted(arrays.items(), key=lambda item: item[0]):
        digest.update(f"{name}:{dtype.name}:{shape};".encode())
        for part in parts:
            little = np.ascontiguousarray(part.astype(dtype.newbyteorder("<"), copy=False))
            digest.update(little.data if little.ndim else little.tobytes())
    return digest.hexdigest()


def of_json(value: Any) -> str:
    """Return a digest of a JSON-like value; the order of keys does not matter."""
    return of_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
