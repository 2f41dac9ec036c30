"""One set of samples becomes two, of which no sample is in both; or a part of it is taken.

Which samples come to which side follows from the samples and a seed alone, never from where they lie.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.base import digest
from edgekit.data.found import Found
from edgekit.errors import DataError


def limited(found: Found, most: int | None) -> Found:
    """Return so many samples at most: evenly spread, each class with its share where classes are known."""
    count = len(found.samples)
    if most is None or count <= most:
        return found
    labels = found.samples.labels
    order = np.arange(count, dtype=np.int64) if labels is None else np.argsort(labels, kind="stable").astype(np.int64)
    return found.rows(np.sort(order[np.arange(most, dtype=np.int64) * count // most]))


def split(found: Found, share: float, seed: int, group: str | None = None) -> tuple[Found, Found]:
    """Return the larger part and the held-out part.

    Samples of equal bytes, and those of one group, come to the same side. Where classes are known, each has its share
    on both sides as far as its groups allow.

    Args:
        found: The samples.
        share: How many of them are held out, over 0 and under 1.
        seed: Another number gives another split.
        group: A regular expression for the path of a sample's file: what its first parenthesis matches, or all of the
            match, is the group.

    Raises:
        DataError: If there are too few groups to split, or files have no names.
    """
    together = _together(found, group)
    labels = found.samples.labels
    kinds: dict[int, list[int]] = defaultdict(list)
    for number, rows in enumerate(together):
        kinds[-1 if labels is None else int(labels[rows[0]])].append(number)
    held_out: list[int] = []
    debt = 0.0
    for kind in sorted(kinds):
        random = np.random.default_rng([seed, kind + 1])
        members = kinds[kind]
        # What rounding left of one class goes to the next.
        debt += share * sum(len(together[number]) for number in members)
        for number in (members[place] for place in random.permutation(len(members))):
            if debt < len(together[number]) / 2:
                break
            held_out += together[number]
            debt -= len(together[number])
    if not held_out or len(held_out) == len(found.samples):
        raise DataError(
            f"{len(found.samples)} samples in {len(together)} groups cannot be split: one side would be empty.",
            hint="Give more samples, or name calibration and evaluation data of their own.",
        )
    inside = np.zeros(len(found.samples), dtype=bool)
    inside[held_out] = True
    return found.rows(np.flatnonzero(~inside).astype(np.int64)), found.rows(np.flatnonzero(inside).astype(np.int64))


def _together(found: Found, group: str | None) -> list[list[int]]:
    """Return the places of samples that must not be separated, each list in order."""
    names = list(found.groups)
    if group is not None:
        names = _matched(found.files, group)
    contents = (
        [digest.of_file(file) for file in found.files]
        if found.files
        else [content.hex() for content in found.samples.contents]
    )
    first: dict[str, int] = {}
    parents = list(range(len(contents)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for place, content in enumerate(contents):
        for key in (f"bytes {content}", *([f"group {names[place]}"] if names else [])):
            parents[root(place)] = root(first.setdefault(key, place))
    sets: dict[int, list[int]] = defaultdict(list)
    for place in range(len(contents)):
        sets[root(place)].append(place)
    # In an order that does not depend on the names of folders, so that a renamed one gives the same split.
    return sorted(sets.values(), key=lambda rows: min(contents[row] for row in rows))


def _matched(files: Sequence[Path], group: str) -> list[str]:
    if not files:
        raise DataError("[data] group is for samples in files of their own.", hint="Arrays have an array `groups`.")
    found = []
    for file in files:
        match = re.search(group, file.as_posix())
        if match is None:
            raise DataError(f"[data] group matches nothing in {file}.", hint="Correct the regular expression.")
        found.append(match[1] if match.re.groups else match[0])
    return found
