"""The vectors that the apps are held against say what the SDK says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from edgekit.bundles import manifest
from edgekit.data.postprocess import classes
from edgekit.data.preprocess import to_array
from edgekit.data.sounds import prepared
from edgekit.drift.metrics import measure
from edgekit.errors import BundleError
from edgekit.spec import Audio, Preprocessing

VECTORS = Path(__file__).parent.parent / "vectors"
ORIENTATION = 0x0112


def cases(kind: str) -> list[dict[str, Any]]:
    """Return the cases of a kind."""
    found: list[dict[str, Any]] = json.loads((VECTORS / kind / "cases.json").read_text(encoding="utf-8"))
    return found


def floats(kind: str, entry: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Read a tensor."""
    return np.frombuffer((VECTORS / kind / entry["file"]).read_bytes(), dtype="<f4").reshape(entry["shape"])


def pixels(entry: dict[str, Any]) -> Image.Image:
    """Read a picture with its orientation."""
    shape = (entry["height"], entry["width"]) + ((entry["channels"],) if entry["channels"] > 1 else ())
    data = (VECTORS / "preprocessing" / entry["file"]).read_bytes()
    picture = Image.fromarray(np.frombuffer(data, dtype=np.uint8).reshape(shape))
    picture.getexif()[ORIENTATION] = entry["orientation"]
    return picture


def test_there_are_fifty_pictures_of_every_kind() -> None:
    """Sizes, orientations, alpha and grey are all there."""
    found = cases("preprocessing")
    assert len(found) >= 50
    assert {case["picture"]["orientation"] for case in found} == set(range(1, 9))
    assert {case["picture"]["channels"] for case in found} == {1, 3, 4}
    resizes = [case["preprocessing"]["resize"] for case in found]
    assert {resize["filter"] for resize in resizes} == {"nearest", "bilinear", "bicubic"}
    ways = {(resize["mode"], resize["antialias"]) for resize in resizes}
    assert ways == {
        (mode, antialias) for mode in ("stretch", "cover", "shorter", "letterbox") for antialias in (True, False)
    }
    assert {case["expected"]["dtype"] for case in found} == {"float32", "uint8"}


@pytest.mark.parametrize("case", cases("preprocessing"), ids=lambda case: case["name"])
def test_preprocessing(case: dict[str, Any]) -> None:
    """Pictures become the same values, to the bit."""
    found = to_array(pixels(case["picture"]), Preprocessing.model_validate_json(json.dumps(case["preprocessing"])))
    expected = case["expected"]
    data = (VECTORS / "preprocessing" / expected["file"]).read_bytes()
    assert found.dtype == expected["dtype"]
    assert np.array_equal(found, np.frombuffer(data, dtype=found.dtype.newbyteorder("<")).reshape(expected["shape"]))


def test_another_picture_differs() -> None:
    """An inverted picture gives other values: the comparison above can fail."""
    case = next(case for case in cases("preprocessing") if case["picture"]["width"] == 64)
    picture = ImageOps.invert(pixels(case["picture"]).convert("L"))
    found = to_array(picture, Preprocessing.model_validate_json(json.dumps(case["preprocessing"])))
    assert not np.array_equal(found, floats("preprocessing", case["expected"]))


def sound(case: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Return what a sound becomes."""
    samples = np.frombuffer((VECTORS / "sounds" / case["samples"]["file"]).read_bytes(), dtype="<f4")
    return prepared(samples, case["samples"]["rate"], Audio.model_validate_json(json.dumps(case["audio"])))


def farthest(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return the largest difference as a share of the largest value, or of 1."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("case", cases("sounds"), ids=lambda case: case["name"])
def test_sounds(case: dict[str, Any]) -> None:
    """Sounds become the same values; the last digit may follow the processor's way of adding."""
    assert farthest(sound(case), floats("sounds", case["expected"])) < 1e-6


def test_another_sound_differs() -> None:
    """A sound at another rate gives other values: the comparison above can fail."""
    case = next(case for case in cases("sounds") if case["audio"]["features"])
    changed = case | {"audio": case["audio"] | {"rate": case["audio"]["rate"] + 1000}}
    assert farthest(sound(changed), floats("sounds", case["expected"])) > 0.01


PEERS = json.loads((VECTORS / "sounds" / "peers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", PEERS, ids=lambda file: f"{PEERS[file]['case']}, {PEERS[file]['by']}")
def test_sounds_of_peers(file: str) -> None:
    """They are what torchaudio, librosa and Whisper's feature extractor make of them, mostly in single precision."""
    case = next(case for case in cases("sounds") if case["name"] == PEERS[file]["case"])
    assert farthest(sound(case), floats("sounds", {**PEERS[file], "file": file})) < 1e-5


@pytest.mark.parametrize("case", cases("metrics"), ids=lambda case: case["name"])
def test_metrics(case: dict[str, Any]) -> None:
    """Outputs have the same metrics; the last digits may follow the processor's way of adding."""
    labels = None if case["labels"] is None else np.array(case["labels"])
    found = measure(
        floats("metrics", case["reference"]), floats("metrics", case["candidate"]), logits=case["logits"], labels=labels
    ).model_dump(mode="json")
    for name, expected in case["expected"].items():
        assert found[name] == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12)), name


@pytest.mark.parametrize("case", cases("classes"), ids=lambda case: case["name"])
def test_classes(case: dict[str, Any]) -> None:
    """Logits give the same classes with the same probabilities."""
    found = classes(np.array(case["logits"], dtype=np.float32), tuple(case["labels"]))
    assert [name for name, _ in found] == [name for name, _ in case["expected"]]
    assert [share for _, share in found] == pytest.approx([share for _, share in case["expected"]])


@pytest.mark.parametrize("path", sorted((VECTORS / "manifests" / "valid").iterdir()), ids=lambda path: path.stem)
def test_valid_manifests(path: Path) -> None:
    """They are read."""
    assert manifest.parse(path.read_text(encoding="utf-8"), where=path.name).artifacts


@pytest.mark.parametrize("path", sorted((VECTORS / "manifests" / "invalid").iterdir()), ids=lambda path: path.stem)
def test_invalid_manifests(path: Path) -> None:
    """They are refused, for the reason that the apps give too."""
    expected = json.loads((VECTORS / "manifests" / "invalid.json").read_text(encoding="utf-8"))[path.name]
    says = {"not_a_manifest": "is not a manifest", "manifest_version": "schema version", "manifest_schema": "schema:"}
    with pytest.raises(BundleError, match=says[expected]):
        manifest.parse(path.read_text(encoding="utf-8"), where=path.name)
