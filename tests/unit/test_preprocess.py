"""Preprocessing: the documented arithmetic is what Pillow does, so that apps can follow it to the bit."""

import io
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.place import crop_box
from edgekit.data.preprocess import open_picture, to_array
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize

Bytes = npt.NDArray[np.uint8]
FILTERS: dict[str, tuple[int, Callable[[float], float]]] = {
    "bilinear": (1, lambda x: max(1.0 - abs(x), 0.0)),
    "bicubic": (2, lambda x: _bicubic(abs(x))),
}


def _bicubic(x: float, a: float = -0.5) -> float:
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def documented_pass(pixels: Bytes, wanted: int, name: str) -> Bytes:
    """Resize the first axis as the module's docstring says."""
    size = len(pixels)
    if size == wanted:
        return pixels
    half_width, weigh = FILTERS[name]
    scale = size / wanted
    stretch = max(scale, 1.0)
    reach = half_width * stretch
    rows = []
    for i in range(wanted):
        c = (i + 0.5) * scale
        first, last = math.trunc(max(c - reach + 0.5, 0)), math.trunc(min(c + reach + 0.5, size))
        weights = [weigh((j - c + 0.5) * (1.0 / stretch)) for j in range(first, last)]
        total = sum(weights)
        fixed = [math.trunc(math.copysign(0.5, w) + w / total * 2**22) for w in weights]
        rows.append((np.tensordot(np.array(fixed), pixels[first:last].astype(np.int64), 1) + 2**21) >> 22)
    return np.clip(np.stack(rows), 0, 255).astype(np.uint8)


def documented_places(size: int, wanted: int) -> list[int]:
    """Return the pixels that ``nearest`` takes, as the module's docstring says."""
    scale = size / wanted
    steps = itertools.accumulate([scale] * (wanted - 1), initial=scale / 2)
    return [math.trunc(p) for p in steps]


def documented_resize(pixels: Bytes, height: int, width: int, name: str) -> Bytes:
    """Resize (H, W, C) as the module's docstring says."""
    if name == "nearest":
        rows, columns = documented_places(pixels.shape[0], height), documented_places(pixels.shape[1], width)
        return pixels[rows][:, columns]
    columns_done = documented_pass(pixels.swapaxes(0, 1), width, name).swapaxes(0, 1)
    return documented_pass(columns_done, height, name)


def bytes_spec(height: int, width: int, **changes: Any) -> Preprocessing:
    """Return steps that leave the resized bytes as they are, as float32 of shape (1, H, W, C)."""
    resize = Resize(
        height=height, width=width, mode=changes.pop("mode", "stretch"), filter=changes.pop("filter", "bilinear")
    )
    return Preprocessing(resize=resize, scale=1.0, layout="NHWC", **changes)


def pixels_of(image: Image.Image, **changes: Any) -> Bytes:
    """Return the bytes before the arithmetic, at the picture's own size."""
    array: npt.NDArray[np.float32] = to_array(image, bytes_spec(image.height, image.width, **changes))[0]
    return array.astype(np.uint8)


def random_pixels(seed: int, *shape: int) -> Bytes:
    """Return random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    wanted=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    name=st.sampled_from(["nearest", "bilinear", "bicubic"]),
)
def test_the_documented_resize_is_what_happens(
    seed: int, size: tuple[int, int], wanted: tuple[int, int], name: Literal["nearest", "bilinear", "bicubic"]
) -> None:
    """Every filter gives the documented bytes, larger and smaller."""
    pixels = random_pixels(seed, *size, 3)
    array = to_array(Image.fromarray(pixels), bytes_spec(*wanted, filter=name))[0]
    np.testing.assert_array_equal(array, documented_resize(pixels, *wanted, name))


def test_the_documented_resize_tells_filters_apart() -> None:
    """The comparison can fail: another filter gives other bytes."""
    pixels = random_pixels(0, 20, 20, 3)
    array = to_array(Image.fromarray(pixels), bytes_spec(8, 8, filter="bilinear"))[0]
    assert (array != documented_resize(pixels, 8, 8, "bicubic")).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), background=st.integers(0, 255))
def test_transparency_is_laid_over_the_background(seed: int, background: int) -> None:
    """Transparent pixels follow the documented integer formula."""
    pixels = random_pixels(seed, 9, 7, 4)
    s, a = pixels[:, :, :3].astype(np.int64), pixels[:, :, 3:].astype(np.int64)
    t = (s * a + background * (255 - a) + 128) << 7
    np.testing.assert_array_equal(pixels_of(Image.fromarray(pixels), background=background), (((t >> 8) + t) >> 8) >> 7)


@given(seed=st.integers(0, 2**32 - 1))
def test_grey_is_the_documented_luma(seed: int) -> None:
    """Grey follows the documented integer formula."""
    pixels = random_pixels(seed, 9, 7, 3)
    red, green, blue = np.moveaxis(pixels.astype(np.int64), 2, 0)
    grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    np.testing.assert_array_equal(pixels_of(Image.fromarray(pixels), color="grey")[:, :, 0], grey)


@given(seed=st.integers(0, 2**32 - 1))
def test_cmyk_is_converted_as_documented(seed: int) -> None:
    """CMYK follows the documented integer formula."""
    pixels = random_pixels(seed, 9, 7, 4)
    inks, n = pixels[:, :, :3].astype(np.int64), 255 - pixels[:, :, 3:].astype(np.int64)
    v = inks * n
    expected = n - ((((v + 128) >> 8) + v + 128) >> 8)
    np.testing.assert_array_equal(pixels_of(Image.frombytes("CMYK", (7, 9), pixels.tobytes())), expected)


def test_grey_pictures_keep_their_values() -> None:
    """A grey picture is the same grey after the way through RGB, whatever its mode."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(grey)
    assert (pixels_of(image, color="grey")[:, :, 0] == grey).all()
    assert (pixels_of(image)[:, :, 2] == grey).all()
    assert (pixels_of(image.convert("LA"), color="grey")[:, :, 0] == grey).all()
    black_and_white = image.convert("1", dither=Image.Dither.NONE)
    assert set(np.unique(pixels_of(black_and_white, color="grey"))) == {0, 255}


def test_sixteen_bits_lose_the_lower_eight() -> None:
    """16-bit grey is shifted, not clipped as Pillow's own conversion does."""
    values = np.array([[0, 255, 256, 40000, 65535]], dtype=np.uint16)
    assert pixels_of(Image.fromarray(values), color="grey").ravel().tolist() == [0, 0, 1, 156, 255]


def test_transparent_palette() -> None:
    """A palette with one transparent colour shows the background there."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.info["transparency"] = 1
    assert pixels_of(image, background=7).reshape(-1, 3).tolist() == [[10, 20, 30], [7, 7, 7]]
    assert pixels_of(Image.new("LA", (1, 1), (200, 0)), background=7).ravel().tolist() == [7, 7, 7]


def test_bgr_and_layout() -> None:
    """The colour order turns the channels round, the layout moves their axis."""
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    assert pixels_of(image, color="bgr")[0, 0].tolist() == [3, 2, 1]
    spec = bytes_spec(2, 3).model_copy(update={"layout": "NCHW"})
    assert to_array(image, spec).shape == (1, 3, 2, 3)
    assert to_array(image, bytes_spec(2, 3)).shape == (1, 2, 3, 3)


def test_each_step_is_rounded_to_float32() -> None:
    """Scale, mean and standard deviation are applied one after the other in float32, per channel."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    spec = Preprocessing(resize=Resize(height=1, width=1), mean=mean, std=std)
    array = to_array(Image.new("RGB", (1, 1), (17, 130, 255)), spec)
    assert array.dtype == np.float32
    for channel, value in enumerate((17, 130, 255)):
        x = np.float32(np.float32(value) * np.float32(1 / 255))
        x = np.float32(np.float32(x - np.float32(mean[channel])) / np.float32(std[channel]))
        assert array[0, channel, 0, 0] == x


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    """A picture that a phone took upright comes out upright, from a file and from memory."""
    pixels = np.zeros((2, 4, 3), dtype=np.uint8)
    pixels[:, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    for suffix in ("png", "tiff"):
        file = tmp_path / f"turned.{suffix}"
        Image.fromarray(pixels).save(file, exif=exif)
        picture = open_picture(file)
        assert picture.size == (2, 4)
        assert to_array(picture, bytes_spec(4, 2))[0, :, 0, 0].tolist() == [255, 0, 0, 0]


@given(
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)), wanted=st.tuples(st.integers(1, 64), st.integers(1, 64))
)
def test_the_crop_box_covers_and_is_central(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    """The box lies inside the picture, fills one side, is central, and has the aspect within half a pixel."""
    (width, height), resize = size, Resize(height=wanted[0], width=wanted[1], mode="cover")
    left, top, right, bottom = crop_box(width, height, resize)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (right - left == width) or (bottom - top == height)
    assert 0 <= (width - right) - left <= 1
    assert 0 <= (height - bottom) - top <= 1
    if right - left < width and right - left > 1:
        assert abs((right - left) - height * resize.width / resize.height) <= 0.5
    if bottom - top < height and bottom - top > 1:
        assert abs((bottom - top) - width * resize.height / resize.width) <= 0.5


def test_cover_ignores_what_it_crops() -> None:
    """Nothing outside of the box has an influence; ``stretch`` sees all of it."""
    pixels = random_pixels(1, 10, 30, 3)
    other = pixels.copy()
    other[:, :10] = 0
    other[:, 20:] = 255
    for mode, same in (("cover", True), ("stretch", False)):
        first, second = (to_array(Image.fromarray(p), bytes_spec(4, 4, mode=mode)) for p in (pixels, other))
        assert (first == second).all() == same
    square = to_array(Image.fromarray(pixels[:, 10:20]), bytes_spec(4, 4))
    assert (to_array(Image.fromarray(pixels), bytes_spec(4, 4, mode="cover")) == square).all()


def test_unsupported_pixels_are_refused() -> None:
    """32-bit and floating-point pictures have no known range."""
    with pytest.raises(DataError, match="mode F are not supported"):
        to_array(Image.new("F", (1, 1)), bytes_spec(1, 1))


def test_unreadable_pictures(tmp_path: Path) -> None:
    """Missing, damaged, truncated and foreign files are named."""
    whole = io.BytesIO()
    Image.fromarray(random_pixels(0, 40, 40, 3)).save(whole, "PNG")
    contents = {"no.png": b"not a picture", "half.png": whole.getvalue()[:2000], "empty.png": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "missing.png"):
        with pytest.raises(DataError, match=name):
            open_picture(tmp_path / name)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspiciously large picture is refused, whether Pillow warns of it or refuses it itself."""
    file = tmp_path / "bomb.png"
    Image.new("L", (100, 100)).save(file)
    for limit in (9000, 900):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"bomb.png is too large"):
            open_picture(file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10000)
    assert open_picture(file).size == (100, 100)
