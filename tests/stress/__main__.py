"""Many pairs and many kills: ``python -m tests.stress [--pairs 50] [--kills 100] [--times 20]``."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.stress.pairs import KINDS, Place, can_be_apart


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run all of it, and say how often everything was whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50, help="pairs of each kind, in one and in two namespaces")
    parser.add_argument("--kills", type=int, default=100, help="killed writers of each kind")
    parser.add_argument("--times", type=int, default=20, help="how often each of a pair writes")
    parser.add_argument("--kind", action="append", choices=KINDS, help="build, drop or cache; all unless given")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)  # noqa: S311 - no secret
    for kind in asked.kind or KINDS:
        for apart in (False, True) if can_be_apart() else (False,):
            began = time.monotonic()
            for _ in range(asked.pairs):
                with tempfile.TemporaryDirectory() as folder:
                    Place(Path(folder), kind).pair(asked.times, apart=apart)
            told = "two namespaces" if apart else "one namespace"
            say(f"{kind}: {asked.pairs} pairs in {told}, all whole ({time.monotonic() - began:.0f} s)")
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), kind)
            for _ in range(asked.kills):
                place.kill(chance.uniform(0.0, 0.1))
        say(f"{kind}: {asked.kills} writers killed, all whole")


main()
