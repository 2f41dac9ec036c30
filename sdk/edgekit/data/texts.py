"""Texts as rows of inputs: tokens, mask and segments, made by a tokenizer when they are asked for."""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.base.paths import is_file
from edgekit.data.found import HINT, Wanted, reading
from edgekit.data.rows import Array, Integers, Lazy
from edgekit.errors import DataError, ToolchainError
from edgekit.spec import TensorSpec, Text
from edgekit.spec.media import TextPart

_NAMES: dict[str, TextPart] = {
    **dict.fromkeys(("input_ids", "token_ids", "tokens", "ids"), "ids"),
    **dict.fromkeys(("attention_mask", "mask"), "attention_mask"),
    **dict.fromkeys(("token_type_ids", "segment_ids"), "type_ids"),
}
_TOKENIZER = "It is tokenizer.json, as `tokenizer.save_pretrained` and `Tokenizer.save` write it."
# What no sentence is: a file without line breaks.
_LINE = 2**20
_PADS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")


class Tokens(Lazy):
    """One of the sequences that a tokenizer gives for each text, all of one length."""

    costly = True

    def __init__(self, texts: Sequence[str], steps: "TextSteps", tokenizer: Any, spec: TensorSpec) -> None:
        """Take texts, none of which is read by the tokenizer yet."""
        self._texts, self._tokenizer, self._part, self._file = texts, tokenizer, steps.parts[spec.name], steps.tokenizer
        self.shape, self.dtype = (len(texts), steps.length), np.dtype(spec.dtype)

    def read(self, places: Integers) -> Array:
        """Return the rows at these places.

        Raises:
            DataError: If the tokenizer fails on them.
        """
        with _by_library(self._file):
            found = self._tokenizer.encode_batch([self._texts[place] for place in places])
        return np.array([getattr(one, self._part) for one in found], dtype=self.dtype).reshape(-1, self.shape[1])


@dataclass(frozen=True, kw_only=True)
class TextSteps:
    """How a text becomes inputs: all that a bundle says of it."""

    tokenizer: Path
    length: int
    """Tokens of every text."""
    parts: Mapping[str, TextPart]
    """What each input is of that which the tokenizer gives."""


def steps_of(text: Text, inputs: tuple[TensorSpec, ...], root: Path, what: str = "texts") -> TextSteps:
    """Return how texts become the inputs of a model.

    Args:
        text: What the project says.
        inputs: What the model takes.
        root: The folder from which the tokenizer is named.
        what: What holds the texts, for messages.

    Raises:
        DataError: If the model takes other inputs, or inputs of no one length.
    """
    parts: dict[str, TextPart] = {spec.name: _NAMES[spec.name] for spec in inputs if spec.name in _NAMES}
    if len(inputs) == 1:
        parts = {inputs[0].name: "ids"}
    if strange := [spec.name for spec in inputs if spec.name not in parts or len(spec.shape) != 2]:
        raise DataError(
            f"{what}: texts become token ids, a mask and segment ids of shape (batch, length); {strange[0]} is none of "
            "these.",
            hint=f"Inputs may be called {', '.join(_NAMES)}; or write an .npz of what the model takes, without [text].",
        )
    sizes = {spec.shape[1] for spec in inputs}
    own = next((size for size in sizes if isinstance(size, int)), None)
    length = text.length or own
    if length is None:
        raise DataError("The inputs have no one length.", hint="Set length in [text].")
    return TextSteps(tokenizer=root / text.tokenizer, length=length, parts=parts)


def inputs_of(texts: Sequence[str], path: Path, wanted: Wanted) -> dict[str, Lazy]:
    """Return the inputs that texts become.

    Raises:
        DataError: If the model takes other inputs, or the tokenizer cannot be read.
        ToolchainError: If the library of tokenizers is missing.
    """
    if wanted.text is None:
        raise DataError(f"{path} holds texts, which need [text] with a tokenizer.", hint=HINT)
    return encoded(texts, steps_of(wanted.text, wanted.inputs, wanted.root, str(path)), wanted.inputs)


def encoded(texts: Sequence[str], steps: TextSteps, inputs: tuple[TensorSpec, ...]) -> dict[str, Lazy]:
    """Return what a tokenizer makes of texts, by input.

    Raises:
        DataError: If the tokenizer cannot be read.
        ToolchainError: If the library of tokenizers is missing.
    """
    tokenizer = _tokenizer(steps.tokenizer, steps.length)
    return {spec.name: Tokens(texts, steps, tokenizer, spec) for spec in inputs}


def checked_steps(text: Text, inputs: tuple[TensorSpec, ...], root: Path) -> TextSteps:
    """Return how texts become the inputs of a model, whatever its data is, with a tokenizer that can be read.

    Raises:
        DataError: If the model takes other inputs, or the file is no tokenizer.
    """
    steps = steps_of(text, inputs, root, "[text]")
    content_of(steps)
    return steps


def content_of(steps: TextSteps) -> bytes:
    """Return the tokenizer's file, which a bundle carries.

    Raises:
        DataError: If it cannot be read, or is none.
    """
    with reading(steps.tokenizer, hint=_TOKENIZER):
        content = steps.tokenizer.read_bytes()
        if not json.loads(content)["model"]:
            raise ValueError("it has no model")
    return content


def text_of(given: str | Path) -> str:
    """Return a text, or what stands in the file of that name.

    Raises:
        DataError: If there is no such file although the name is one's, or it cannot be read.
    """
    path = Path(given)
    if not is_file(path):
        if isinstance(given, str) and path.suffix != ".txt":
            return given
        raise DataError(f"{path} does not exist.", hint="Give the text itself, or a file that holds it.")
    with reading(path), path.open(encoding="utf-8-sig") as file:
        text = file.read(_LINE)
    if len(text) == _LINE or not text.strip():
        raise DataError(f"{path} is empty, or has over {_LINE} characters: it is no text.", hint=HINT)
    return text.strip()


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file that hold anything.

    Raises:
        DataError: If it is none, or empty.
    """
    with reading(path), path.open(encoding="utf-8-sig") as file:
        found = []
        while line := file.readline(_LINE):
            if len(line) == _LINE:
                raise DataError(f"{path} has a line of over {_LINE} characters: it is no text.", hint=HINT)
            if line.strip():
                found.append(line.strip())
    if not found:
        raise DataError(f"{path} has no lines.", hint=HINT)
    return found


def _tokenizer(file: Path, length: int) -> Any:
    try:
        library: Any = importlib.import_module("tokenizers")
    except ImportError as error:
        raise ToolchainError("Texts are read by the library tokenizers.", hint='pip install "edgekit[text]"') from error
    with _by_library(file):
        tokenizer = library.Tokenizer.from_str(file.read_text(encoding="utf-8"))
        padding = tokenizer.padding or {}
        pad = padding.get("pad_token") or next((one for one in _PADS if tokenizer.token_to_id(one) is not None), None)
        number = padding.get("pad_id") if padding else tokenizer.token_to_id(pad) if pad else 0
        tokenizer.enable_truncation(length)
        tokenizer.enable_padding(length=length, pad_id=number or 0, pad_token=pad or "[PAD]")
    return tokenizer


@contextmanager
def _by_library(file: Path) -> Iterator[None]:
    """Raise what the library raises over a tokenizer's file as a DataError."""
    with reading(file, hint=_TOKENIZER):
        try:
            yield
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, Exception | KeyboardInterrupt):
                raise
            raise ValueError(f"the library fails on it: {error}") from error
