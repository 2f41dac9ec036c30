"""The native folder of a bundle: what is in it, and how it gets there."""

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.apps.emulation import kit
from edgekit.apps.native import runtime as runtimes
from edgekit.apps.native import toolchain as toolchains
from edgekit.apps.native.compiling import LIBRARY, PROGRAM, SOURCE, Compiled, compiled
from edgekit.apps.native.launch import Program, launch
from edgekit.apps.native.runtime import Runtime
from edgekit.apps.native.toolchain import Toolchain
from edgekit.base import digest
from edgekit.base.atomic import replace_folder
from edgekit.base.cache import Cache
from edgekit.bundles.manifest import MANIFEST_FILE, ArtifactInfo, Manifest
from edgekit.bundles.native import NATIVE_FILE, NATIVE_FOLDER, Native, read
from edgekit.bundles.read import text_of
from edgekit.errors import BundleError, RunError, TargetError
from edgekit.spec import Cpu, Format, Platform, Target

_COPIED = ("edgekit.h", "example.c")
_FILLED = ("Dockerfile", "edgekit-selftest.service")
# What the libraries need of the system, by the loader's path on each processor.
_LOADERS = {Cpu.X86_64: "/lib64/ld-linux-x86-64.so.2", Cpu.ARM64: "/lib/ld-linux-aarch64.so.1"}
_SYSTEM = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6")
_TRIPLES = {Cpu.X86_64: "x86_64-linux-gnu", Cpu.ARM64: "aarch64-linux-gnu"}
# The Debian release whose C library is at least as new as what the program was linked with.
_DEBIAN = "13"


@dataclass(frozen=True, kw_only=True)
class Added:
    """A native folder that was written."""

    folder: Path
    native: Native
    tested: bool
    """Whether its self-test ran here and passed."""
    peak_bytes: int | None
    """Its peak memory in computing a golden input; None: it did not run here."""
    cached: bool
    """Whether the program came from the cache."""


def check(targets: Iterable[Target]) -> None:
    """Make sure that there is a compiler for what a native folder is asked for, before any other work is done.

    Raises:
        TargetError: If a target is not for Linux.
        ToolchainError: If there is no compiler for its processor.
    """
    for target in targets:
        if target.platform is not Platform.LINUX:
            raise TargetError(
                f"{target.name} is for {target.platform}, and native folders are for Linux.",
                hint="Ask for --native with linux-arm64, linux-x86_64 or a profile of your own for Linux.",
            )
        toolchains.find(target.cpu, kit.folder())


def add(bundle: Path, manifest: Manifest, *, jpeg: bool, cache: Cache | None) -> Added:
    """Write the native folder of a bundle that is on disk, and run its self-test if this machine can.

    Args:
        bundle: The bundle's folder, whose files are as its manifest says.
        manifest: Its manifest.
        jpeg: Whether the program reads JPEG, too.
        cache: Where compiled programs are kept.

    Raises:
        ToolchainError: If there is no compiler or library, or the program does not compile.
        RunError: If the program computes something else than the build did.
        BundleError: If the folder cannot be written.
    """
    made = assembled(bundle, manifest, chosen(manifest), jpeg=jpeg, cache=cache)
    tested = toolchains.host_cpu() is manifest.target.cpu
    peak = None
    if tested:
        with tempfile.TemporaryDirectory() as scratch:
            peak = _test(made.write(Path(scratch) / NATIVE_FOLDER))
    target = bundle / NATIVE_FOLDER
    made.write(target)
    return Added(folder=target, native=made.native, tested=tested, peak_bytes=peak, cached=made.cached)


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """The content of a native folder."""

    native: Native
    files: Mapping[str, bytes]
    cached: bool
    """Whether the program came from the cache."""

    def write(self, folder: Path) -> Program:
        """Write it as the whole content of a folder, in one step.

        Raises:
            BundleError: If that cannot be written.
        """
        described = {NATIVE_FILE.removeprefix(f"{NATIVE_FOLDER}/"): self.native.to_json().encode()}
        replace_folder(folder, {**self.files, **described}, executable=executables(self.files))
        return Program(folder=folder)


def assembled(bundle: Path, manifest: Manifest, info: ArtifactInfo, *, jpeg: bool, cache: Cache | None) -> Assembled:
    """Compile the program for an artifact of a bundle, and gather what belongs beside it.

    Args:
        bundle: The bundle's folder, whose files are as its manifest says.
        manifest: Its manifest.
        info: The artifact.
        jpeg: Whether the program reads JPEG, too.
        cache: Where compiled programs are kept.

    Raises:
        ToolchainError: If there is no compiler or library, or the program does not compile.
        BundleError: If a file of the bundle cannot be read.
    """
    cpu = manifest.target.cpu
    toolchain = toolchains.find(cpu, kit.folder())
    own = toolchains.host_cpu() is cpu
    libraries = runtimes.host_folder(info.format) if own else kit.libraries(info.format)
    runtime = runtimes.of_artifact(info, cpu, libraries, kit.headers())
    jpeg = jpeg and manifest.preprocessing is not None
    made = compiled(toolchain, runtime, jpeg=jpeg, cache=cache)
    files = _files(bundle, manifest, info, runtime, made)
    text = text_of(bundle / MANIFEST_FILE)
    native = _described(manifest, text, info, runtime, toolchain, files, jpeg=jpeg)
    return Assembled(native=native, files=files, cached=made.cached)


def own(bundle: Path, info: ArtifactInfo) -> Assembled | None:
    """Return the native folder that lies in a bundle, if it runs an artifact and belongs to this build.

    Args:
        bundle: The bundle's folder, whose files were checked.
        info: The artifact.

    Raises:
        BundleError: If a file cannot be read.
    """
    native, folder = read(bundle), bundle / NATIVE_FOLDER
    if native is None or native.format is not info.format:
        return None
    try:
        if native.manifest_sha256 != digest.of_file(bundle / MANIFEST_FILE):
            return None
        files = {name: (folder / name).read_bytes() for name in native.files}
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror or error}.", hint="Build it again.") from error
    return Assembled(native=native, files=files, cached=True)


def chosen(manifest: Manifest) -> ArtifactInfo:
    """Return the artifact that a native folder runs: the .pte, whose runtime is small, before the .onnx."""
    found = sorted(manifest.artifacts, key=lambda info: info.format is not Format.PTE)
    return found[0]


def executables(files: Iterable[str]) -> frozenset[str]:
    """Return which files of a native folder a system starts or loads."""
    return frozenset(name for name in files if name == PROGRAM or ".so" in name)


def _files(bundle: Path, manifest: Manifest, info: ArtifactInfo, runtime: Runtime, made: Compiled) -> dict[str, bytes]:
    """Return the content of the folder but for what describes it."""
    try:
        golden = {
            tensor.file: (bundle / tensor.file).read_bytes()
            for one in manifest.golden
            for tensor in (*one.inputs, *(output for output in one.outputs if output.artifact in (None, info.file)))
        }
        return {
            PROGRAM: made.program,
            LIBRARY: made.library,
            **{_name(name): (runtime.folder / name).read_bytes() for name in runtime.libraries},
            info.file: (bundle / info.file).read_bytes(),
            MANIFEST_FILE: (bundle / MANIFEST_FILE).read_bytes(),
            **golden,
            **{name: (SOURCE / name).read_bytes() for name in _COPIED},
            **{name: _filled(name, manifest).encode() for name in _FILLED},
        }
    except OSError as error:
        raise BundleError(f"{bundle} cannot be read: {error.strerror or error}.", hint="Build it again.") from error


def _name(library: str) -> str:
    """Return the name that programs look for: libonnxruntime.so.1.32.0 calls itself libonnxruntime.so.1."""
    match = re.fullmatch(r"(.*\.so\.\d+)\.[\d.]+", library)
    return match[1] if match else library


def _filled(name: str, manifest: Manifest) -> str:
    cpu = manifest.target.cpu
    triple = _TRIPLES[cpu]
    lines = [f"COPY --from=system {_LOADERS[cpu]} {_LOADERS[cpu]}"]
    lines += [f"COPY --from=system /usr/lib/{triple}/{library} /usr/lib/{triple}/" for library in _SYSTEM[:5]]
    lines += [f"COPY --from=system /usr/lib/{triple}/{library} /usr/lib/{triple}/" for library in _SYSTEM[5:]]
    text = (SOURCE / name).read_text(encoding="utf-8")
    return (
        text.replace("@SYSTEM@", "\n".join(lines))
        .replace("@DEBIAN@", _DEBIAN)
        .replace("@NAME@", manifest.model.name.lower())
    )


def _described(
    manifest: Manifest,
    text: str,
    info: ArtifactInfo,
    runtime: Runtime,
    toolchain: Toolchain,
    files: dict[str, bytes],
    *,
    jpeg: bool,
) -> Native:
    pictures = ("PNG", "PNM", *(("JPEG",) if jpeg else ())) if manifest.preprocessing is not None else ()
    return Native(
        manifest_sha256=digest.of_bytes(text.encode()),
        format=info.format,
        cpu=manifest.target.cpu,
        runtime=runtime.name,
        compiler=toolchain.version,
        pictures=pictures,
        files={name: digest.of_bytes(data) for name, data in files.items()},
        bytes=sum(map(len, files.values())),
    )


def _test(program: Program) -> int:
    """Run the self-test, then one input alone, and return the peak memory of that in bytes."""
    done = launch(program, ["selftest"])
    if done.code == 0:
        done = launch(program, ["bench", "--runs", "1", "--warmup", "0", "--json"])
    if done.code != 0:
        raise RunError(
            f"The native program does not pass its self-test: {done.reason}",
            hint="This is EdgeKit's own fault, or the compiler's; please report it.",
        )
    peak: int = json.loads(done.out)["peak_kb"]
    return peak * 1024
