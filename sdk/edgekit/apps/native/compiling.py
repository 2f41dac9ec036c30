"""Compile the native program and its library from the sources beside this module."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgekit.apps.native.runtime import Runtime
from edgekit.apps.native.toolchain import Toolchain
from edgekit.base import cache as caches
from edgekit.base import digest
from edgekit.base.cache import Cache, Entry
from edgekit.errors import ToolchainError
from edgekit.spec import Format

SOURCE = Path(__file__).parent / "source"
PROGRAM, LIBRARY = "edgekit-run", "libedgekit.so"
_ENGINES = {Format.PTE: "engine_pte.cpp", Format.ONNX: "engine_onnx.cpp"}
_LAUNCHER = "launch.cpp"
# Loops over pixels and bytes are worth their size; all else is not.
_FAST = ("inflate.cpp", "png.cpp", "preprocess.cpp", "sha256.cpp")
_FLAGS = (
    "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
    # A fused product and sum rounds once where the build rounds twice.
    "-ffp-contract=off",
)  # fmt: skip
_CXX = ("-std=c++17", "-fvisibility-inlines-hidden")
# What ExecuTorch's libraries were compiled with, so that both see the same types.
_EXECUTORCH = ("-DC10_USING_CUSTOM_GENERATED_MACROS", "-DET_EVENT_TRACER_ENABLED", "-DET_USE_THREADPOOL")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_JPEG = "-l:libjpeg.a"


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """The program and its library, as bytes of files."""

    program: bytes
    library: bytes
    cached: bool


def compiled(
    toolchain: Toolchain, runtime: Runtime, *, jpeg: bool = False, sanitize: bool = False, cache: Cache | None = None
) -> Compiled:
    """Return the native program for a runtime.

    Args:
        toolchain: The compiler.
        runtime: What it is linked with.
        jpeg: Whether it reads JPEG, by libjpeg's static library; PNG and PNM it reads in any case.
        sanitize: Whether addresses and undefined behaviour are watched while it runs: for tests.
        cache: Where what was compiled is kept.

    Raises:
        ToolchainError: If it does not compile.
    """
    key = digest.of_json([_sources(), toolchain.version, list(toolchain.cxx), _facts(runtime), jpeg, sanitize])
    entry = caches.get(cache, "native", key) if cache is not None else None
    if entry is not None and entry.files.keys() == {PROGRAM, LIBRARY}:
        return Compiled(program=entry.files[PROGRAM], library=entry.files[LIBRARY], cached=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = _compile(toolchain, runtime, Path(scratch), cache, jpeg=jpeg, sanitize=sanitize)
    if cache is not None:
        caches.put(cache, "native", key, Entry(files={PROGRAM: found.program, LIBRARY: found.library}))
    return found


def _sources() -> dict[str, str]:
    return {file.name: digest.of_file(file) for file in sorted(SOURCE.iterdir())}


def _facts(runtime: Runtime) -> list[str]:
    return [
        runtime.format,
        runtime.name,
        *runtime.libraries,
        *(digest.of_file(runtime.folder / n) for n in runtime.linked),
    ]


def _compile(
    toolchain: Toolchain, runtime: Runtime, scratch: Path, cache: Cache | None, *, jpeg: bool, sanitize: bool
) -> Compiled:
    others = set(_ENGINES.values()) - {_ENGINES[runtime.format]}
    units = [file for file in sorted(SOURCE.glob("*.cpp")) if file.name not in others]
    includes = [part for folder in runtime.include for part in ("-isystem", str(folder))]
    common = [*_FLAGS, *(_SANITIZE if sanitize else ()), *(("-DEDGEKIT_JPEG",) if jpeg else ())]

    def compile_one(unit: Path) -> Path:
        made = scratch / f"{unit.stem}.o"
        level = "-O1" if sanitize else "-O2" if unit.name in _FAST else "-Os"
        own = [*_EXECUTORCH, *includes] if unit.name in _ENGINES.values() else []
        kind = [*toolchain.c] if unit.suffix == ".c" else [*toolchain.cxx, *_CXX]
        # Of what is the same for all runtimes the object is kept, so that a second one takes a moment.
        key = digest.of_json([_sources(), toolchain.version, kind, level, common, unit.name]) if not own else ""
        entry = caches.get(cache, "native", key) if cache is not None and key else None
        if entry is not None and entry.files.keys() == {unit.name}:
            made.write_bytes(entry.files[unit.name])
            return made
        _run(toolchain, [*kind, level, *common, *own, "-c", str(unit), "-o", str(made)])
        if cache is not None and key:
            caches.put(cache, "native", key, Entry(files={unit.name: made.read_bytes()}))
        return made

    units += [SOURCE / "jpeg.c"] if jpeg else []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        objects = {unit.name: made for unit, made in zip(units, pool.map(compile_one, units), strict=True)}
    launcher = [objects.pop(_LAUNCHER), *([objects.pop("jpeg.c")] if jpeg else [])]
    watched = list(_SANITIZE) if sanitize else ["-s"]
    library, program = scratch / LIBRARY, scratch / PROGRAM
    found = ["-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN", f"-L{runtime.folder}", f"-Wl,-rpath-link,{runtime.folder}"]
    kept = ["-Wl,--no-as-needed", *(f"-l:{name}" for name in runtime.kept), "-Wl,--as-needed"]
    linked = [*kept, *(f"-l:{name}" for name in runtime.linked)]
    command = [
        *toolchain.cxx,
        *watched,
        "-shared",
        *map(str, objects.values()),
        "-o",
        str(library),
        "-Wl,--gc-sections",
        *([] if sanitize else ["-Wl,-z,defs"]),
    ]
    _run(toolchain, [*command, f"-Wl,-soname,{LIBRARY}", *found, *linked])
    _run(
        toolchain, [*toolchain.c, *watched, *map(str, launcher), "-o", str(program), *([_JPEG] if jpeg else []), "-ldl"]
    )
    return Compiled(program=program.read_bytes(), library=library.read_bytes(), cached=False)


def _run(toolchain: Toolchain, command: Sequence[str]) -> None:
    done = subprocess.run(  # noqa: S603 - the compiler, on our own sources
        command, capture_output=True, text=True, check=False, env={**os.environ, **toolchain.environment}
    )
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no reason"]
    missing = "jpeglib.h" in done.stderr or "libjpeg" in done.stderr
    raise ToolchainError(
        f"The native program does not compile with {toolchain.version}: {lines[0].strip()[:300]}",
        hint="Install libjpeg's static library (sudo apt install libjpeg-dev), or leave JPEG out: --native png."
        if missing
        else "It takes g++ 11 or later and the packages that EdgeKit names; edgekit doctor says what fits.",
    )
