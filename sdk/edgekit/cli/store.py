"""``edgekit store``: what sweeps left, for people and for other machines."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import Group, examples
from edgekit.cli.shell import Answer, verb
from edgekit.cli.sweep import STORE
from edgekit.errors import StoreError

_NAMED = 20


@click.group(cls=Group, short_help="Show, check or tidy the results of sweeps")
def store() -> None:
    """Show, check or tidy the results of sweeps, or write one's bundle to a folder.

    A store is a folder, or a URL such as s3://BUCKET/PATH, with `pip install 'edgekit[s3]'`.
    """


@store.command(
    "ls",
    short_help="List results, failures and sweeps",
    epilog=examples("edgekit store ls", "edgekit store ls --failed -v --store s3://bucket/store"),
)
@STORE
@click.option("--failed", is_flag=True, help="Only cells that could not be done; with -v their logs.")
@verb
def show(progress: Progress, *, store: str, failed: bool) -> Answer:
    """List what the store holds: results, cells that could not be done, and sweeps."""
    from edgekit.base.store.place import open_place
    from edgekit.pipeline.sweeping import upkeep
    from edgekit.render import sweeping

    found = upkeep.listed(open_place(store))
    shown = () if failed else found.results
    return Answer(
        data={**sweeping.results_json(shown, found.failures), "sweeps": dict(found.sweeps), "bytes": found.bytes},
        text=lambda console: sweeping.show_results(console, shown, found.failures, found.sweeps, found.bytes),
        details=lambda console: sweeping.show_logs(console, found.failures),
    )


@store.command(
    short_help="Take away what no sweep and no result names",
    epilog=examples("edgekit store gc --dry-run", "edgekit store gc --drop v1.0 --days 7"),
)
@STORE
@click.option("--days", default=30.0, show_default=True, help="What is younger stays.")
@click.option("--drop", multiple=True, metavar="TAG", help="Forget this sweep before; repeat it for several.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@verb
def gc(progress: Progress, *, store: str, days: float, drop: tuple[str, ...], dry_run: bool) -> Answer:
    """Take away results that no sweep names any more, and files that no result names."""
    from edgekit.base.numbers import kilobytes
    from edgekit.base.store.place import open_place
    from edgekit.pipeline.sweeping import upkeep

    done = upkeep.collect(open_place(store), days=days, drop=drop, dry=dry_run)
    told = f"{done.results} results and {done.blobs} files, {kilobytes(done.bytes)}"
    return Answer(
        data={"results": done.results, "blobs": done.blobs, "bytes": done.bytes, "dry_run": dry_run},
        text=lambda console: console.print(f"{'would remove' if dry_run else 'removed'} {told}"),
    )


@store.command(
    short_help="Hold every file against its digest",
    epilog=examples("edgekit store verify", "edgekit store verify --remove"),
)
@STORE
@click.option("--remove", is_flag=True, help="Remove what is damaged; the next sweep makes it again.")
@verb
def verify(progress: Progress, *, store: str, remove: bool) -> Answer:
    """Read every file, and hold it against the digest that it is named by."""
    from edgekit.base.store.place import open_place
    from edgekit.pipeline.sweeping import upkeep

    found = upkeep.verify(open_place(store), remove=remove)
    lines = [f"  - {fault}" for fault in found.faults[:_NAMED]]
    if len(found.faults) > _NAMED:
        lines.append(f"  - and {len(found.faults) - _NAMED} more")
    hint = "They are removed: sweep again." if remove else "edgekit store verify --remove, and sweep again."
    return Answer(
        data={"results": found.results, "blobs": found.blobs, "faults": list(found.faults), "removed": found.removed},
        text=lambda console: console.print(f"{found.results} results and {found.blobs} files were read"),
        failure=StoreError("\n".join([f"{store} is damaged:", *lines]), hint=hint) if found.faults else None,
    )


@store.command(
    short_help="Write the bundle of a cell to a folder",
    epilog=examples("edgekit store get digits/android-arm64/int8/project bundle"),
)
@click.argument("cell")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@STORE
@verb
def get(progress: Progress, *, cell: str, folder: Path, store: str) -> Answer:
    """Write the bundle of CELL, MODEL/TARGET/SCHEME/SETTINGS or a key, to FOLDER."""
    from edgekit.base.store.place import open_place
    from edgekit.pipeline.sweeping.sweep import bundle_of

    place = bundle_of(open_place(store), cell, folder)
    return Answer(data={"folder": str(place)}, text=lambda console: console.print(f"wrote {place}"))
