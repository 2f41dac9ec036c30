"""Tokens of real sentences: of the help that comes with Python, and of what scikit-learn says about its data sets."""

import importlib
import re
from collections.abc import Iterable
from pathlib import Path
from pydoc_data import topics
from typing import Any

import numpy as np

from edgekit.spec.samples.packages import Package, Shipped

SKLEARN, TOKENIZERS = Package("scikit-learn", "sklearn"), Package("tokenizers", "tokenizers")
COUNT, LENGTH = 64, 128
"""Sentences in a file, and tokens in each, those that fill it up among them."""
_DATA_SETS = (
    "breast_cancer",
    "california_housing",
    "covtype",
    "diabetes",
    "kddcup99",
    "lfw",
    "rcv1",
    "twenty_newsgroups",
)
_FEWEST_WORDS, _MOST_WORDS = 6, 60
# How lists, headings, tables and code begin.
_NO_PROSE = ("|", "#", ":", "..", "<", "=", "*", "-", "[", "+", "   ")


def calibration() -> list[str]:
    """Return sentences of Python's help."""
    return _mixed(_sentences(text for _, text in sorted(topics.topics.items())))


def evaluation() -> list[str]:
    """Return sentences about data sets."""
    files = [Shipped(SKLEARN, f"datasets/descr/{name}.rst").find() for name in _DATA_SETS]
    return _mixed(_sentences(file.read_text(encoding="utf-8") for file in files))


def tokenize(file: Path, sentences: list[str], tokenizer: Path) -> None:
    """Write tokens and mask, int64 of shape (sentences, length), as a project's data."""
    made: Any = importlib.import_module("tokenizers").Tokenizer.from_file(str(tokenizer))
    made.enable_truncation(LENGTH)
    made.enable_padding(length=LENGTH)
    found = made.encode_batch(sentences)
    np.savez(
        file,
        allow_pickle=False,
        tokens=np.asarray([one.ids for one in found], np.int64),
        mask=np.asarray([one.attention_mask for one in found], np.int64),
    )


def _sentences(texts: Iterable[str]) -> list[str]:
    found = [
        line
        for text in texts
        for block in re.split(r"\n\s*\n", text)
        if not block.lstrip("\n").startswith(_NO_PROSE) and "::" not in block and ">>>" not in block
        for line in re.split(r"(?<=[.!?])\s+", " ".join(block.split()))
        if _FEWEST_WORDS <= len(line.split()) <= _MOST_WORDS
    ]
    return list(dict.fromkeys(found))


def _mixed(sentences: list[str]) -> list[str]:
    """Return as many as a file holds, in an order that is mixed and always the same."""
    order = np.random.default_rng(0).permutation(len(sentences))[:COUNT]
    return [sentences[number] for number in order]
