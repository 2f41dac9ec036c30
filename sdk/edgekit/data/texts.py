"""Texts as rows of inputs: tokens, mask and segments, made by a tokenizer when they are asked for."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgekit.data.found import HINT, Wanted, reading
from edgekit.data.rows import Array, Integers, Lazy
from edgekit.errors import DataError, ToolchainError
from edgekit.spec import TensorSpec

Part = Literal["ids", "attention_mask", "type_ids"]
_NAMES: dict[str, Part] = {
    **dict.fromkeys(("input_ids", "token_ids", "tokens", "ids"), "ids"),
    **dict.fromkeys(("attention_mask", "mask"), "attention_mask"),
    **dict.fromkeys(("token_type_ids", "segment_ids"), "type_ids"),
}
# What no sentence is: a file without line breaks.
_LINE = 2**20
_PADS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")


class Tokens(Lazy):
    """One of the sequences that a tokenizer gives for each text, all of one length."""

    costly = True

    def __init__(self, texts: Sequence[str], tokenizer: Any, part: Part, spec: TensorSpec, length: int) -> None:
        """Take texts, none of which is read by the tokenizer yet."""
        self._texts, self._tokenizer, self._part = texts, tokenizer, part
        self.shape, self.dtype = (len(texts), length), np.dtype(spec.dtype)

    def read(self, places: Integers) -> Array:
        """Return the rows at these places."""
        found = self._tokenizer.encode_batch([self._texts[place] for place in places])
        return np.array([getattr(one, self._part) for one in found], dtype=self.dtype).reshape(-1, self.shape[1])


def inputs_of(texts: Sequence[str], path: Path, wanted: Wanted) -> dict[str, Lazy]:
    """Return the inputs that texts become.

    Raises:
        DataError: If the model takes other inputs, or the tokenizer cannot be read.
        ToolchainError: If the library of tokenizers is missing.
    """
    if wanted.text is None:
        raise DataError(f"{path} holds texts, which need [text] with a tokenizer.", hint=HINT)
    parts: dict[str, Part] = {spec.name: _NAMES[spec.name] for spec in wanted.inputs if spec.name in _NAMES}
    if len(wanted.inputs) == 1:
        parts = {wanted.inputs[0].name: "ids"}
    if strange := [spec.name for spec in wanted.inputs if spec.name not in parts or len(spec.shape) != 2]:
        raise DataError(
            f"Texts become token ids, a mask and segment ids of shape (batch, length); {strange[0]} is none of these.",
            hint=f"Inputs may be called {', '.join(_NAMES)}; or write an .npz of what the model takes.",
        )
    sizes = {spec.shape[1] for spec in wanted.inputs}
    own = next((size for size in sizes if isinstance(size, int)), None)
    length = wanted.text.length or own
    if length is None:
        raise DataError("The inputs have no one length.", hint="Set length in [text].")
    tokenizer = _tokenizer(wanted.root / wanted.text.tokenizer, length)
    return {spec.name: Tokens(texts, tokenizer, parts[spec.name], spec, length) for spec in wanted.inputs}


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
    with reading(file, hint="It is tokenizer.json, as `tokenizer.save_pretrained` and `Tokenizer.save` write it."):
        try:
            tokenizer = library.Tokenizer.from_str(file.read_text(encoding="utf-8"))
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, Exception | KeyboardInterrupt):
                raise
            raise ValueError(f"the library fails on it: {error}") from error
        padding = tokenizer.padding or {}
        pad = padding.get("pad_token") or next((one for one in _PADS if tokenizer.token_to_id(one) is not None), None)
        number = padding.get("pad_id") if padding else tokenizer.token_to_id(pad) if pad else 0
        tokenizer.enable_truncation(length)
        tokenizer.enable_padding(length=length, pad_id=number or 0, pad_token=pad or "[PAD]")
    return tokenizer
