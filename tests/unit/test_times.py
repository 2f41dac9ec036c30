"""The time that is left of a build, by the times of the last one."""

from pathlib import Path

from edgekit.base import times
from edgekit.base.cache import Cache
from edgekit.base.progress import Foreseen


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.left: dict[str, float | None] = {}

    def note(self, text: str) -> None:
        """Nothing to keep."""

    def start(self, stage: str, left: float | None = None) -> None:
        """Keep what is left."""
        self.left[stage] = left

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Nothing to keep."""


LAST = (("capture", 2.0), ("quantize", 6.0), ("lower", 2.0))


def test_what_is_left_follows_the_last_build_at_the_pace_of_this_one() -> None:
    """Twice as slow so far: twice as long for the rest. What came from the cache tells nothing of the pace."""
    heard = Heard()
    progress = Foreseen(heard, LAST)
    progress.start("check")
    progress.done("check", 0.1, "")
    progress.start("capture")
    progress.done("capture", 4.0, "")
    progress.start("quantize")
    progress.done("quantize", 0.1, "from the cache")
    progress.start("lower")
    assert heard.left == {"check": 10.0, "capture": 10.0, "quantize": 16.0, "lower": 4.0}
    progress.done("lower", 4.0, "")
    progress.start("something new")
    assert heard.left["something new"] is None


def test_stages_that_are_left_out_are_not_waited_for() -> None:
    """A stage that begins ends the wait for those that stood before it."""
    heard = Heard()
    Foreseen(heard, LAST).start("lower")
    assert heard.left == {"lower": 2.0}


def test_nothing_is_foreseen_without_a_last_build() -> None:
    """The negative twin."""
    heard = Heard()
    Foreseen(heard, ()).start("capture")
    assert heard.left == {"capture": None}


def test_times_are_kept_by_project_and_targets(tmp_path: Path) -> None:
    """What came from the cache keeps the time that it really takes; a run that made nothing changes nothing."""
    cache = Cache(folder=tmp_path)
    assert times.recall(cache, ["mine", "web"]) == ()
    times.remember(cache, ["mine", "web"], LAST, ())
    times.remember(cache, ["mine", "web"], [("capture", 3.0), ("quantize", 0.1), ("lower", 1.0)], ["quantize"])
    assert times.recall(cache, ["mine", "web"]) == (("capture", 3.0), ("quantize", 6.0), ("lower", 1.0))
    times.remember(cache, ["mine", "web"], [("capture", 0.1)], ["capture"])
    assert len(times.recall(cache, ["mine", "web"])) == 3
    assert times.recall(cache, ["mine", "ios-arm64"]) == ()
