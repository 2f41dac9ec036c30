"""Targets: the profiles to build for, and what the runtimes carry that apps on them pin."""

from edgekit.targets.profiles import asked, folder, load, names

__all__ = ["asked", "folder", "load", "names"]
