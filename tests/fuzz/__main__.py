"""Read mutants of all formats for some minutes: ``python -m tests.fuzz [--minutes 10] [--only NAME,NAME]``."""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_SILENT_S = 60.0
_START_S = 5.0
_BAD = ("foreign", "hang", "memory", "crash")


@dataclass(kw_only=True)
class Result:
    """What all workers have found."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def run(
    *, seconds: float, seed: int, workers: int, only: str = "", native: bool = True, most: float = float("inf")
) -> Result:
    """Read mutants in workers, each of which is started again when it dies, until the time is over.

    Args:
        seconds: How long.
        seed: The first mutant.
        workers: How many processes.
        only: Names of formats, with commas; all unless given.
        native: Whether artifacts are run, too.
        most: How many mutants each worker reads at most.
    """
    result = Result()
    with tempfile.TemporaryDirectory() as folder:
        threads = [
            threading.Thread(
                target=_worker,
                args=(result, seed + number, workers, time.monotonic() + seconds, most, only, native),
                kwargs={"state": Path(folder) / str(number)},
            )
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return result


def _worker(
    result: Result, seed: int, step: int, end: float, most: float, only: str, native: bool, *, state: Path
) -> None:
    ended = False
    while not ended and time.monotonic() < end - _START_S:
        state.write_text("")
        arguments = [
            str(word) for word in (seed, step, time.time() + end - time.monotonic(), most, int(native), only, state)
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watch = threading.Timer(end - time.monotonic() + _SILENT_S, process.kill)
        watch.start()
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            with result.lock:
                result.counts.update(said.get("counts", {}))
                if "what" in said:
                    result.findings.append(said)
            seed, ended = said.get("next", seed), said.get("ended", False)
        watch.cancel()
        _, complaint = process.communicate()
        if not ended:
            number, _, name = state.read_text().partition(" ")
            if not number and time.monotonic() > end:
                return
            if not number:
                raise RuntimeError(f"a worker does not start: {complaint[-2000:]}")
            with result.lock:
                details = f"exit code {process.returncode}"
                result.findings.append({"seed": int(number), "format": name, "what": "crash", "details": details})
                result.counts[f"{name}: crash"] += 1
            seed = int(number) + step


def main() -> int:
    """Say what was found, and return 1 if anything was, or nothing was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="names of formats, with commas between them")
    parser.add_argument("--no-native", action="store_true", help="leave out what runs artifacts")
    asked = parser.parse_args()
    result = run(
        seconds=60 * asked.minutes, seed=asked.seed, workers=asked.workers, only=asked.only, native=not asked.no_native
    )
    for key, count in sorted(result.counts.items()):
        sys.stdout.write(f"{count:8,}  {key}\n")
    kinds = Counter(f"{one['format']}: {one['what']} {one['details']}" for one in result.findings)
    for kind, count in kinds.most_common():
        first = next(
            one["seed"] for one in result.findings if f"{one['format']}: {one['what']} {one['details']}" == kind
        )
        sys.stdout.write(f"{count:8,}  FOUND {kind} (seed {first})\n")
    total = sum(result.counts.values())
    bad = {what: sum(one["what"] == what for one in result.findings) for what in _BAD}
    told = ", ".join(f"{count} {what}" for what, count in bad.items())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    sys.stdout.write(f"{total:,} mutants from seed {asked.seed} in {seconds:.0f} seconds of the processor: {told}\n")
    return int(bool(result.findings) or not total)


if __name__ == "__main__":
    sys.exit(main())
