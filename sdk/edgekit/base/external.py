"""Files beside an ONNX file that hold its tensors: found by their names in it, without onnx."""

import mmap
import re
from pathlib import Path

# A `StringStringEntryProto` with the key `location`, up to its value: field 1 of 8 letters, then field 2.
_LOCATION = re.compile(rb"\n\x08location\x12([\x00-\x7f])")


def files(path: Path) -> list[Path]:
    """Return the files that an ONNX file keeps tensors in, those that are beside it alone, each of them once.

    A name in other bytes that looks like one is returned, too, if there is such a file.
    """
    if not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names = {data[found.end() : found.end() + found[1][0]] for found in _LOCATION.finditer(data)}
    folder, found = path.parent.resolve(), []
    for name in sorted(names):
        try:
            place = (folder / name.decode("utf-8")).resolve()
            if place.is_relative_to(folder) and place.is_file():
                found.append(place)
        except (UnicodeDecodeError, ValueError, OSError):
            continue
    return found
