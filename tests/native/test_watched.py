"""The native program under the sanitizers for addresses and undefined behaviour: whole files, and damaged ones."""

import subprocess
from pathlib import Path

import pytest

from edgekit.base.cache import Cache
from tests.native import fuzzing
from tests.native.conftest import WITH_JPEG
from tests.native.test_pictures import pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def watched(bundle: Path, store: Cache) -> Path:
    """The program, watched."""
    return fuzzing.watched(bundle, WITH_JPEG, store)


def test_what_is_right_shows_no_fault(watched: Path, tmp_path: Path) -> None:
    """Every verb and every kind of picture."""
    golden = watched / "golden" / "0.image.bin"
    arguments: list[list[str | Path]] = [
        ["selftest"],
        ["info"],
        ["bench", "--runs", "3"],
        ["predict", "--input", golden, "--json"],
        ["--help"],
    ]
    for name, data in pictures().items():
        (tmp_path / name).write_bytes(data)
        arguments.append(["predict", "--input", tmp_path / name])
    for words in arguments:
        done = subprocess.run([watched / "edgekit-run", *words], capture_output=True, text=True, check=False, env={})
        assert (done.returncode, done.stderr) == (0, ""), words


def test_what_is_damaged_ends_in_one_line(watched: Path) -> None:
    """A few mutants of every file that is read; scripts/fuzz-native tries ten thousand."""
    wanted = fuzzing.subjects(watched, pictures())
    result = fuzzing.run(watched, wanted, count=6 * len(wanted))
    assert not result.findings
    assert result.total == 6 * len(wanted)
    assert {"manifest.json: exit code 11", "model: exit code 11", "png: exit code 6"} <= set(result.counts)


def test_a_fault_would_be_found() -> None:
    """What a sanitizer says of our code is ours, what it says of the runtime's is not, and more than a line is told."""
    frame = "    #0 0x1 in memcpy (/lib/libasan.so.8+0x1)\n    #1 0x2  ({}+0x2)\n"
    report = "==1==ERROR: AddressSanitizer: heap-buffer-overflow\n" + frame
    assert fuzzing.judged(1, "", report.format("/x/libedgekit.so"))[0] == "FOUND a fault"
    assert fuzzing.judged(1, "", report.format("/x/libexecutorch_backend_xnnpack.so"))[0] == "the runtime crashes"
    assert fuzzing.judged(1, "", "png.cpp:3: runtime error: shift")[0] == "FOUND a fault"
    assert fuzzing.judged(-6, "", "terminate called after throwing")[0] == "FOUND an exception"
    assert fuzzing.judged(6, "", "edgekit-run: one\nedgekit-run: two\n")[0] == "FOUND other than one line"
    assert fuzzing.judged(6, "", "edgekit-run: one\n")[0] == "exit code 6"
    assert fuzzing.judged(77, "", "")[0] == "FOUND an unknown exit code"
