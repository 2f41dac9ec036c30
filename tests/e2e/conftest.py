"""The sample is built once for all end-to-end tests, by the command line, as a person would."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TARGETS = ("android-arm64", "linux-x86_64")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed on standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)


def edgekit(*arguments: str | Path, cwd: Path, **environment: str) -> Finished:
    """Run the command line in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(frozen=True, kw_only=True)
class Build:
    """A finished build of the sample."""

    finished: Finished
    folder: Path
    cache: Path

    def bundle(self, target: str) -> Path:
        """Return the bundle of a target."""
        return self.folder / "artifacts" / "digits" / target

    def manifest(self, target: str) -> Any:
        """Return the manifest of a target."""
        return json.loads((self.bundle(target) / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return the sample, built for two targets in an empty folder."""
    folder = tmp_path_factory.mktemp("sample")
    wanted = [word for target in TARGETS for word in ("--target", target)]
    cache = tmp_path_factory.mktemp("empty-cache")
    finished = edgekit("build", *wanted, "--json", cwd=folder, EDGEKIT_CACHE=str(cache))
    assert finished.code == 0, finished.err
    return Build(finished=finished, folder=folder, cache=cache)
