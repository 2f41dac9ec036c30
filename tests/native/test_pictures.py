"""Pictures become inputs in the native program to the bit as in Python: decoded alike, and preprocessed alike."""

import ctypes
import io
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edgekit import bundles
from edgekit.data.preprocess import open_picture, to_array
from tests.native.conftest import WITH_JPEG, Folder

VECTORS = Path(__file__).parent.parent / "vectors" / "preprocessing"
pytestmark = pytest.mark.slow


def pixels() -> npt.NDArray[np.uint8]:
    """A picture of 4 channels with flat and with noisy places."""
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 4), dtype=np.uint8)
    return np.repeat(np.repeat(noise, 3, 0), 2, 1)


def png(depth: int, color: int, channels: int, *extra: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    """A PNG of random bits, written by hand in every filter: kinds that Pillow does not write."""
    width, height, generator = 29, 23, np.random.default_rng(depth * 10 + color)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    data = b""
    for x, y, step_x, step_y in passes if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        size = (columns * channels * depth + 7) // 8
        for row in range(rows):
            data += bytes([row % 5]) + generator.integers(0, 256, size, dtype=np.uint8).tobytes()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, color, 0, 0, int(interlaced)])
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in parts
    )


def pictures() -> dict[str, bytes]:
    """All kinds of files, by name."""
    data, found = pixels(), {}
    rgb, grey = Image.fromarray(data[..., :3]), Image.fromarray(data[..., 0])
    turned = Image.Exif()
    turned[0x112] = 6

    def add(name: str, image: Image.Image, **options: Any) -> None:
        buffer = io.BytesIO()
        kind = name.rpartition(".")[2].upper()
        image.save(buffer, "PPM" if kind == "PGM" else kind, **options)
        found[name] = buffer.getvalue()

    for level in (0, 1, 9):
        add(f"rgb{level}.png", rgb, compress_level=level)
    add("rgba.png", Image.fromarray(data))
    add("la.png", Image.merge("LA", (grey, Image.fromarray(data[..., 1]))))
    add("turned.png", grey, exif=turned)
    add("palette.png", rgb.quantize(37), transparency=b"\x00\x40\x80")
    add("sixteen.png", Image.fromarray(data[..., 0].astype(np.uint16) << 8 | data[..., 1]))
    add("key.png", rgb, transparency=tuple(map(int, data[0, 0, :3])))
    add("grey.pgm", grey)
    add("rgb.ppm", rgb)
    if WITH_JPEG:
        add("turned.jpeg", rgb, exif=turned, quality=83)
        add("grey.jpeg", grey)
        add("progressive.jpeg", rgb, progressive=True, subsampling=0)
    palette = (b"PLTE", np.random.default_rng(3).integers(0, 256, 768, dtype=np.uint8).tobytes())
    for interlaced in (False, True):
        for depth in (1, 2, 4, 8, 16):
            found[f"grey-{depth}-{interlaced}.png"] = png(depth, 0, 1, interlaced=interlaced)
            if depth < 16:
                found[f"palette-{depth}-{interlaced}.png"] = png(depth, 3, 1, palette, interlaced=interlaced)
            if depth >= 8:
                for color, channels in ((2, 3), (4, 2), (6, 4)):
                    found[f"{color}-{depth}-{interlaced}.png"] = png(depth, color, channels, interlaced=interlaced)
    return found


def test_every_kind_of_picture_is_decoded_as_pillow_does(made: Folder, tmp_path: Path) -> None:
    """The answer to the file is the answer to what Python makes of it."""
    steps = bundles.read(made.bundle).preprocessing
    assert steps is not None
    wrong = []
    for name, data in pictures().items():
        path = tmp_path / name
        path.write_bytes(data)
        (tmp_path / "input.bin").write_bytes(to_array(open_picture(path), steps).tobytes())
        answers = []
        for file in (path, tmp_path / "input.bin"):
            ran = made.run("predict", "--input", file, "--output", tmp_path)
            answers.append((ran.code, ran.err, (tmp_path / "output.npy").read_bytes()))
        if answers[0] != answers[1]:
            wrong.append((name, answers[0][:2]))
    assert not wrong


def test_a_picture_that_is_not_read_is_refused(made: Folder, tmp_path: Path) -> None:
    """By its reason."""
    buffer = io.BytesIO()
    Image.fromarray(pixels()[..., :3]).save(buffer, "PNG")
    whole = bytearray(buffer.getvalue())
    whole[len(whole) // 2] ^= 1
    cases = {
        "damaged.png": (bytes(whole), "the PNG is damaged: a checksum"),
        "short.png": (buffer.getvalue()[:200], "the PNG is damaged: it ends early"),
        "deep.ppm": (b"P6 1 1 65535\n" + bytes(6), "the PNM's maximum is not 255"),
        "large.ppm": (b"P6 100000 100000 255\n" + bytes(6), "the picture has too many pixels"),
        "short.ppm": (b"P6 10 10 255\n" + bytes(6), "the PNM ends early"),
        "damaged.jpg": (b"\xff\xd8\xff\xe0 and no more", "the JPEG is damaged" if WITH_JPEG else "without libjpeg"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        ran = made.run("predict", "--input", tmp_path / name)
        assert (ran.code, len(ran.err.splitlines())) == (6, 1), ran
        assert words in ran.err


def test_the_shared_vectors_hold_in_the_c_interface(made: Folder) -> None:
    """Every case that the apps are held against, through edgekit_picture: to the bit."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.native.test_pictures import main; main()", made.path, VECTORS],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "cases": len(json.loads((VECTORS / "cases.json").read_text("utf-8"))),
        "wrong": [],
    }


class Tensor(ctypes.Structure):
    """``edgekit_tensor`` of edgekit.h."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("rank", ctypes.c_size_t),
        ("sizes", ctypes.c_int64 * 16), ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t),
    )  # fmt: skip


def main() -> None:
    """Be a program that embeds the model: load the library, and hold it against the vectors."""
    folder, vectors = map(Path, sys.argv[1:])
    library = ctypes.CDLL(str(folder / "libedgekit.so"))
    library.edgekit_message.restype = ctypes.c_char_p
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    model = (folder / "model.pte").read_bytes()
    buffer = ctypes.create_string_buffer(len(model) + 16)
    address = -(-ctypes.addressof(buffer) // 16) * 16
    ctypes.memmove(address, model, len(model))
    cases, wrong = json.loads((vectors / "cases.json").read_text("utf-8")), []
    for case in cases:
        text = json.dumps({**manifest, "preprocessing": case["preprocessing"]}).encode()
        handle, found, picture = ctypes.c_void_p(), Tensor(), case["picture"]
        arguments = (text, ctypes.c_size_t(len(text)), ctypes.c_void_p(address), ctypes.c_size_t(len(model)))
        status = library.edgekit_open_memory(*arguments, ctypes.byref(handle))
        if status == 0:
            size = (picture[key] for key in ("width", "height", "channels", "orientation"))
            bytes_ = (vectors / picture["file"]).read_bytes()
            status = library.edgekit_picture(handle, bytes_, *size, ctypes.byref(found))
        expected = (vectors / case["expected"]["file"]).read_bytes()
        right = status == 0 and ctypes.string_at(found.data, found.bytes) == expected
        shape = list(found.sizes[: found.rank])
        if not right or shape != case["expected"]["shape"] or found.dtype.decode() != case["expected"]["dtype"]:
            wrong.append([case["name"], status, library.edgekit_message().decode()])
        library.edgekit_close(handle)
    sys.stdout.write(json.dumps({"cases": len(cases), "wrong": wrong}))
