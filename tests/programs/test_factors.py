"""Channels are followed through views and permutations: what is said of an axis is what lies there."""

import math
import random

import pytest
import torch
from torch import Tensor, fx

from edgekit.quantization.factors import Factors, through

_aten = torch.ops.aten


def shape_of(generator: random.Random, count: int) -> list[int]:
    """Return a shape that holds so many numbers."""
    shape = []
    while count > 1:
        divisors = [one for one in range(2, count + 1) if count % one == 0]
        shape.append(generator.choice(divisors))
        count //= shape[-1]
    generator.shuffle(shape)
    return shape or [1]


def followed(numbers: Tensor, factors: Factors, generator: random.Random) -> tuple[Tensor, Factors]:
    """Take one step, of numbers of channels and of what is known of their places."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    value.meta["val"] = numbers
    if generator.random() < 0.5:
        order = list(range(numbers.dim()))
        generator.shuffle(order)
        step = graph.call_function(_aten.permute.default, (value, order))
        after = numbers.permute(order)
    else:
        shape = shape_of(generator, numbers.numel())
        step = graph.call_function(_aten.reshape.default, (value, shape))
        after = numbers.reshape(shape)
    step.meta["val"] = after
    found = through(step, factors)
    assert found is not None
    return after, found


@pytest.mark.parametrize("seed", range(60))
def test_an_axis_holds_the_channels_that_are_said(seed: int) -> None:
    """Whatever is taken along it; and sizes stay those of all channels."""
    generator = random.Random(seed)  # noqa: S311 - shapes, no secrets
    before, channels, behind = generator.choice([1, 2, 6]), generator.choice([4, 12, 30]), generator.choice([1, 4, 6])
    numbers = torch.arange(channels)[None, :, None].expand(before, channels, behind)
    factors = Factors(sizes=(channels,), axes=(1,))
    for _ in range(4):
        numbers, factors = followed(numbers, factors, generator)
        assert math.prod(factors.sizes) == channels
        for factor, axis in enumerate(factors.axes):
            if axis is None:
                continue
            assert numbers.shape[axis] == factors.sizes[factor]
            for start in range(factors.sizes[factor]):
                there = sorted(set(numbers.narrow(axis, start, 1).flatten().tolist()))
                assert tuple(there) == factors.channels(factor, start, start + 1)


def test_what_is_split_and_kept_apart_is_found() -> None:
    """Anchors beside places: the numbers of each anchor are followed, the anchors are merged with the places."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    value.meta["val"] = torch.zeros(2, 8, 8, 255)
    step = graph.call_function(_aten.reshape.default, (value, [2, -1, 85]))
    step.meta["val"] = torch.zeros(2, 192, 85)
    found = through(step, Factors(sizes=(255,), axes=(3,)))
    assert found == Factors(sizes=(3, 85), axes=(None, 2))
    assert found is not None
    assert found.at(1) is None
    assert found.channels(1, 0, 2) == (0, 1, 85, 86, 170, 171)


def test_anything_else_is_not_followed() -> None:
    """It computes, or takes other values as well."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    value.meta["val"] = torch.zeros(2, 6)
    step = graph.call_function(_aten.add.Tensor, (value, 1))
    step.meta["val"] = torch.zeros(2, 6)
    assert through(step, Factors(sizes=(6,), axes=(1,))) is None
