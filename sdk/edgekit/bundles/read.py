"""Read a bundle with every digest checked, and hold it against the runtimes that an app pins."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgekit.base import digest
from edgekit.bundles import native
from edgekit.bundles.contents import PAGE_FILE, REPORT_FILE
from edgekit.bundles.drawn import GRAPH_FILE
from edgekit.bundles.manifest import MANIFEST_FILE, Manifest, parse
from edgekit.errors import BundleError
from edgekit.spec import Format
from edgekit.targets.runtimes.check import CompatibilityResult, examine

_LARGEST = 2**28


def checked(content: Mapping[str, bytes], *, where: str) -> Manifest:
    """Return the manifest of a bundle's content that is not on disk yet.

    Raises:
        BundleError: If the files are not those that the manifest names.
    """
    manifest = parse(content.get(MANIFEST_FILE, b"").decode(errors="replace"), where=where)
    named = dict(files(manifest))
    # The network is for the page alone: a bundle is whole without it.
    if content.keys() - {GRAPH_FILE} != named.keys() | {MANIFEST_FILE, REPORT_FILE, PAGE_FILE}:
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
    manifest = parse(text_of(path), where=str(path))
    inside = folder.resolve()
    faults = []
    for name, sha256 in dict(files(manifest)).items():
        try:
            if not (folder / name).is_file():
                faults.append(f"{name} is missing")
            elif not (folder / name).resolve().is_relative_to(inside):
                faults.append(f"{name} is a link out of the bundle")
            elif digest.of_file(folder / name) != sha256:
                faults.append(f"{name} was changed: its sha256 is not the manifest's")
        except OSError as error:
            faults.append(f"{name} cannot be read: {error.strerror or error}")
    faults += native.faults(folder)
    if faults:
        raise BundleError(
            f"The bundle {folder} is damaged:\n" + "\n".join(f"  - {fault}" for fault in faults),
            hint="Build it again, or copy it again.",
        )
    return manifest


def text_of(path: Path) -> str:
    """Return the text of a manifest or a report.

    Raises:
        BundleError: If it cannot be read, or is larger than any is.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BundleError(f"{path} has more than {_LARGEST:,} bytes.", hint="No build writes such a file.")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}", hint="Make it readable.") from error


def compatibility(folder: Path, manifest: Manifest) -> tuple[CompatibilityResult, ...]:
    """Return what the artifacts of a bundle need that the runtimes lack which an app pins.

    Args:
        folder: The bundle, whose files were checked.
        manifest: Its manifest.
    """
    return tuple(
        result
        for artifact in manifest.artifacts
        for result in examine(
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
        for one in artifact.on_chip.beside if artifact.on_chip is not None else ():
            yield one.file, one.sha256
    if manifest.text is not None:
        yield manifest.text.file, manifest.text.sha256
    for golden in manifest.golden:
        for tensor in (*golden.inputs, *golden.outputs):
            yield tensor.file, tensor.sha256
