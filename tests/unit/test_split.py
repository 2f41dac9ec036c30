"""One set becomes two: nothing is on both sides, classes keep their shares, a seed gives one split."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.files import find
from edgekit.data.found import Found, Wanted
from edgekit.data.samples import Samples
from edgekit.data.split import limited, split
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec


def found(count: int, classes: int = 2, groups: int = 0) -> Found:
    """Return samples that all differ; a value is the number of its sample."""
    values = np.arange(count, dtype=np.float32)[:, None]
    labels = np.arange(count) % classes if classes else None
    names = tuple(f"film {number % groups}" for number in range(count)) if groups else ()
    return Found(samples=Samples(inputs={"x": values}, labels=labels), groups=names)


def values(part: Found) -> list[int]:
    """Return the numbers of the samples."""
    return [int(value) for value in part.samples.array("x")[:, 0]]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(10, 120),
    classes=st.integers(0, 5),
    groups=st.integers(5, 30),
    share=st.floats(0.15, 0.6),
    seed=st.integers(0, 9),
    named=st.booleans(),
)
def test_nothing_is_on_both_sides(count: int, classes: int, groups: int, share: float, seed: int, named: bool) -> None:
    """Every sample is on one side, with its whole group; the same seed gives the same sides."""
    whole = found(count, classes, groups if named else 0)
    kept, held_out = split(whole, share, seed)
    assert sorted(values(kept) + values(held_out)) == list(range(count))
    assert (values(kept), values(held_out)) == tuple(values(part) for part in split(whole, share, seed))
    if named:
        assert not {*kept.groups} & {*held_out.groups}
    else:
        assert abs(len(held_out.samples) - share * count) <= 1


def test_classes_keep_their_shares() -> None:
    """Of 100 samples of 4 classes, a fifth of each is held out; another seed holds out others."""
    whole = found(100, 4)
    parts = split(whole, 0.2, 0)
    assert [np.bincount(part.samples.labels).tolist() for part in parts] == [[20] * 4, [5] * 4]  # type: ignore[arg-type]
    assert values(parts[1]) != values(split(whole, 0.2, 1)[1])


def test_equal_samples_stay_together() -> None:
    """Copies of one sample are never on both sides, whatever they are called."""
    whole = found(60)
    doubled = whole.rows(np.arange(60) % 20)
    for seed in range(5):
        kept, held_out = split(doubled, 0.3, seed)
        assert not {*values(kept)} & {*values(held_out)}


def test_too_little_to_split() -> None:
    """One group cannot be on two sides."""
    for whole in (found(1), found(8, groups=1), found(3).rows(np.zeros(8, np.int64))):
        with pytest.raises(DataError, match="cannot be split"):
            split(whole, 0.2, 0)


def test_pictures_are_grouped_by_their_paths(tmp_path: Path) -> None:
    """By a regular expression; a copied file stays with its original; a renamed folder gives the same split."""
    inputs = (TensorSpec(name="image", shape=("batch", 1, 4, 4), meaning="image"),)
    wanted = Wanted(inputs=inputs, preprocessing=Preprocessing(color="grey", resize=Resize(height=4, width=4)))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 5), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"patient{number % 8}_{number}.png")
    shutil.copy(folder / "patient3_3.png", folder / "copy_of_patient3_3.png")
    whole = find(folder, wanted)
    kept, held_out = split(whole, 0.25, 0, r"patient(\d+)_")
    sides = [{file.name.split("patient")[1][0] for file in part.files} for part in (kept, held_out)]
    assert not sides[0] & sides[1]
    assert len(held_out.files) >= 3
    by_bytes = [{file.name for file in part.files} for part in split(whole, 0.25, 3)]
    assert {"patient3_3.png", "copy_of_patient3_3.png"} <= by_bytes[0] or {
        "patient3_3.png", "copy_of_patient3_3.png"
    } <= by_bytes[1]  # fmt: skip
    folder.rename(tmp_path / "renamed")
    again = [{file.name for file in part.files} for part in split(find(tmp_path / "renamed", wanted), 0.25, 3)]
    assert again == by_bytes
    with pytest.raises(DataError, match="matches nothing in"):
        split(whole, 0.25, 0, "nobody")


def test_a_limit_is_spread_over_the_classes() -> None:
    """Sorted by class or not; fewer samples than the limit stay as they are."""
    whole = found(100, 4)
    for one in (whole, whole.rows(np.argsort(whole.samples.labels, kind="stable"))):  # type: ignore[arg-type]
        part = limited(one, 20)
        assert part.samples.labels is not None
        assert np.bincount(part.samples.labels).tolist() == [5] * 4
    assert limited(whole, 100) is whole
    assert limited(whole, None) is whole
    assert len(limited(found(100, 0), 7).samples) == 7
