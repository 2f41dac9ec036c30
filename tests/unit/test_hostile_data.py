"""Whatever the bytes of data are, reading them ends in samples or in a DataError, soon and in little memory."""

import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from edgekit.data.files import load_samples
from edgekit.errors import DataError
from edgekit.spec import Preprocessing, Resize, TensorSpec

IMAGE = (TensorSpec(name="image", shape=("batch", 3, 4, 4), meaning="image"),)
STEPS = Preprocessing(resize=Resize(height=4, width=4))
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
MUTANTS = 150


def picture(kind: str) -> Callable[[Path], None]:
    """Return what writes a picture of a kind, with EXIF data where it has any."""

    def write(path: Path) -> None:
        image = Image.fromarray(PIXELS)
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, format=kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))

    return write


def arrays(path: Path) -> None:
    """Write an archive."""
    np.savez_compressed(path, pictures=np.stack([PIXELS] * 3), labels=np.arange(3))


KINDS: dict[str, Callable[[Path], object]] = {
    "a.jpg": picture("JPEG"), "a.png": picture("PNG"), "a.webp": picture("WEBP"), "a.tif": picture("TIFF"),
    "a.gif": picture("GIF"), "a.bmp": picture("BMP"), "a.ppm": picture("PPM"),
    "a.npz": arrays,
    "stored.npz": lambda path: np.savez(path, pictures=np.stack([PIXELS] * 3)),
    "a.npy": lambda path: np.save(path, np.stack([PIXELS] * 3)),
    "a.safetensors": lambda path: save_file({"pictures": np.stack([PIXELS] * 3)}, path),
    "a.csv": lambda path: path.write_text("path,label\nb.png,0\nb.png,1\n"),
    "instances.json": lambda path: path.write_text(
        '{"images": [{"id": 1, "file_name": "b.png"}], "categories": [{"id": 3, "name": "x"}],'
        ' "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}]}'
    ),
    "a.jsonl": lambda path: path.write_text('{"path": "b.png", "label": 0}\n{"path": "b.png"}\n'),
}  # fmt: skip


def mutant(data: bytes, seed: int) -> bytes:
    """Return bytes with something wrong: flipped, cut off, doubled, overwritten."""
    generator, changed = random.Random(seed), bytearray(data)  # noqa: S311
    for _ in range(generator.choice((1, 1, 2, 5, 20))):
        place = generator.randrange(len(changed) or 1)
        match generator.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([generator.randrange(256)])
            case 1:
                del changed[place : place + generator.choice((1, 4, len(changed)))]
            case 2:
                changed[place:place] = changed[place : place + generator.choice((1, 9, 64))]
            case 3:
                changed[place : place + 4] = struct.pack("<I", generator.choice((0, 2**31 - 1, 2**32 - 1, 2**24)))
            case _:
                changed[place : place + 1] = bytes([generator.choice((0, 34, 44, 91, 123, 255))])
    return bytes(changed)


@pytest.mark.parametrize("name", KINDS)
def test_mutants(tmp_path: Path, name: str) -> None:
    """Seeded, so that what fails once fails again; some are still read, and some are not."""
    KINDS["a.png"](tmp_path / "b.png")
    KINDS[name](tmp_path / name)
    data, ends = (tmp_path / name).read_bytes(), set()
    folder = tmp_path / "pictures"
    folder.mkdir()
    is_picture = name.endswith((".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".ppm"))
    place = folder / name if is_picture else tmp_path / name
    for seed in range(MUTANTS):
        place.write_bytes(mutant(data, seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decoders, over what they mend themselves
            ends.add(reason(folder if is_picture else place))
    refusals = ends - {""}
    assert refusals
    assert all(name in text or "b.png" in text for text in refusals)


def reason(path: Path) -> str:
    """Return why data is refused; nothing if it is read."""
    try:
        load_samples(path, IMAGE, STEPS, ())
    except DataError as error:
        return error.message
    return ""


def refused(path: Path, why: str) -> None:
    """Reading ends in a DataError that says why."""
    with pytest.raises(DataError) as caught:
        load_samples(path, IMAGE, STEPS, ())
    assert why in caught.value.message


def npy(shape: tuple[int, ...], descr: str = "|u1", tail: bytes = b"") -> bytes:
    """Return an ``.npy`` file that declares a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + tail


def test_sizes_that_are_declared_and_not_there(tmp_path: Path) -> None:
    """Nothing of a declared size is allocated before the bytes are counted."""
    for shape in ((2**40, 4, 4), (2**62, 2**62, 2**62), (-1, 4, 4), (3, 4)):
        (tmp_path / "x.npy").write_bytes(npy(shape, tail=b"1234"))
        refused(tmp_path / "x.npy", "cut off")
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("pictures.npy", npy(shape, tail=b"1234"))
        refused(tmp_path / "x.npz", "cut off")


def test_bombs_in_archives(tmp_path: Path) -> None:
    """Gigabytes of one value, thousands of members and a header of names are refused unread."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("pictures.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy((1100, 1000, 1000)))
        for _ in range(1100):
            member.write(bytes(10**6))
    refused(tmp_path / "bomb.npz", "nearly all of one value")
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number:016}.npy", b"")
    refused(tmp_path / "many.npz", "list of members")
    (tmp_path / "names.safetensors").write_bytes((2**30).to_bytes(8, "little") + b"{" * 10)
    refused(tmp_path / "names.safetensors", "its header would take")
    np.savez(tmp_path / "unknown.npz", **{f"x{number}": np.zeros(1) for number in range(99)})  # type: ignore[arg-type]
    refused(tmp_path / "unknown.npz", "and 94 more")


def test_bombs_in_pictures(tmp_path: Path) -> None:
    """A picture that declares more pixels than Pillow takes for sane is refused before it is decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for width, height, words in (
        (60_000, 60_000, "60000 x 60000|3600000000"),
        (11, 7_995_401, "87,949,411 pixels in 1,"),
    ):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        bomb = (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(10**6)))
            + chunk(b"IEND", b"")
        )
        (tmp_path / "bomb.png").write_bytes(bomb)
        with pytest.raises(DataError, match=f"is too large: .*({words})"):
            load_samples(tmp_path, IMAGE, STEPS, ())
