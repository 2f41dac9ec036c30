"""Give the native program damaged files: each must end in an answer or in one line with a known exit code.

``python -m tests.native.fuzzing --count 10000`` compiles it with the sanitizers for addresses and undefined behaviour,
and starts it once for each mutant. What crashes inside the runtime's own libraries, on a model whose digest was
forged, is counted as theirs: no runtime checks all of a file, which is why the digest is checked first.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit import bundles
from edgekit.apps.native import compiling, folder, runtime, toolchain
from edgekit.base import digest
from edgekit.base.cache import Cache
from tests.fuzz.mutants import mutant

CODES = {0, 1, 2, 6, 10, 11, 12, 15, 20}
SECONDS = 60.0
_OPTIONS = "detect_leaks=0:detect_container_overflow=0:allocator_may_return_null=0"
_OURS = re.compile(r"\((?:\S*/)?(libedgekit\.so|edgekit-run)\+0x")
_THEIRS = re.compile(r"\((?:\S*/)?(libexecutorch\w*\.so|libonnxruntime\.so\S*)\+0x")
MODEL, PREDICT = "model", "predict"


@dataclass(kw_only=True)
class Result:
    """What all mutants came to."""

    counts: Counter[str] = field(default_factory=Counter)
    """How many of each kind came to what."""
    findings: list[str] = field(default_factory=list)
    """What is a fault of ours: kind, seed, and what the program said."""

    @property
    def total(self) -> int:
        """How many mutants were tried."""
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A whole file, and how its mutants are given to the program."""

    name: str
    kind: str
    """What `mutant` calls its format."""
    data: bytes


def watched(bundle: Path, jpeg: bool, cache: Cache | None) -> Path:
    """Write a native folder beside a bundle whose program is watched by sanitizers.

    Args:
        bundle: A bundle for this machine.
        jpeg: Whether it reads JPEG.
        cache: Where what was compiled is kept.
    """
    manifest = bundles.read(bundle)
    info, cpu = folder.chosen(manifest), manifest.target.cpu
    made = folder.assembled(bundle, manifest, info, jpeg=False, cache=cache)
    libraries = runtime.of_artifact(info, cpu, runtime.host_folder(info.format))
    own = compiling.compiled(toolchain.find(cpu), libraries, jpeg=jpeg, sanitize=True, cache=cache)
    place = bundle.parent / f"{bundle.name}-watched"
    made.write(place)
    (place / compiling.PROGRAM).write_bytes(own.program)
    (place / compiling.LIBRARY).write_bytes(own.library)
    return place


def subjects(native: Path, pictures: dict[str, bytes]) -> list[Subject]:
    """Return what is damaged: every file that the program reads."""
    found = [
        Subject(name="manifest.json", kind="json", data=(native / "manifest.json").read_bytes()),
        Subject(name=MODEL, kind="", data=(native / "model.pte").read_bytes()),
        Subject(name="golden/0.image.bin", kind="", data=(native / "golden/0.image.bin").read_bytes()),
    ]
    rows = np.frombuffer((native / "golden/0.image.bin").read_bytes(), np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch) / "x.npy", rows.reshape(json.loads(found[0].data)["golden"][0]["inputs"][0]["shape"]))
        found.append(Subject(name="x.npy", kind="", data=(Path(scratch) / "x.npy").read_bytes()))
    chosen = [name for name in pictures if not name.startswith(("2-", "4-", "rgb1", "rgb9"))]
    return found + [
        Subject(name=name, kind="png" if name.endswith(".png") else "", data=pictures[name]) for name in chosen
    ]


def run(native: Path, wanted: list[Subject], *, count: int, seed: int = 0, workers: int = 2) -> Result:
    """Try mutants of all subjects in turn, each in a process of its own.

    Args:
        native: From `watched`.
        wanted: From `subjects`.
        count: How many mutants.
        seed: The first.
        workers: How many processes at once.
    """
    result = Result()
    with tempfile.TemporaryDirectory() as scratch:

        def one(number: int) -> tuple[str, str, str]:
            subject = wanted[number % len(wanted)]
            place = Path(scratch) / str(number)
            what, said = _try(native, subject, mutant(subject.data, subject.kind, number), place)
            return subject.name, what, f"{subject.name} (seed {number}): {said}"

        with ThreadPoolExecutor(max_workers=workers) as pool:
            for name, what, said in pool.map(one, range(seed, seed + count)):
                kind = name if name in ("manifest.json", MODEL) else name.rpartition(".")[2]
                result.counts[f"{kind}: {what}"] += 1
                if what.startswith("FOUND"):
                    result.findings.append(f"{what}: {said}")
    return result


def _try(native: Path, subject: Subject, data: bytes, place: Path) -> tuple[str, str]:
    """Lay a folder with the mutant, start the program, and return what came of it and what it said."""
    place.mkdir()
    (place / "golden").symlink_to(native / "golden")
    manifest, model = (native / "manifest.json").read_bytes(), place / "model.pte"
    model.symlink_to(native / "model.pte")
    arguments = ["selftest"]
    if subject.name == "manifest.json":
        manifest = data
    elif subject.name == MODEL:
        model.unlink()
        model.write_bytes(data)
        content = json.loads(manifest)
        content["artifacts"][0]["sha256"] = digest.of_bytes(data)  # forged
        manifest = json.dumps(content).encode()
    else:
        file = place / Path(subject.name).name
        file.write_bytes(data)
        arguments = ["predict", "--input", str(file), "--output", str(place)]
    (place / "manifest.json").write_bytes(manifest)
    try:
        done = subprocess.run(
            [native / compiling.PROGRAM, *arguments, "--folder", place],
            capture_output=True, timeout=SECONDS, check=False,
            env={"ASAN_OPTIONS": _OPTIONS, "UBSAN_OPTIONS": "print_stacktrace=1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "FOUND no end", f"longer than {SECONDS:.0f} s"
    finally:
        _remove(place)
    return judged(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def judged(code: int, out: str, error: str) -> tuple[str, str]:
    """Return what a run came to, in a few words, and what it said."""
    said = error[-3000:]
    if "Sanitizer" in error or "runtime error:" in error:
        frames = [line for line in error.splitlines() if re.match(r"\s*#\d+ ", line)]
        for line in frames:
            if _THEIRS.search(line):
                return "the runtime crashes", said
            if _OURS.search(line):
                return "FOUND a fault", said
        return "FOUND a fault", said
    if code < 0:
        return ("FOUND an exception" if "terminate called" in error else "the runtime crashes"), said
    if code not in CODES:
        return "FOUND an unknown exit code", f"{code} {said}"
    if code == 1:
        return "FOUND something unforeseen", said
    lines = error.splitlines()
    wanted = 1 if code not in (0, 20) else 0
    if len(lines) != wanted or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in "".join(lines)):
        return "FOUND other than one line", said
    return f"exit code {code}", said


def _remove(place: Path) -> None:
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def main(pictures: Callable[[], dict[str, bytes]], build: Callable[[Path], Path], jpeg: bool) -> int:
    """Say what was found, and return 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        native = watched(build(Path(scratch) / "artifacts"), jpeg, None)
        wanted = subjects(native, pictures())
        result = run(native, wanted, count=asked.count, seed=asked.seed, workers=asked.workers)
    for key, count in sorted(result.counts.items()):
        sys.stdout.write(f"{count:8,}  {key}\n")
    for one in result.findings[:20]:
        sys.stdout.write(f"{one}\n")
    theirs = sum(count for key, count in result.counts.items() if key.endswith("the runtime crashes"))
    sys.stdout.write(
        f"{result.total:,} mutants from seed {asked.seed}: {len(result.findings)} faults of ours, "
        f"{theirs} crashes of the runtime on forged models\n"
    )
    return int(bool(result.findings) or not result.total)


if __name__ == "__main__":
    from tests.native.conftest import WITH_JPEG, build_bundle
    from tests.native.test_pictures import pictures

    sys.exit(main(pictures, build_bundle, WITH_JPEG))
