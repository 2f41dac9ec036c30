"""How long the stages of a build took, kept in the cache for the next one, which then says how long it will take."""

from collections.abc import Sequence

from edgekit.base import cache as caches
from edgekit.base import digest
from edgekit.base.cache import Cache, Entry, Kind

_KIND: Kind = "times"
Seconds = Sequence[tuple[str, float]]
"""Stages in order, and the seconds that each took."""


def recall(cache: Cache, run: Sequence[str]) -> Seconds:
    """Return what the last such run took; nothing if there was none.

    Args:
        cache: Where it is kept.
        run: What tells one run from another: the project, the targets.
    """
    entry = caches.get(cache, _KIND, digest.of_json(list(run)))
    stages = None if entry is None else entry.facts.get("stages")
    if not isinstance(stages, list):
        return ()
    return tuple((str(stage), float(seconds)) for stage, seconds in stages)


def remember(cache: Cache, run: Sequence[str], seconds: Seconds, cached: Sequence[str]) -> None:
    """Keep what a run took; of stages whose outcome came from the cache the time of an earlier run stays."""
    before = dict(recall(cache, run))
    kept = [(stage, before.get(stage, taken) if stage in cached else taken) for stage, taken in seconds]
    if len(kept) > len(cached):  # a run that made nothing tells nothing
        caches.put(cache, _KIND, digest.of_json(list(run)), Entry(files={}, facts={"stages": kept}))
