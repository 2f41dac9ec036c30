"""A few of the pairs and kills that ``scripts/stress`` makes many of."""

from pathlib import Path

import pytest

from tests.stress.pairs import KINDS, Kind, Place, can_be_apart

APART = pytest.param(
    True, id="two namespaces", marks=pytest.mark.skipif(not can_be_apart(), reason="the system has no unshare for us")
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("apart", [pytest.param(False, id="one namespace"), APART])
def test_two_at_once_leave_one_whole_result(tmp_path: Path, kind: Kind, *, apart: bool) -> None:
    """Two containers build into one folder, drop into one app, fill one cache: no file of the other, nothing left."""
    Place(tmp_path, kind).pair(15, apart=apart)


@pytest.mark.parametrize("kind", KINDS)
def test_the_killed_leave_whole_results(tmp_path: Path, kind: Kind) -> None:
    """Each kill at another moment; who comes next finds a whole result, and tidies up."""
    place = Place(tmp_path, kind)
    for after in (0.003, 0.02, 0.06):
        place.kill(after)
    place.pair(2, apart=False)
