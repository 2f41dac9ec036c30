"""Reads mutants until it is told to stop: ``python -m tests.fuzz.worker SEED STEP UNTIL LIMIT NATIVE FORMATS STATE``.

Each finding is a line of JSON on standard output; STATE is a file that holds the mutant which is being read, so that
who started it knows what it died of.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import FrameType

from edgekit.errors import EdgeKitError
from tests.fuzz.formats import FORMATS, Format
from tests.fuzz.mutants import mutant, words

_SECONDS = 10.0
_MEMORY = 500 * 2**20
_ALLOWED = 4 * 2**30


# Native libraries print to the standard streams.
_OUT = os.dup(1)


class HangError(BaseException):
    """A mutant takes too long; no reader may catch this."""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise HangError


def peak() -> int:
    """Return the largest resident memory since it was forgotten, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Let the largest resident memory be what is used now: else one large reading hides all later ones (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def outcome(one: Format, folder: Path, size: int) -> tuple[str, str]:
    """Read a mutant, and return what came of it and, if that is a finding, what it is."""
    forget_peak()
    before, began = peak(), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        one.read(folder)
        found = ("read", "")
    except EdgeKitError as error:
        found = (type(error).__name__, "")
    except HangError:
        found = ("hang", "")
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        found = ("foreign", f"{type(error).__name__}: {words(str(error))} at {Path(last.filename).name}:{last.lineno}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if time.monotonic() - began > _SECONDS and found[0] != "hang":
        return "hang", f"{time.monotonic() - began:.0f} s"
    if peak() - before > _MEMORY + 4 * size:
        return "memory", f"{(peak() - before) / 2**20:.0f} MB for {size} bytes"
    return found


def main() -> None:
    """Read mutants, one after the other."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    seed, step, until, limit, native = (float(word) for word in sys.argv[1:6])
    wanted, state = sys.argv[6], Path(sys.argv[7])
    # A file of its own process takes as long as thirty others.
    formats: tuple[Format, ...] = tuple(replace(one, share=3 * one.share) for one in FORMATS)
    if native:
        from tests.fuzz.native import NATIVE
        from tests.fuzz.programs import PROGRAMS

        formats += NATIVE + PROGRAMS
    if wanted:
        formats = tuple(one for one in formats if one.name in wanted.split(","))
    turns = [one for one in formats for _ in range(one.share)]
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _alarm)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ALLOWED, used + _ALLOWED))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    counts: Counter[str] = Counter()
    end, done = until, 0
    with tempfile.TemporaryDirectory() as name:
        places = {one.name: _made(one, Path(name) / str(number)) for number, one in enumerate(formats)}
        number = int(seed)
        while time.time() < end and done < limit:
            one = turns[number * 7919 % len(turns)]
            folder, whole = places[one.name]
            data = mutant(whole, one.kind, number)
            (folder / one.file).parent.mkdir(exist_ok=True)  # a reader of the cache removes what is damaged, not this
            (folder / one.file).write_bytes(data)
            state.write_text(f"{number} {one.name}")
            what, details = outcome(one, folder, len(data))
            counts[f"{one.name}: {what}"] += 1
            if what in ("foreign", "hang", "memory"):
                _say({"seed": number, "format": one.name, "what": what, "details": details})
            number, done = number + int(step), done + 1
            if done % 100 == 0:
                _say({"next": number, "counts": counts})
                counts.clear()
    _say({"next": number, "counts": counts, "ended": True})


def _made(one: Format, folder: Path) -> tuple[Path, bytes]:
    folder.mkdir()
    one.make(folder)
    return folder, (folder / one.file).read_bytes()


def _say(line: dict[str, object]) -> None:
    os.write(_OUT, (json.dumps(line) + "\n").encode())


if __name__ == "__main__":
    os.environ["EDGEKIT_CACHE"] = os.devnull
    main()
