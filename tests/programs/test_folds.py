"""Folds: samples that look alike stay together."""

import numpy as np
import pytest

from edgekit.data.samples import Samples
from edgekit.quantization.folds import halves


def crops(sources: int, each: int, shape: tuple[int, ...], seed: int) -> tuple[Samples, np.ndarray]:
    """Return crops of sources that differ in brightness and contrast, in random order, and where each is from."""
    rng = np.random.default_rng(seed)
    origin = rng.permutation(np.repeat(np.arange(sources), each))
    bright, contrast = rng.uniform(0, 1, (sources, shape[0])), rng.uniform(0.05, 0.3, sources)
    noise = rng.standard_normal((len(origin), *shape))
    wide = bright[origin].reshape(len(origin), shape[0], *[1] * (len(shape) - 1))
    pictures = wide + contrast[origin].reshape(-1, *[1] * len(shape)) * noise
    return Samples(inputs={"image": pictures.astype(np.float32)}), origin


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 64), (40,)])
@pytest.mark.parametrize("sources", [2, 4])
def test_crops_of_one_picture_stay_together(sources: int, shape: tuple[int, ...]) -> None:
    """Those in the middle alone are parted."""
    samples, origin = crops(sources, 16, shape, seed=len(shape))
    together = [
        set(
            origin[
                [
                    int(np.flatnonzero((samples.array("image") == row).all(axis=tuple(range(1, row.ndim + 1))))[0])
                    for row in half.array("image")
                ]
            ].tolist()
        )
        for half in halves(samples)
    ]
    assert [len(half) for half in halves(samples)] == [8 * sources, 8 * sources]
    assert len(together[0] & together[1]) <= sources // 2


def test_every_sample_is_in_one_half() -> None:
    """Also of integers, and of an odd number."""
    samples = Samples(inputs={"ids": np.random.default_rng(0).integers(0, 1000, (33, 12))})
    rows = np.concatenate([half.array("ids") for half in halves(samples)])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, samples.array("ids").tolist()))


@pytest.mark.parametrize("count", [1, 7])
def test_few_samples_are_one_fold(count: int) -> None:
    """They tell nothing of each other."""
    (only,) = halves(Samples(inputs={"x": np.zeros((count, 3), np.float32)}))
    assert len(only) == count


def test_samples_that_are_all_alike_are_parted_all_the_same() -> None:
    """There is no direction to part them by."""
    assert [len(half) for half in halves(Samples(inputs={"x": np.ones((16, 3), np.float32)}))] == [8, 8]
