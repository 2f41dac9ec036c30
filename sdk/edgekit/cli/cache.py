"""``edgekit cache``: what earlier builds left for later ones."""

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import Group, examples
from edgekit.cli.shell import Answer, verb


@click.group(cls=Group, short_help="Show or clear what is kept of earlier builds")
def cache() -> None:
    """Show or clear what is kept of earlier builds.

    It lies in $EDGEKIT_CACHE or, if that is not set, in the platform's cache folder, and takes at most
    $EDGEKIT_CACHE_SIZE (2GB).
    """


@cache.command(
    short_help="Show where the cache is and what it holds",
    epilog=examples("edgekit cache show"),
)
@verb
def show(progress: Progress) -> Answer:
    """Show where the cache is and what it holds."""
    return _shown()


@cache.command(
    short_help="Remove what earlier builds left in the cache",
    epilog=examples(
        "edgekit cache clear",
        "edgekit cache clear --kit",
    ),
)
@click.option("--kit", is_flag=True, help="Remove the emulator's kit, too: edgekit verify --setup downloads it again.")
@verb
def clear(progress: Progress, *, kit: bool) -> Answer:
    """Remove what earlier builds left in the cache; with --kit also the kit that emulates ARM."""
    from edgekit.apps.emulation import kit as kits
    from edgekit.base import cache as caches

    caches.clear(caches.from_environment())
    if kit:
        kits.remove()
    return _shown()


def _shown() -> Answer:
    from edgekit.apps.emulation import kit as kits
    from edgekit.base import cache as caches
    from edgekit.render import json, settings

    found = caches.from_environment()
    kept, beside = caches.show(found), kits.kept()
    return Answer(
        data=json.cache(found.folder, found.limit, kept, beside),
        text=lambda console: settings.show_cache(console, found, kept, beside),
    )
