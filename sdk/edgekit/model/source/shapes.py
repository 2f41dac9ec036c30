"""Shapes that an input may have, by the layers of a model: its first layer tells channels, features or a vocabulary."""

import math
from collections.abc import Iterator

from torch import Tensor, nn

Sizes = tuple[int, ...]

# What pictures of usual networks measure, the commonest first, and what sequences do.
_SIDES = (224, 32, 28, 64, 96, 128, 160, 192, 256, 299, 320, 384, 416, 448, 512, 640, 48, 16, 8)
_LENGTHS = (128, 64, 256, 100, 1000, 512, 32, 16, 16000)
_VOLUMES = ((16, 112, 112), (32, 32, 32), (64, 64, 64), (16, 16, 16), (8, 8, 8))
_FIRST = 3


def shapes(model: nn.Module, size: tuple[int, int] | None, *, grey: bool) -> Iterator[tuple[Sizes, str]]:
    """Yield shapes without the batch that are worth trying, the likeliest first, each with what tells it.

    Args:
        model: The model.
        size: Height and width of the pictures that it is for, where they are known and all the same.
        grey: Whether the pictures are grey.
    """
    seen = set()
    for layer in _first_layers(model):
        for sizes, reason in _of_layer(layer, size, grey=grey):
            if sizes not in seen:
                seen.add(sizes)
                yield sizes, reason


def _first_layers(model: nn.Module) -> list[nn.Module]:
    """Return the first layers that say something of their input, in the order that the model defines them in."""
    found: list[nn.Module] = []
    for module in model.modules():
        if next(_of_layer(module, None, grey=False), None) and _kind(module) not in map(_kind, found):
            found.append(module)
    return found[:_FIRST]


def _kind(layer: nn.Module) -> tuple[type, int]:
    """Return what layers are alike by: those of TorchScript have one class, and differ by the shape of their weight."""
    weight = getattr(layer, "weight", None)
    return type(layer), weight.dim() if isinstance(weight, Tensor) else 0


def _of_layer(layer: nn.Module, size: tuple[int, int] | None, *, grey: bool) -> Iterator[tuple[Sizes, str]]:
    what = type(layer).__name__
    match layer:
        case nn.Conv2d(in_channels=count) | nn.ConvTranspose2d(in_channels=count):
            yield from _pictures(count, size, f"{what} of {count} channels")
        case nn.BatchNorm2d(num_features=count) | nn.InstanceNorm2d(num_features=count):
            yield from _pictures(count, size, f"{what} of {count} channels")
        case nn.Linear(in_features=count):
            yield from _features(count, size, f"{what} of {count} features", grey=grey)
        case nn.Conv3d(in_channels=count) | nn.ConvTranspose3d(in_channels=count):
            yield from (((count, *volume), f"{what} of {count} channels") for volume in _VOLUMES)
        case _ if next(_sequences(layer, what), None):
            yield from _sequences(layer, what)
        case _ if type(layer).__module__.partition(".")[0] != "torch":
            yield from _by_weight(layer, size, grey=grey)


def _sequences(layer: nn.Module, what: str) -> Iterator[tuple[Sizes, str]]:
    match layer:
        case nn.Conv1d(in_channels=count) | nn.ConvTranspose1d(in_channels=count):
            yield from (((count, length), f"{what} of {count} channels") for length in _LENGTHS)
        case nn.Embedding(num_embeddings=count) | nn.EmbeddingBag(num_embeddings=count):
            yield from (((length,), f"{what} of {count} rows") for length in _LENGTHS)
            yield (), f"{what} of {count} rows"
        case nn.BatchNorm1d(num_features=count):
            yield (count,), f"{what} of {count} features"
            yield from (((count, length), f"{what} of {count} channels") for length in _LENGTHS)
        case nn.RNNBase(input_size=count) | nn.MultiheadAttention(embed_dim=count):
            yield from (((length, count), f"{what} of {count} features") for length in _LENGTHS)
        case nn.LayerNorm(normalized_shape=shape):
            yield tuple(shape), f"{what} of this shape"
            yield from (((length, *shape), f"{what} of this shape") for length in _LENGTHS)


def _by_weight(layer: nn.Module, size: tuple[int, int] | None, *, grey: bool) -> Iterator[tuple[Sizes, str]]:
    """Yield shapes for a layer of unknown class, as TorchScript has, by the shape of its weight."""
    match getattr(layer, "weight", None):
        case Tensor(shape=(_, count, _, _)):
            yield from _pictures(count, size, f"a weight for {count} channels")
        case Tensor(shape=(_, count, _)):
            yield from (((count, length), f"a weight for {count} channels") for length in _LENGTHS)
        case Tensor(shape=(_, count, _, _, _)):
            yield from (((count, *volume), f"a weight for {count} channels") for volume in _VOLUMES)
        case Tensor(shape=(_, count)):
            yield from _features(count, size, f"a weight for {count} features", grey=grey)


def _pictures(channels: int, size: tuple[int, int] | None, reason: str) -> Iterator[tuple[Sizes, str]]:
    if size is not None and max(size) <= _SIDES[0] * 3:
        yield (channels, *size), f"{reason}, pictures of {size[0]}x{size[1]}"
    yield from (((channels, side, side), f"{reason}, a usual size") for side in _SIDES)
    if channels in (1, 3):
        yield from (((side, side, channels), f"{reason}, channels last, a usual size") for side in _SIDES[:4])


def _features(count: int, size: tuple[int, int] | None, reason: str, *, grey: bool) -> Iterator[tuple[Sizes, str]]:
    """Yield the features by themselves, those of a sequence, and pictures that have as many values."""
    plain = [((count,), reason), *(((length, count), f"{reason}, in a sequence") for length in _LENGTHS[:3])]
    sides = ((number, math.isqrt(count // number)) for number in (1, 3))
    square = [
        ((number, side, side), f"{reason}, as many as a picture has")
        for number, side in sides
        if side > 1 and number * side * side == count
    ]
    if size is not None:
        given = [(number, *size) for number in ((1, 3) if grey else (3, 1)) if number * size[0] * size[1] == count]
        yield from ((sizes, f"{reason}, pictures of {size[0]}x{size[1]}") for sizes in given)
        yield from square
    yield from plain
    yield from square
