"""One of those that write at once: ``python -m tests.stress.worker KIND TIMES PLACE SOURCE``."""

import sys
from pathlib import Path
from typing import assert_never

from edgekit import bundles
from edgekit.apps.drop import drop
from edgekit.base import cache
from tests.stress.pairs import KEY, Kind


def main(kind: Kind, times: int, place: Path, source: Path) -> None:
    """Do it so many times, beside whoever does the same."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    for number in range(times):
        match kind:
            case "build":
                # What differs each time is beside the manifest, so that nothing is left as it is.
                bundles.write(place, {**files, bundles.PAGE_FILE: str(number).encode()})
            case "drop":
                drop(place, bundle=source)
            case "cache":
                cache.put(cache.Cache(folder=place), "bundle", KEY, cache.Entry(files=files, facts={"number": number}))
            case _:
                assert_never(kind)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))  # type: ignore[arg-type]
