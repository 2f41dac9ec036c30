"""Pictures are resized, cut and padded as the libraries that people train with do it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.place import placed
from edgekit.data.preprocess import to_array
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize

Bytes = npt.NDArray[np.uint8]
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def pixels(seed: int, height: int, width: int) -> Bytes:
    """Return a picture with smooth parts and edges."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize((width, height))
    found: Bytes = np.asarray(coarse) ^ (random.random((height, width, 1)) < 0.1).astype(np.uint8) * np.uint8(200)
    return found


def resized(picture: Bytes, **resize: Any) -> Bytes:
    """Return the bytes of the input, of shape (H, W, 3)."""
    spec = Preprocessing(resize=Resize(**resize), layout="NHWC", in_graph=True)
    found: Bytes = to_array(Image.fromarray(picture), spec)[0]
    assert found.dtype == np.uint8
    return found


def torchvision(picture: Image.Image, shorter: int, size: tuple[int, int]) -> Image.Image:
    """Return what torchvision's ``Resize(shorter)`` and ``CenterCrop(size)`` make of a Pillow picture.

    Its own lines, of ``_compute_resized_output_size`` and ``center_crop`` in ``transforms/functional.py``.
    """
    w, h = picture.size
    short, long = (w, h) if w <= h else (h, w)
    new_short, new_long = shorter, int(shorter * long / short)
    new_w, new_h = (new_short, new_long) if w <= h else (new_long, new_short)
    picture = picture.resize((new_w, h), Image.Resampling.BILINEAR).resize((new_w, new_h), Image.Resampling.BILINEAR)
    (crop_height, crop_width), (image_width, image_height) = size, picture.size
    if crop_width > image_width or crop_height > image_height:
        left = (crop_width - image_width) // 2 if crop_width > image_width else 0
        top = (crop_height - image_height) // 2 if crop_height > image_height else 0
        right = (crop_width - image_width + 1) // 2 if crop_width > image_width else 0
        bottom = (crop_height - image_height + 1) // 2 if crop_height > image_height else 0
        padded = Image.new(picture.mode, (image_width + left + right, image_height + top + bottom))
        padded.paste(picture, (left, top))
        picture, (image_width, image_height) = padded, padded.size
    crop_top = round((image_height - crop_height) / 2.0)
    crop_left = round((image_width - crop_width) / 2.0)
    return picture.crop((crop_left, crop_top, crop_left + crop_width, crop_top + crop_height))


@settings(max_examples=150, deadline=None)
@given(
    size=SIZES,
    wanted=st.tuples(st.integers(4, 30), st.integers(4, 30)),
    shorter=st.integers(1, 32),
    seed=st.integers(0, 9),
)
def test_shorter_is_torchvisions(size: tuple[int, int], wanted: tuple[int, int], shorter: int, seed: int) -> None:
    """To the bit, larger and smaller, with crops that reach beyond the picture."""
    picture = pixels(seed, *size)
    expected = np.asarray(torchvision(Image.fromarray(picture), shorter, wanted))
    found = resized(picture, height=wanted[0], width=wanted[1], mode="shorter", shorter=shorter)
    np.testing.assert_array_equal(found, expected)


def test_shorter_is_not_cover() -> None:
    """The comparison can fail: another way to crop gives other bytes."""
    picture = pixels(0, 50, 70)
    expected = np.asarray(torchvision(Image.fromarray(picture), 32, (28, 28)))
    assert (resized(picture, height=28, width=28, mode="cover") != expected).any()


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    wanted=st.tuples(st.integers(32, 640), st.integers(32, 640)),
)
def test_letterbox_is_ultralytics(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    """The picture's size and place are those of Ultralytics' ``LetterBox(auto=False)``: its own lines."""
    shape, new_shape = size, wanted
    r = min(new_shape[0] / shape[0], new_shape[1] / shape[1])
    new_unpad = round(shape[1] * r), round(shape[0] * r)
    dw, dh = new_shape[1] - new_unpad[0], new_shape[0] - new_unpad[1]
    top, left = round(dh / 2 - 0.1), round(dw / 2 - 0.1)
    place = placed(size[1], size[0], Resize(height=wanted[0], width=wanted[1], mode="letterbox"))
    if min(new_unpad) > 0:  # else it fails
        assert (place.width, place.height, place.left, place.top) == (*new_unpad, left, top)


def test_letterbox_fills_with_its_grey() -> None:
    """Above and below, or at both sides; the picture between them is the whole picture resized."""
    picture = pixels(3, 20, 40)
    found = resized(picture, height=32, width=32, mode="letterbox", pad=114)
    assert (found[:8] == 114).all()
    assert (found[24:] == 114).all()
    np.testing.assert_array_equal(found[8:24], resized(picture, height=16, width=32))
    turned = resized(np.ascontiguousarray(picture.swapaxes(0, 1)), height=32, width=32, mode="letterbox", pad=114)
    assert (turned[:, :8] == 114).all()
    assert (turned[:, 8:24] != 114).any()


@settings(max_examples=100, deadline=None)
@given(size=SIZES, wanted=SIZES, name=st.sampled_from(["bilinear", "bicubic"]), seed=st.integers(0, 9))
def test_without_antialias_it_is_torchs(size: tuple[int, int], wanted: tuple[int, int], name: str, seed: int) -> None:
    """``interpolate(antialias=False)`` in float, to the rounding of two passes; OpenCV has the same places, too."""
    picture = pixels(seed, *size)
    found = resized(picture, height=wanted[0], width=wanted[1], filter=name, antialias=False)
    floats = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].double()
    exact = torch.nn.functional.interpolate(floats, wanted, mode=name, align_corners=False).clamp(0, 255)
    apart = np.abs(found - exact[0].permute(1, 2, 0).numpy())
    # A byte between the passes is off by half, which a bicubic weighs with up to 1.4, and clamps before the sum.
    assert apart.max() <= (1.01 if name == "bilinear" else 60)
    assert np.quantile(apart, 0.9) <= 1.3


def test_antialias_makes_a_difference_where_pictures_become_smaller() -> None:
    """And none where they become larger with two taps."""
    picture = pixels(1, 60, 60)
    for wanted, same in ((20, False), (90, True)):
        first, second = (
            resized(picture, height=wanted, width=wanted, antialias=antialias) for antialias in (True, False)
        )
        assert (np.abs(first.astype(int) - second) <= 1).all() == same


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        ({"height": 20_000, "width": 20_000}, "pixels that an input may have"),
        ({"height": 224, "width": 224, "mode": "shorter", "shorter": 20_000}, "8 times the size"),
        ({"height": 224, "width": 224, "mode": "shorter"}, "shorter stands beside"),
        ({"height": 224, "width": 224, "shorter": 256}, "shorter stands beside"),
        ({"height": 224, "width": 224, "mode": "letterbox", "pad": 256}, "less than or equal to 255"),
    ],
)
def test_sizes_that_no_input_has(resize: dict[str, Any], expected: str) -> None:
    """Are refused as values, before any picture is read."""
    with pytest.raises(ValueError, match=expected):
        Resize(**resize)


def test_a_picture_that_would_be_resized_to_too_much() -> None:
    """Two pixels by two million, of which a small square would be kept, are refused before the work."""
    thin = Image.new("RGB", (2, 2_000_000))
    with pytest.raises(DataError, match="would be resized to 224 x 224000000"):
        to_array(thin, Preprocessing(resize=Resize(height=224, width=224, mode="shorter", shorter=224)))


def test_bytes_are_normalised_later() -> None:
    """With ``in_graph`` the same bytes come out that ``scale``, ``mean`` and ``std`` would be applied to."""
    picture = Image.fromarray(pixels(0, 9, 9))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    steps = Preprocessing(resize=Resize(height=5, width=4), mean=mean, std=std, color="bgr")
    before, after = to_array(picture, steps.model_copy(update={"in_graph": True})), to_array(picture, steps)
    assert before.dtype == np.uint8
    assert before.shape == after.shape
    x = before.astype(np.float32) * np.float32(1 / 255)
    shift, width = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (mean, std))
    np.testing.assert_array_equal((x - shift) / width, after)
