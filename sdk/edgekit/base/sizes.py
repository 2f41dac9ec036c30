"""Sizes in bytes, as people write them."""

import re

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def bytes_of(text: str) -> int | None:
    """Return the bytes that a text such as ``2GB``, ``500 MB``, ``4GiB`` or ``1000000`` means; None: it means none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*((?:[KMGT]I?)?)B?", text.strip().upper())
    return None if found is None else int(float(found[1]) * _UNITS[found[2]])
