"""Write versions of runtimes into the files that apps keep them in, and leave every other character as it was."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.apps.values import App, Pin
from edgekit.base.atomic import replace_file
from edgekit.bundles.manifest import Manifest
from edgekit.errors import AppError, BundleError
from edgekit.spec import Platform
from edgekit.targets.runtimes import LIBRARIES, PLUGINS, library_of

_SECTION = re.compile(r"^[ \t]*\[+[ \t]*([^]\n]+?)[ \t]*\]+[ \t]*(#.*)?\r?$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be written into an app's file of versions."""

    file: Path | None
    """The file; None if there is nothing to write."""
    text: str
    """Its new text."""
    pins: tuple[Pin, ...]
    """The versions in it."""
    notes: tuple[str, ...]
    """What a person has to write where no file holds the versions."""


def plan(app: App, manifests: Sequence[Manifest]) -> Plan:
    """Find out where the versions of the runtimes that bundles need go, and write nothing yet.

    Args:
        app: The app.
        manifests: The bundles', which agree about the versions.

    Raises:
        AppError: If the file that holds them cannot be edited.
    """
    formats = {artifact.format for manifest in manifests for artifact in manifest.artifacts}
    needed = {LIBRARIES[format] for format in formats if format in LIBRARIES}
    pinned = [item for manifest in manifests for item in manifest.target.runtimes.items()]
    runtimes = {package: version for package, version in pinned if library_of(package) in needed}
    text = fresh = ""
    pins: tuple[Pin, ...] = ()
    if app.pins is not None:
        edit = into_catalog if app.platform is Platform.ANDROID else into_package
        text = _text(app.pins)
        fresh, pins = edit(text, runtimes)
    notes = [
        f"{app.pins} had no version for {one.runtime}, and now has {one.key}: let a library refer to it."
        for one in pins
        if one.before is None
    ]
    built = "\n".join(map(_text, app.build_files))
    for package, version in runtimes.items():
        there = rf"{re.escape(package)}['\"]?[:,\s'\"]+(~>\s*)?{re.escape(version)}\b"
        if package not in {one.runtime for one in pins} and not re.search(there, built):
            notes.append(_by_hand(app, package, version))
    for manifest in manifests:
        delegates = {name for artifact in manifest.artifacts for name in artifact.delegates}
        notes += [
            f"The bundle for {manifest.target.name} runs only in an app that links {library}; others fall back to the "
            "CPU's."
            for name, library in PLUGINS.items()
            if name in delegates and library not in built + text
        ]
    return Plan(file=app.pins if fresh != text else None, text=fresh, pins=pins, notes=tuple(notes))


def write(planned: Plan) -> None:
    """Write the versions in one step.

    Raises:
        AppError: If the file cannot be written.
    """
    if planned.file is None:
        return
    try:
        replace_file(planned.file, planned.text.encode())
    except BundleError as error:
        raise AppError(error.message, hint="Make it writable, or set the versions by hand.") from error


def _text(file: Path) -> str:
    """Return a file's text with its own line ends."""
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise AppError(f"{file} cannot be read: {error}", hint="Make it readable, as UTF-8.") from error


def _by_hand(app: App, package: str, version: str) -> str:
    if app.platform is Platform.ANDROID:
        place = next((file.name for file in app.build_files), "build.gradle.kts")
        groovy = place.endswith(".gradle")
        line = f"implementation '{package}:{version}'" if groovy else f'implementation("{package}:{version}")'
        return f"Pin the runtime in the dependencies of {place}: {line}"
    if package == "executorch":
        return f'Pin the Swift package https://github.com/pytorch/executorch.git to the branch "{version}".'
    return f"Pin ONNX Runtime to {version}: pod '{package}', '{version}', or the Swift package of the same version."


def into_catalog(text: str, runtimes: Mapping[str, str]) -> tuple[str, tuple[Pin, ...]]:
    """Write versions into a Gradle version catalog.

    The key is the one that the catalog's own library refers to; ``executorch`` and ``onnxruntime`` where it has none.

    Args:
        text: The catalog.
        runtimes: Versions by Maven coordinate.

    Returns:
        The text with the versions, and what was there before.

    Raises:
        AppError: If the catalog is no TOML, or holds a version in a form that cannot be replaced.
    """
    before = _catalog(text)
    pins = []
    for package, version in runtimes.items():
        key = _key(before, package)
        old = before.get("versions", {}).get(key)
        if old is not None and not isinstance(old, str):
            raise AppError(
                f"The version catalog has more than a version at {key}: it is left as it is.",
                hint=f'Let it hold {version}, or write {key} = "{version}" and drop again.',
            )
        text = _set(text, key, version, new=old is None)
        pins.append(Pin(runtime=package, key=key, before=old, after=version))
    wanted = before | {"versions": before.get("versions", {}) | {pin.key: pin.after for pin in pins}}
    if not pins or _catalog(text) == wanted:
        return text, tuple(pins)
    lines = ", ".join(f'{pin.key} = "{pin.after}"' for pin in pins)
    raise AppError("The version catalog is laid out in a way that cannot be edited.", hint=f"Set [versions] {lines}.")


def _catalog(text: str) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AppError(f"The version catalog is no TOML: {error}", hint="Mend gradle/libs.versions.toml.") from error


def _key(catalog: Mapping[str, Mapping[str, object]], package: str) -> str:
    group, _, name = package.partition(":")
    for library in catalog.get("libraries", {}).values():
        if not isinstance(library, dict):
            continue
        same = library.get("module") == package or (library.get("group"), library.get("name")) == (group, name)
        reference = library.get("version")
        if same and isinstance(reference, dict) and isinstance(reference.get("ref"), str):
            return str(reference["ref"])
    return library_of(package) or name


def _set(text: str, key: str, version: str, *, new: bool) -> str:
    """Return the text with one key of ``[versions]`` set."""
    section = next((found for found in _SECTION.finditer(text) if found[1].strip() == "versions"), None)
    line = f'{key} = "{version}"\n'
    if section is None:
        return f"[versions]\n{line}\n{text}"
    start = section.end() + 1
    following = _SECTION.search(text, start)
    end = following.start() if following else len(text)
    body = text[start:end]
    if new:
        head = text[:start] if text[:start].endswith("\n") else f"{text[:start]}\n"
        return f"{head}{line}{text[start:]}"
    quoted = rf"""(^[ \t]*["']?{re.escape(key)}["']?[ \t]*=[ \t]*)(["'])[^"'\n]*\2"""
    body = re.sub(quoted, lambda found: f"{found[1]}{found[2]}{version}{found[2]}", body, flags=re.MULTILINE)
    return text[:start] + body + text[end:]


_CONSTANTS = {"executorch": "executorchBranch", "onnxruntime": "onnxruntimeVersion"}


def into_package(text: str, runtimes: Mapping[str, str]) -> tuple[str, tuple[Pin, ...]]:
    """Write versions into the constants at the top of a ``Package.swift``; those that it does not have are left out.

    Args:
        text: The package's manifest.
        runtimes: Versions, or a branch, by package.

    Returns:
        The text with the versions, and what was there before.

    Raises:
        AppError: If a version is read back otherwise than it was written.
    """
    pins = []
    for package, version in runtimes.items():
        key = _CONSTANTS.get(library_of(package) or "", "")
        pattern = rf'(^[ \t]*let[ \t]+{key}(?:[ \t]*:[ \t]*[\w.]+)?[ \t]*=[ \t]*")([^"\n]*)"'
        found = re.search(pattern, text, re.MULTILINE)
        if not key or found is None:
            continue
        text = f'{text[: found.start()]}{found[1]}{_in_swift(version)}"{text[found.end() :]}'
        if [one[2] for one in re.finditer(pattern, text, re.MULTILINE)] != [version]:
            raise AppError(f"Package.swift cannot hold {version} as {key}.", hint="Set the versions by hand.")
        pins.append(Pin(runtime=package, key=key, before=found[2], after=version))
    return text, tuple(pins)


def _in_swift(version: str) -> str:
    """Return what stands for a text between the quotes of a string in Swift."""
    return version.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
