"""Progress: what is told of a run, and how long it still takes."""

import time

import pytest

from edgekit.base.progress import Stages


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.left: list[float | None] = []
        self.details: list[str] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.details.append(text)

    def start(self, stage: str, left: float | None = None) -> None:
        """Keep the time left."""
        self.left.append(left)

    def done(self, stage: str, seconds: float, detail: str) -> None:
        """Keep the detail."""
        self.details.append(detail)


def test_the_time_left_follows_the_pace() -> None:
    """What took twice its time makes the rest take twice its time, too."""
    told = Told()
    stages = Stages(told, {"first": 0.05, "second": 3.0, "third": 2.0})
    with stages("first"):
        time.sleep(0.1)
    with stages("second") as detail:
        detail.append("done")
    with stages("third"):
        pass
    before, after, _ = told.left
    assert before == pytest.approx(5.05)
    assert after is not None
    assert after > 9.9
    assert told.details[0].startswith("about ")
    assert told.details[1].startswith("done, about ")
    assert told.details[2] == ""


def test_without_a_plan_nothing_is_said() -> None:
    """A stage that nobody planned changes no estimate either."""
    told = Told()
    with Stages(told)("first"):
        pass
    with Stages(told, {"second": 1.0})("first"):
        pass
    assert told.left == [None, 1.0]
    assert told.details == ["", "about 1 s left"]
