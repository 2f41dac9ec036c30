"""The ``scorecard`` verb: a static site from a store."""

from pathlib import Path

from edgekit.base import atomic
from edgekit.base.store.place import open_place
from edgekit.bundles.scorecard import Scorecard
from edgekit.pipeline.sweeping.scoring import score
from edgekit.render.scorecard import site

DEFAULT_SITE = Path("scorecard")


def scorecard(
    store: str | Path, output: str | Path | None = None, *, tag: str | None = None, since: str | None = None
) -> Scorecard:
    """Read a store and write its scorecard as a site.

    Args:
        store: A folder, or a URL.
        output: The folder of the site, whose pages are replaced; none is written unless given.
        tag: The sweep; the one that was started last unless given.
        since: The tag of an earlier sweep: what became worse since then is listed.

    Raises:
        StoreError: If there is no such sweep, or what is stored is damaged.
        BundleError: If a page cannot be written.
    """
    place = open_place(str(store))
    card = score(place, tag=tag, since=since)
    if output is not None:
        folder = Path(output)
        for name, text in site.pages(card, lambda file, under: place.link(file, folder / under)):
            atomic.replace_file(folder / name, text.encode())
    return card
