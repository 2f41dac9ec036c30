"""Unfriendly machines, closed streams, full disks, odd paths: no traceback, and the verdict's exit code survives."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.base import cache
from edgekit.errors import CacheError
from tests.unit import examples

FULL = Path("/dev/full")
NEEDS_FULL = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def shell(command: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command line in a shell; ``edgekit`` is the one that is tested, ``$code`` keeps its exit code."""
    program = f"{shlex.quote(sys.executable)} -m edgekit"
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; edgekit() {{ {program} "$@"; }}; {command}'],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle that passed and one that failed."""
    folder = tmp_path_factory.mktemp("bundles")
    examples.write_bundle(folder / "passed")
    examples.write_bundle(folder / "failed", examples.manifest(breach=True))
    return folder


STREAMS = [
    pytest.param("edgekit compare passed {} >&-", id="closed stdout"),
    pytest.param("edgekit compare passed {} >&- 2>&-", id="closed both"),
    pytest.param("edgekit compare passed {} <&- >&- 2>&-", id="closed all"),
    pytest.param("edgekit compare passed {} --json >/dev/full", id="full stdout", marks=NEEDS_FULL),
    pytest.param("edgekit compare passed {} >/dev/full 2>/dev/full", id="full both", marks=NEEDS_FULL),
    pytest.param("edgekit compare passed {} | head -1; exit ${{PIPESTATUS[0]}}", id="head"),
    pytest.param("edgekit compare passed {} --junit /dev/full", id="junit", marks=NEEDS_FULL),
    pytest.param("edgekit compare passed {} --summary /dev/full --page /dev/full", id="summary", marks=NEEDS_FULL),
]


@pytest.mark.parametrize("command", STREAMS)
@pytest.mark.parametrize(("which", "code"), [("passed", 0), ("failed", 20)])
def test_the_verdict_survives(place: Path, command: str, which: str, code: int) -> None:
    """Whoever does not want to hear it, the exit code says it; what could not be written is told where it can be."""
    done = shell(command.format(which), place)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr
    if "full" in command and "2>" not in command:
        assert "cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "edgekit --help | head -1",
        "edgekit targets list | head -1",
        pytest.param("edgekit --help >/dev/full", marks=NEEDS_FULL),
        "edgekit --help >&-",
        "edgekit nonsense 2>&-",
    ],
)
def test_help_ends_without_a_traceback(place: Path, command: str) -> None:
    """It has no verdict to keep."""
    done = shell(command, place)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "edgekit inspect " + "x" * 300,
        "edgekit inspect " + "x/" * 3000,
        "edgekit run passed --input " + "x" * 300,
        "edgekit compare passed " + "x" * 300 + ".json",
        "edgekit baseline show " + "x" * 300,
    ],
)
def test_names_that_are_too_long_are_told(place: Path, command: str) -> None:
    """In a sentence with the reason."""
    done = shell(command, place)
    assert done.returncode in (2, 6, 11)
    assert "File name too long" in done.stderr
    assert "unexpected" not in done.stderr


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds go on without one; who asks for it is told how to have one."""

    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("EDGEKIT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.for_builds() is None
    with pytest.raises(CacheError, match="no home folder") as caught:
        cache.from_environment()
    assert "EDGEKIT_CACHE" in caught.value.hint


def test_the_folder_that_one_works_in_gives_no_libraries(place: Path, tmp_path: Path) -> None:
    """Files there that are named like libraries are not imported, by the command or by what it starts."""
    for name in ("click", "torch", "onnxruntime", "numpy", "pydantic", "rich", "executorch"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w').close()\n")
    for command in (f"edgekit inspect {place / 'passed'}", "edgekit targets list"):
        done = shell(command, tmp_path)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()
