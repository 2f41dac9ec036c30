"""Sounds and texts as data: read, brought to one length, and refused with a reason."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.data import files
from edgekit.data import texts as readers
from edgekit.data.found import Found, Wanted
from edgekit.data.rows import Lazy
from edgekit.data.sounds import resampled
from edgekit.errors import DataError
from edgekit.spec import Audio, TensorSpec, Text

SOUND = (TensorSpec(name="wave", shape=("batch", 1, 800)),)
LOGITS = (TensorSpec(name="logits", shape=("batch", 2), meaning="logits"),)


def tone(rate: int, seconds: float = 0.1, hertz: float = 440.0) -> npt.NDArray[np.float64]:
    """Return a tone."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def write(path: Path, values: npt.NDArray[Any], rate: int, width: int = 2, channels: int = 1) -> Path:
    """Write a WAV file of integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = np.repeat(np.round(values * (2 ** (8 * width - 1) - 1)).astype(np.int64), channels)
    if width == 1:
        scaled = scaled + 128
    data = b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in scaled)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def read(path: Path, held: int = 10**6, **changes: Any) -> Found:
    """Find and check sounds."""
    given: dict[str, Any] = {"inputs": SOUND, "outputs": LOGITS, "audio": Audio(rate=8000), "labels": ("no", "yes")}
    wanted = Wanted(**given | changes, held=held)
    return files.checked(files.find(path, wanted), path, wanted)


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 1), (2, 2), (3, 2), (4, 1)])
def test_sounds_of_all_widths(tmp_path: Path, width: int, channels: int) -> None:
    """Averaged over the channels; longer ones are cut, shorter ones filled with silence."""
    write(tmp_path / "a.wav", tone(8000, 0.2), 8000, width, channels)
    write(tmp_path / "b.WAV", tone(8000, 0.05), 8000, width, channels)
    for held in (10**6, 0):
        found = read(tmp_path, held).samples.inputs["wave"]
        assert isinstance(found, Lazy) == (held == 0)
        assert found.shape == (2, 1, 800)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[:][0, 0], tone(8000), atol=0.01 if width == 1 else 1e-4)
        np.testing.assert_allclose(found[:][1, 0, :400], tone(8000, 0.05), atol=0.01 if width == 1 else 1e-4)
        assert not found[:][1, 0, 400:].any()


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 48000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    """Away from the ends it is the tone itself at the other rate; what the other rate cannot hold is gone."""
    found = resampled(tone(rate, 0.5).astype(np.float32), rate, 8000)
    assert len(found) == 4000
    np.testing.assert_allclose(found[200:-200], tone(8000, 0.5)[200:-200], atol=5e-3)
    if rate > 16000:
        assert np.abs(resampled(tone(rate, 0.5, 6000).astype(np.float32), rate, 8000)[200:-200]).max() < 5e-3


def test_labelled_sounds(tmp_path: Path) -> None:
    """In folders named after the labels, and in a table."""
    for number, name in enumerate(("no", "yes")):
        write(tmp_path / "sounds" / name / "1.wav", tone(16000, hertz=300 + 100 * number), 16000)
    (tmp_path / "sounds" / "yes" / "note.txt").write_text("")
    (tmp_path / "t.csv").write_text("audio,label\nsounds/no/1.wav,no\nsounds/yes/1.wav,yes\n")
    folder, table = read(tmp_path / "sounds"), read(tmp_path / "t.csv")
    assert folder.samples.digest == table.samples.digest
    assert folder.samples.labels is not None
    assert folder.samples.labels.tolist() == [0, 1]
    assert "note.txt" in folder.notes[0]


def test_wrong_sounds_are_refused(tmp_path: Path) -> None:
    """Damaged ones, and a model that takes another shape."""
    file = write(tmp_path / "a.wav", tone(8000), 8000)
    with pytest.raises(DataError, match=r"must be \[batch, SAMPLES\]"):
        read(tmp_path, inputs=(TensorSpec(name="wave", shape=("batch", "length")),))
    data = file.read_bytes()
    for content in (b"", b"RIFF", data[:30], data[:20] + b"\x03" + data[21:], data[:24] + bytes(4) + data[28:]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.wav"):
            read(tmp_path)


WORDS = ["[PAD]", "[UNK]", "a", "good", "bad", "film"]


def tokenizer(folder: Path) -> None:
    """Write a tokenizer of six words."""
    library = pytest.importorskip("tokenizers")
    made = library.Tokenizer(library.models.WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))


def texts(path: Path, length: int | None = 4, **changes: Any) -> Found:
    """Find and check texts."""
    inputs = tuple(TensorSpec(name=name, dtype="int64", shape=("batch", 4)) for name in ("attention_mask", "input_ids"))
    given: dict[str, Any] = {"inputs": inputs, "text": Text(length=length), "root": path.parent, "outputs": LOGITS}
    wanted = Wanted(**given | changes, held=10**6)
    return files.checked(files.find(path, wanted), path, wanted)


@pytest.mark.parametrize("length", [4, None])
def test_texts_become_tokens(tmp_path: Path, length: int | None) -> None:
    """Cut off and padded to one length, in the order of the inputs' own names, from lines and from tables."""
    tokenizer(tmp_path)
    (tmp_path / "t.txt").write_text("a good film\n\na bad bad bad film\n")
    rows = [{"text": "a good film", "label": 1}, {"text": "a bad bad bad film", "label": 0}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "t.csv").write_text("label,sentence\n1,a good film\n0,a bad bad bad film\n")
    for name in ("t.txt", "t.jsonl", "t.csv"):
        samples = texts(tmp_path / name, length).samples
        assert samples.inputs["input_ids"][:].tolist() == [[2, 3, 5, 0], [2, 4, 4, 4]]
        assert samples.inputs["attention_mask"][:].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
        assert (samples.labels is None) == (name == "t.txt")


def test_wrong_texts_are_refused(tmp_path: Path) -> None:
    """A tokenizer that is none, inputs that no text becomes, a table without texts, a file without lines."""
    tokenizer(tmp_path)
    (tmp_path / "t.txt").write_text("a\n")
    other = (TensorSpec(name="input_ids", shape=("batch", 4)), TensorSpec(name="age", shape=("batch", 1)))
    with pytest.raises(DataError, match="age is none of these"):
        texts(tmp_path / "t.txt", inputs=other)
    with pytest.raises(DataError, match=r"need \[text\]"):
        texts(tmp_path / "t.txt", text=None)
    (tmp_path / "t.csv").write_text("title\na\n")
    with pytest.raises(DataError, match=r"t\.csv:2: no column holds a text"):
        texts(tmp_path / "t.csv")
    for content in (b"", b"\n\n", b"\xff\xfe"):
        (tmp_path / "t.txt").write_bytes(content)
        with pytest.raises(DataError, match=r"t\.txt"):
            texts(tmp_path / "t.txt")
    (tmp_path / "t.txt").write_text("a\n")
    for content in (b"{}", b"[" * 10**5, b"", b'{"model": 7}'):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(DataError, match=r"tokenizer\.json"):
            texts(tmp_path / "t.txt")


def test_a_text_or_its_file(tmp_path: Path) -> None:
    """What `edgekit run` is given: the text itself, also one that no file can be called; or a file of one."""
    (tmp_path / "t.txt").write_text("\ufeffa good\nfilm\n", encoding="utf-8")
    assert readers.text_of("a good film.") == "a good film."
    assert readers.text_of("x" * 5000 + "\0") == "x" * 5000 + "\0"
    assert readers.text_of(str(tmp_path / "t.txt")) == readers.text_of(tmp_path / "t.txt") == "a good\nfilm"
    for content in (b"", b" \n", b"\xff\xfe", b"a" * 2**20):
        (tmp_path / "bad.txt").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.txt"):
            readers.text_of(tmp_path / "bad.txt")
    for missing in ("missing.txt", tmp_path / "missing"):
        with pytest.raises(DataError, match="does not exist"):
            readers.text_of(missing)


def test_a_tokenizer_is_read_whatever_the_data_is(tmp_path: Path) -> None:
    """A bundle carries it, so that one that is none is refused before the build; the library is not needed for that."""
    inputs = tuple(TensorSpec(name=name, dtype="int64", shape=("batch", 4)) for name in ("tokens", "mask"))
    (tmp_path / "own.json").write_text('{"model": {"type": "WordLevel"}}')
    steps = readers.checked_steps(Text(tokenizer="own.json"), inputs, tmp_path)
    assert (steps.length, steps.parts) == (4, {"tokens": "ids", "mask": "attention_mask"})
    assert readers.content_of(steps) == b'{"model": {"type": "WordLevel"}}'
    for content in ("", "[]", '{"model": null}', "{}", "[" * 10**5):
        (tmp_path / "own.json").write_text(content)
        with pytest.raises(DataError, match=r"own\.json"):
            readers.checked_steps(Text(tokenizer="own.json"), inputs, tmp_path)
    with pytest.raises(DataError, match="image is none of these"):
        readers.checked_steps(Text(), (*inputs, TensorSpec(name="image", shape=("batch", 4))), tmp_path)


def test_a_tokenizer_that_fails_on_a_text_is_an_error(tmp_path: Path) -> None:
    """One that can be read, and knows no word for what it does not know."""
    tokenizer(tmp_path)
    told = json.loads((tmp_path / "tokenizer.json").read_text())
    told["model"]["unk_token"] = "[NOWHERE]"  # noqa: S105 - no secret
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    (tmp_path / "t.txt").write_text("unheard\n")
    with pytest.raises(DataError, match=r"tokenizer\.json cannot be read"):
        texts(tmp_path / "t.txt")
