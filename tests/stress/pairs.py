"""Pairs of writers into one place, in one namespace of process numbers or in two, and what is there afterwards."""

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal, assert_never

from edgekit import bundles
from edgekit.base import cache, digest
from edgekit.base.atomic import is_unfinished
from tests.unit import examples
from tests.unit.test_drop import android_app, assets, manifest

Kind = Literal["build", "drop", "cache"]
KINDS: tuple[Kind, ...] = ("build", "drop", "cache")
KEY = "0" * 64
_APART = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


@functools.cache
def can_be_apart() -> bool:
    """Whether this system lets a process have a namespace of process numbers of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_APART, "true"], capture_output=True, check=False).returncode == 0


class Place:
    """Where a pair writes, and the two bundles that it writes."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        """Make both bundles, and the place."""
        self.kind: Kind = kind
        self.sources = [
            examples.write_bundle(folder / f"source{classes}", manifest(classes=classes)) for classes in (9, 10)
        ]
        for source in self.sources:
            (source / "report.json").write_text("{}")
        self.place = folder / "shared" / "place"
        self.place.parent.mkdir()
        if kind == "drop":
            android_app(self.place)

    def start(self, number: int, times: int, *, apart: bool) -> "subprocess.Popen[str]":
        """Start one of the pair; it waits for a line."""
        source = self.sources[number % 2]
        command = [sys.executable, "-m", "tests.stress.worker", self.kind, str(times), str(self.place), str(source)]
        process = subprocess.Popen(
            [*(_APART if apart else ()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        return process

    def pair(self, times: int, *, apart: bool) -> None:
        """Let two write at once, and look at what came of it."""
        both = [self.start(number, times, apart=apart) for number in range(2)]
        for process in both:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in both:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
        self.check()
        left = [path for path in self.place.parent.rglob(".*") if is_unfinished(path.name)]
        assert not left, left

    def kill(self, seconds: float) -> None:
        """Kill a writer after so many seconds, and look at what is there."""
        process = self.start(random.randrange(2), 10**6, apart=False)  # noqa: S311 - no secret
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.check(may_be_missing=True)

    def check(self, *, may_be_missing: bool = False) -> None:
        """Make sure that there is one of the two results, whole."""
        match self.kind:
            case "build":
                if not self.place.exists() and may_be_missing:
                    return
                self._same(self.place)
            case "drop":
                pointer = assets(self.place) / "bundle.json"
                if not pointer.exists() and may_be_missing:
                    return
                said = json.loads(pointer.read_text())
                folder = assets(self.place) / said["folder"]
                assert digest.of_file(folder / "manifest.json") == said["manifest_sha256"]
                self._same(folder)
            case "cache":
                entry = cache.get(cache.Cache(folder=self.place), "bundle", KEY)
                assert entry is not None or may_be_missing
            case _:
                assert_never(self.kind)

    def _same(self, folder: Path) -> None:
        found = bundles.read(folder)
        names = [name for name, _ in bundles.files(found)]
        wanted = [source for source in self.sources if bundles.read(source) == found]
        assert len(wanted) == 1
        assert all((folder / name).read_bytes() == (wanted[0] / name).read_bytes() for name in names)
