"""A sweep by real processes: what is stored is not done again, and what is lost is tried again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit import bundles
from edgekit.base.store.place import open_place
from edgekit.pipeline.sweeping import results
from edgekit.pipeline.sweeping.drive import drive
from edgekit.pipeline.sweeping.local import LocalEngine
from edgekit.pipeline.sweeping.plan import plan
from edgekit.pipeline.sweeping.sweep import bundle_of, sweep
from edgekit.spec.sweep import read
from tests.e2e.conftest import edgekit
from tests.sweeps import project, sweep_file

pytestmark = pytest.mark.slow
ONCE = """
    marker = os.environ["EDGEKIT_TEST_MARKER"]
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Told:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)

    def start(self, stage: str, left: float | None = None) -> None:
        """Stages that begin are no news here."""

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Keep what came of a cell."""
        self.lines.append(f"{stage}: {detail}")


def test_what_is_lost_is_tried_again_and_what_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed once, one that never ends, a model that raises, and a good one; then all is known."""
    monkeypatch.setenv("EDGEKIT_TEST_MARKER", str(tmp_path / "marker"))
    project(tmp_path, "good")
    project(tmp_path, "killed", width=16, before=ONCE.strip())
    project(tmp_path, "endless", width=32, before="time.sleep(600)")
    project(tmp_path, "raising", width=40, before='print("a word before"); raise RuntimeError("no such thing")')
    file = sweep_file(
        tmp_path,
        'projects = ["good", "killed", "endless", "raising"]\ntargets = ["web"]\n'
        '[resources]\ntime_limit = 600\nattempts = 2\nmemory = "100MB"\n',
    )
    opened, place, told = read(file), open_place(str(tmp_path / "store")), Told()
    planned = plan(opened, place.text)
    limits = {"endless": 2}
    tasks = [task.model_copy(update={"seconds": limits.get(task.name.model, 300)}) for task in planned.tasks]
    done = drive(type(planned)(tasks=tuple(tasks)), place, lambda: LocalEngine(workers=2), told, attempts=2)

    verdicts = {one.name.model: one.verdict for one in done.results.values()}
    assert verdicts == {"good": "passed", "killed": "passed"}
    failed = {one.name.model: one for one in results.failures(place)}
    assert failed.keys() == {"endless", "raising"}
    assert (failed["endless"].attempts, failed["raising"].attempts) == (2, 1)
    assert "2 s of its time limit" in failed["endless"].reason
    assert "Timeout (0:00:02)!" in failed["endless"].log  # and where it was
    assert "no such thing" in failed["raising"].reason
    assert "a word before" in failed["raising"].log
    assert done.lost == 3
    assert any("killed/web/project/project: lost: its process was killed (signal 9)" in line for line in told.lines)

    (tmp_path / "endless" / "model.py").write_text((tmp_path / "good" / "model.py").read_text().replace("24", "32"))
    raising = (tmp_path / "raising" / "model.py").read_text()
    (tmp_path / "raising" / "model.py").write_text(raising.replace("raise RuntimeError", "str"))
    again = sweep(file, store=tmp_path / "store", progress=Told())
    assert (again.stored_before, len(again.results), again.passed, again.lost) == (2, 4, True, 0)
    last = sweep(file, store=tmp_path / "store")
    assert (last.stored_before, last.where) == (4, "the store alone")
    assert last.results == again.results

    folder = bundle_of(place, "good/web/project/project", tmp_path / "bundle")
    assert bundles.read(folder).model.name == "good"
    wanted = ("build", "--project", "good", "-t", "web", "--no-cache", "-o", "fresh", "--json")
    built = edgekit(*wanted, cwd=tmp_path, OMP_NUM_THREADS="1")  # as many threads as a cell has
    assert built.code == 0
    fresh = tmp_path / "fresh" / "good" / "web"
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert names == {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    assert all((folder / name).read_bytes() == (fresh / name).read_bytes() for name in names)


def test_a_driver_that_is_killed_goes_on(tmp_path: Path) -> None:
    """What it had stored is not done again, and what its workers were at is stored by them."""
    for width in (8, 16, 24):
        project(tmp_path, f"net{width}", width=width)
    over = project(tmp_path, "over", width=32, decibel=150.0)
    assert over.is_dir()
    sweep_file(tmp_path, 'projects = ["net8", "net16", "net24", "over"]\ntargets = ["web"]\n')
    store = tmp_path / "edgekit-store"
    command = [sys.executable, "-m", "edgekit", "sweep", "sweep.toml", "--workers", "1"]
    driver = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not list(store.glob("results/*/*.json")) and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = {path: path.stat().st_mtime_ns for path in store.glob("results/*/*.json")}
    assert 1 <= len(before) < 4
    done = edgekit("sweep", "sweep.toml", "--json", cwd=tmp_path)
    assert done.code == 20  # one cell is over its budget: the bundle is there, and the verdict stands
    assert {path: path.stat().st_mtime_ns for path in before} == before
    answer = json.loads(done.out)
    assert [cell["result"]["verdict"] for cell in answer["cells"]] == ["passed", "passed", "passed", "failed"]
    assert answer["stored_before"] >= len(before)
    assert edgekit("store", "verify", cwd=tmp_path).code == 0
    listed = json.loads(edgekit("store", "ls", "--json", cwd=tmp_path).out)
    assert len(listed["results"]) == 4
    assert listed["sweeps"] == {"latest": 4}
