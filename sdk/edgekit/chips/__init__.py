"""Chips: what differs from one to the next: what is rounded, how a program becomes a file, and what runs it here."""

from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.known import names, of_target

__all__ = ["Chip", "Trial", "Tried", "names", "of_target"]
