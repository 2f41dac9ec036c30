"""``edgekit cache``: what earlier builds left for later ones."""

import click

from edgekit.base.progress import Progress
from edgekit.cli.shell import Answer, verb


@click.group()
def cache() -> None:
    """Show or clear what is kept of earlier builds.

    It lies in $EDGEKIT_CACHE or, if that is not set, in the platform's cache folder, and takes at most
    $EDGEKIT_CACHE_SIZE (2GB).
    """


@cache.command()
@verb
def show(progress: Progress) -> Answer:
    """Show where the cache is and what it holds."""
    from edgekit.base import cache as caches
    from edgekit.render import json, settings

    found = caches.from_environment()
    kept = caches.show(found)
    return Answer(
        data=json.cache(found.folder, found.limit, kept),
        text=lambda console: settings.show_cache(console, found, kept),
    )


@cache.command()
@verb
def clear(progress: Progress) -> Answer:
    """Remove every entry of the cache."""
    from edgekit.base import cache as caches
    from edgekit.render import json, settings

    found = caches.from_environment()
    caches.clear(found)
    kept = caches.show(found)
    return Answer(
        data=json.cache(found.folder, found.limit, kept),
        text=lambda console: settings.show_cache(console, found, kept),
    )
