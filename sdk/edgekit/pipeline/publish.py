"""The ``publish`` verb: a bundle with a model card onto the Hugging Face hub, and read back from there."""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit import bundles
from edgekit.base import digest
from edgekit.base.progress import Progress, Silent, Stages
from edgekit.bundles.manifest import Manifest
from edgekit.errors import BundleError, OverBudgetError, ProjectError, ToolchainError
from edgekit.render import card

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
CARD_FILE = "README.md"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was put on the hub."""

    repository: str
    url: str
    """The page of the commit."""
    revision: str
    files: tuple[tuple[str, str], ...]
    """Names with the sha256 of what the hub gives back."""


def publish(
    bundle: Path, repository: str, *, private: bool = False, force: bool = False, progress: Progress | None = None
) -> Published:
    """Put a bundle into a repository of the hub, with a model card, and compare what can be downloaded from there.

    The token is that of ``HF_TOKEN`` or ``hf auth login``; the library sends it to the hub, and nothing else sees it.

    Args:
        bundle: The folder.
        repository: ``OWNER/NAME``; made if it is not there.
        private: Whether a new repository is private.
        force: Whether a bundle over its budget is put there, too.
        progress: Told about every stage.

    Raises:
        ProjectError: If the name is none.
        ToolchainError: If huggingface_hub is not installed.
        BundleError: If the bundle is damaged, or the hub does not take it, or gives back something else.
        OverBudgetError: If the bundle is over its budget.
    """
    if not _NAME.fullmatch(repository):
        raise ProjectError(f"{repository!r} is no name on the hub.", hint="It has the form OWNER/NAME.")
    manifest = bundles.read(bundle)
    if manifest.verdict != "passed" and not force:
        raise OverBudgetError(f"{bundle} is over its budget.", hint="Build it within, or publish it with --force.")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ToolchainError("huggingface_hub is not installed.", hint='pip install "edgekit[hf]"')
    stages = Stages(progress or Silent())
    files = dict(_files(bundle))
    with stages("upload") as detail:
        url, revision = _upload(repository, files, manifest, private=private)
        detail.append(url)
    with stages("read back") as detail:
        digests = _read_back(repository, revision, files)
        detail.append(f"{len(digests)} files with equal digests")
    return Published(repository=repository, url=url, revision=revision, files=tuple(sorted(digests.items())))


def _files(bundle: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.relative_to(bundle).as_posix() != CARD_FILE:
            yield path.relative_to(bundle).as_posix(), path


def _upload(repository: str, files: dict[str, Path], manifest: Manifest, *, private: bool) -> tuple[str, str]:
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi(library_name="edgekit")
    text = card.of_manifest(manifest, repository).encode()
    additions = [CommitOperationAdd(CARD_FILE, text), *(CommitOperationAdd(name, path) for name, path in files.items())]
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        done = hub.create_commit(
            repository, additions, commit_message=f"{manifest.model.name} for {manifest.target.name}"
        )
    except Exception as error:  # the library, and the one below it, raise a dozen classes
        raise BundleError(
            f"The hub does not take {repository}: {_without_token(error)}",
            hint="Log in with `hf auth login`, or set HF_TOKEN to a token that may write there.",
        ) from error
    return str(done.commit_url), str(done.oid)


def _read_back(repository: str, revision: str, files: dict[str, Path]) -> dict[str, str]:
    """Download every file anew, and hold its digest against the bundle's."""
    import tempfile

    from huggingface_hub import hf_hub_download

    found = {}
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        for name, path in files.items():
            try:
                got = hf_hub_download(repository, name, revision=revision, local_dir=folder)
            except Exception as error:
                raise BundleError(
                    f"{name} cannot be read back from {repository}: {_without_token(error)}", hint="Publish it again."
                ) from error
            found[name] = digest.of_file(Path(got))
            if found[name] != digest.of_file(path):
                raise BundleError(f"{repository} gives back another {name}.", hint="Publish it again.")
    return found


def _without_token(error: Exception) -> str:
    """Return the first line of a message, with a token in it, wherever it is from, written as stars."""
    from huggingface_hub import get_token

    text = (str(error) or type(error).__name__).strip().splitlines()[0]
    token = get_token()
    return re.sub(r"hf_[A-Za-z0-9]{8,}", "hf_***", text.replace(token, "***") if token else text)
