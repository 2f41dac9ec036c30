"""Bundles: the folder that an app loads and a person reads, as values, and how it is written and read."""

from edgekit.bundles.contents import PAGE_FILE, contents, describe
from edgekit.bundles.read import checked, compatibility, files, read
from edgekit.bundles.write import add, check_place, write

__all__ = [
    "PAGE_FILE",
    "add",
    "check_place",
    "checked",
    "compatibility",
    "contents",
    "describe",
    "files",
    "read",
    "write",
]
