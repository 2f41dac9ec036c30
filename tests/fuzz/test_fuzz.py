"""A few of the mutants that ``scripts/fuzz`` reads in ten minutes."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import BundleError
from tests.fuzz import worker
from tests.fuzz.__main__ import run
from tests.fuzz.formats import FORMATS, Format
from tests.fuzz.mutants import mutant


def test_mutants_end_in_an_answer_or_an_error() -> None:
    """Of every format: no foreign exception, no crash, no hang, no blow-up of memory."""
    result = run(seconds=600, seed=0, workers=1, native=False, most=600)
    assert not result.findings
    assert {key.partition(":")[0] for key in result.counts} == {one.name for one in FORMATS}


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "toml", "zip", "png", "safetensors", ""])
def test_a_seed_gives_one_mutant(kind: str) -> None:
    """So that a finding can be had again."""
    data = b'a = [1, 2, 3]\nb = "text"\n' if kind == "toml" else b'{"a": [1, 2, 3], "b": "text"}' * 3
    assert mutant(data, kind, 7) == mutant(data, kind, 7)
    assert len({mutant(data, kind, seed) for seed in range(30)}) > 20


def _raise(folder: Path) -> None:
    raise KeyError(folder.name)


def _hang(folder: Path) -> None:
    while True:
        pass


def _swell(folder: Path) -> None:
    assert len(b"x" * (600 * 2**20)) == 600 * 2**20


def _refuse(folder: Path) -> None:
    raise BundleError(folder.name)


@pytest.mark.parametrize(
    ("read", "what"),
    [(_raise, "foreign"), (_hang, "hang"), (_swell, "memory"), (_refuse, "BundleError"), (len, "foreign")],
)
def test_what_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], what: str
) -> None:
    """Readers that raise something of their own, hang, or take memory; one that refuses is none."""
    assert len(b"x" * 2**30) == 2**30  # what was used before hides nothing
    if read is _hang:  # memory for the others may be slow to come on a busy machine
        monkeypatch.setattr(worker, "_SECONDS", 0.3)
    before = signal.signal(signal.SIGALRM, worker._alarm)
    one = Format(name="x", file="x", kind="", make=_refuse, read=read)
    try:
        assert worker.outcome(one, tmp_path, 10)[0] == what
    finally:
        signal.signal(signal.SIGALRM, before)
