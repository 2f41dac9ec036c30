"""Bundles on disk: written in one step, read with every digest checked."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgekit import digest
from edgekit.artifact import Artifact
from edgekit.atomic import check_writable, replace_file, replace_folder
from edgekit.deviceprofile import DEVICE_FILE
from edgekit.errors import BundleError
from edgekit.manifest import MANIFEST_FILE, ArtifactInfo, Manifest, parse, report
from edgekit.profile import PROFILE_FILE
from edgekit.runtimes.check import Finding, examine, minimum
from edgekit.spec import Format, SizeLimit

REPORT_FILE = "report.json"
# What was measured of a bundle after it was built.
ADDED = (PROFILE_FILE, DEVICE_FILE)
PAGE_FILE = "report.html"


def describe(
    artifact: Artifact, *, limit: SizeLimit, weight_bytes: int, batches: tuple[int, ...], pins: Mapping[str, str]
) -> ArtifactInfo:
    """Return an artifact's entry in the manifest.

    Args:
        artifact: The artifact.
        limit: The target's size limit.
        weight_bytes: Bytes of the weights as the scheme stores them.
        batches: Batch sizes that were verified.
        pins: Versions of the runtimes that an app pins.
    """
    allowed = allowed_bytes(limit, weight_bytes)
    return ArtifactInfo(
        format=artifact.format,
        file=artifact.file,
        sha256=artifact.sha256,
        bytes=len(artifact.data),
        quantization=artifact.scheme,
        minimum_runtime=minimum(artifact.format, pins),
        operators=artifact.operators,
        delegates=artifact.delegates,
        delegated_fraction=artifact.delegated_fraction,
        int8_fraction=artifact.int8_fraction,
        not_delegated=artifact.not_delegated,
        verified_batches=batches,
        within_size=len(artifact.data) <= allowed,
        size_limit=allowed,
    )


def allowed_bytes(limit: SizeLimit, weight_bytes: int) -> int:
    """Return how large an artifact may be whose scheme stores the weights in so many bytes."""
    return int(4 * limit.max_share * weight_bytes) + limit.overhead_bytes


def check_place(folder: Path) -> None:
    """Make sure that a bundle can be written to a folder, before the work that leads up to it.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(
            f"{folder} holds something that is no bundle, and is left alone.",
            hint="Choose another folder with --output.",
        )
    check_writable(folder.parent)


def contents(
    manifest: Manifest, artifacts: tuple[Artifact, ...], golden: dict[str, bytes], page: str
) -> dict[str, bytes]:
    """Return the content of all files of a bundle, by path within its folder.

    Args:
        manifest: The manifest.
        artifacts: The files that it names.
        golden: The golden vectors that it names.
        page: The text of the report's page.
    """
    return {
        **{artifact.file: artifact.data for artifact in artifacts},
        **golden,
        REPORT_FILE: report(manifest).to_json().encode(),
        PAGE_FILE: page.encode(),
        MANIFEST_FILE: manifest.to_json().encode(),
    }


def write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write a bundle in one step; a build that dies leaves the previous one whole, one that is the same is left.

    Raises:
        BundleError: If the folder cannot be written, or holds something that is no bundle.
    """
    check_place(folder)
    if not _holds(folder, content):
        replace_folder(folder, content)


def add(folder: Path, file: str, text: str, page: str) -> Path:
    """Write what was measured of a bundle, and the page with it, into its folder; another build takes both away.

    Args:
        folder: The bundle.
        file: One of the files that a bundle may hold beside its own.
        text: What is in it.
        page: The text of the page that shows it.

    Raises:
        BundleError: If a file cannot be written.
    """
    replace_file(folder / file, text.encode())
    replace_file(folder / PAGE_FILE, page.encode())
    return folder / file


def checked(content: Mapping[str, bytes], *, where: str) -> Manifest:
    """Return the manifest of a bundle's content that is not on disk yet.

    Raises:
        BundleError: If the files are not those that the manifest names.
    """
    manifest = parse(content.get(MANIFEST_FILE, b"").decode(errors="replace"), where=where)
    named = dict(files(manifest))
    if content.keys() != named.keys() | {MANIFEST_FILE, REPORT_FILE, PAGE_FILE}:
        raise BundleError(f"{where} has not the files that its manifest names.", hint="Build the bundle again.")
    if changed := [name for name, sha256 in named.items() if digest.of_bytes(content[name]) != sha256]:
        raise BundleError(f"{where} is damaged: {', '.join(changed)}.", hint="Build the bundle again.")
    return manifest


def read(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file that it names.

    Raises:
        BundleError: If there is no bundle, or a file is missing or was changed.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST_FILE}.",
            hint="edgekit build writes bundles to artifacts/MODEL/TARGET.",
        )
    manifest = parse(path.read_text(encoding="utf-8"), where=str(path))
    faults = []
    for name, sha256 in files(manifest):
        if not (folder / name).is_file():
            faults.append(f"{name} is missing")
        elif digest.of_file(folder / name) != sha256:
            faults.append(f"{name} was changed: its sha256 is not the manifest's")
    if faults:
        raise BundleError(
            f"The bundle {folder} is damaged:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Build it again, or copy it again.",
        )
    return manifest


def compatibility(folder: Path, manifest: Manifest) -> tuple[Finding, ...]:
    """Return what the artifacts of a bundle need that the runtimes lack which an app pins.

    Args:
        folder: The bundle, whose files were checked.
        manifest: Its manifest.
    """
    return tuple(
        finding
        for artifact in manifest.artifacts
        for finding in examine(
            artifact.file,
            artifact.format,
            operators=artifact.operators,
            delegates=artifact.delegates,
            pins=manifest.target.runtimes,
            not_delegated=artifact.not_delegated,
            data=(folder / artifact.file).read_bytes() if artifact.format is Format.ONNX else None,
        )
    )


def files(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the path and the digest of every file that a manifest names."""
    for artifact in manifest.artifacts:
        yield artifact.file, artifact.sha256
    for golden in manifest.golden:
        for tensor in (*golden.inputs, *golden.outputs):
            yield tensor.file, tensor.sha256


def _holds(folder: Path, content: Mapping[str, bytes]) -> bool:
    """Whether a folder holds these files, and beside them none but those of `ADDED` and their page."""
    try:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
        added = found.keys() & set(ADDED)
        own = content.keys() - ({PAGE_FILE} if added else set())
        return found.keys() - added == content.keys() and all(found[name].read_bytes() == content[name] for name in own)
    except OSError:
        return False
