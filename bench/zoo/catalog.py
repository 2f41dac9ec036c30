"""All networks of the zoo, by name."""

from collections.abc import Mapping

from bench.zoo import plain_entries, sound_entries, text_entries, vision_entries
from bench.zoo.entry import Entry

_ALL = (*vision_entries.ENTRIES, *text_entries.ENTRIES, *sound_entries.ENTRIES, *plain_entries.ENTRIES)
ENTRIES: Mapping[str, Entry] = {entry.name: entry for entry in _ALL}
