"""``edgekit publish``: a bundle onto the Hugging Face hub."""

from pathlib import Path

import click

from edgekit.base.progress import Progress
from edgekit.cli.group import examples
from edgekit.cli.shell import Answer, verb


@click.command(
    short_help="Put a bundle with a model card onto Hugging Face",
    epilog=examples(
        "edgekit publish artifacts/digits/android-arm64 me/digits-int8 --private",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private, if it is made.")
@click.option("--force", is_flag=True, help="Publish a bundle that is over its budget, too.")
@verb
def publish(progress: Progress, *, bundle: Path, repository: str, private: bool, force: bool) -> Answer:
    """Put BUNDLE with a model card onto the Hugging Face hub, and read it back.

    The token is that of HF_TOKEN, or of `hf auth login`.
    """
    from edgekit.pipeline.publish import publish as put

    done = put(bundle, repository, private=private, force=force, progress=progress)
    return Answer(
        data={"repository": done.repository, "url": done.url, "revision": done.revision, "files": dict(done.files)},
        text=lambda console: console.print(f"{done.url}: {len(done.files)} files, read back with equal digests"),
    )
