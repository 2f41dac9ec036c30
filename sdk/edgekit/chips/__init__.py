"""Chips: what differs from one to the next: what is rounded, how a program becomes a file, and what runs it here."""

from edgekit.chips.chip import SECONDS, Chip, Copy, Trial, Tried, seconds_each
from edgekit.chips.known import names, of_target

__all__ = ["SECONDS", "Chip", "Copy", "Trial", "Tried", "names", "of_target", "seconds_each"]
