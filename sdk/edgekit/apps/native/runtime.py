"""The runtimes' own libraries and headers, which installed packages carry: what the native program is linked with."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.base.versions import installed
from edgekit.bundles.manifest import ArtifactInfo
from edgekit.errors import ToolchainError
from edgekit.spec import Cpu, Format

# What registers itself when it is loaded, and is named by nothing: the linker must be told to keep it.
_BACKENDS = {"XnnpackBackend": "libexecutorch_backend_xnnpack.so"}
_KERNELS = {"quantized_decomposed::": "libexecutorch_kernels_quantized.so"}
_OTHER_KERNELS = "libexecutorch_kernels_optimized.so"
_HEADER = "onnxruntime_c_api.h"
_HEADER_PLACES = (
    "/usr/include/onnxruntime", "/usr/include/onnxruntime/core/session", "/usr/include",
    "/usr/local/include/onnxruntime", "/usr/local/include",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A runtime's libraries for one processor."""

    format: Format
    name: str
    """Name and version."""
    folder: Path
    """Where its libraries are."""
    include: tuple[Path, ...]
    """Where its headers are."""
    libraries: tuple[str, ...]
    """File names of those that a folder needs."""
    kept: tuple[str, ...]
    """Those of them that register themselves."""
    linked: tuple[str, ...]
    """Those of them that the program names."""


def of_artifact(info: ArtifactInfo, cpu: Cpu, folder: Path, headers: Iterable[Path] = ()) -> Runtime:
    """Return what an artifact needs of its runtime, and no more.

    Args:
        info: The artifact.
        cpu: The processor that it runs on.
        folder: Where an installed package, or an unpacked one for another processor, has its libraries.
        headers: Folders to look for ONNX Runtime's C header in before the system's.

    Raises:
        ToolchainError: If a library or a header is not there.
    """
    if info.format is Format.ONNX:
        return _onnxruntime(folder, tuple(headers))
    package = _package("executorch")
    kept = [_BACKENDS[name] for name in info.delegates]
    kinds = dict.fromkeys(
        next((library for start, library in _KERNELS.items() if one.startswith(start)), _OTHER_KERNELS)
        for one in info.operators
    )
    kept += [*kinds]
    linked = ("libexecutorch.so",)
    found = Runtime(
        format=Format.PTE,
        name=f"ExecuTorch {installed('executorch')['executorch']}",
        folder=folder,
        include=(package / "include", package / "include/executorch/runtime/core/portable_type/c10"),
        libraries=(*kept, *linked, "libexecutorch_threadpool.so"),
        kept=tuple(kept),
        linked=linked,
    )
    return _there(found, cpu)


def host_folder(format: Format) -> Path:
    """Return where the installed package of this machine has its runtime's libraries.

    Raises:
        ToolchainError: If it is not installed.
    """
    return _package("executorch") / "lib" if format is Format.PTE else _package("onnxruntime") / "capi"


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ToolchainError(f"The package {name} is not installed here.", hint="edgekit doctor says what fits.")
    return Path(next(iter(found.submodule_search_locations)))


def _onnxruntime(folder: Path, headers: tuple[Path, ...]) -> Runtime:
    (library, *_) = [*sorted(folder.glob("libonnxruntime.so.*")), None]
    if library is None:
        raise ToolchainError(
            f"{folder} has no libonnxruntime.so: this package of ONNX Runtime carries no library for C.",
            hint="Install the one that EdgeKit names, or write a .pte.",
        )
    include = next((place for place in (*headers, *map(Path, _HEADER_PLACES)) if (place / _HEADER).is_file()), None)
    if include is None:
        raise ToolchainError(
            f"ONNX Runtime's C header, {_HEADER}, is not on this machine: its package carries the library alone.",
            hint="sudo apt install libonnxruntime-dev (Debian 13, Ubuntu 24.10 and later), or edgekit verify --setup. "
            "A .pte needs no header.",
        )
    return Runtime(
        format=Format.ONNX,
        name=f"ONNX Runtime {installed('onnxruntime')['onnxruntime']}",
        folder=folder,
        include=(include,),
        libraries=(library.name,),
        kept=(),
        linked=(library.name,),
    )


def _there(runtime: Runtime, cpu: Cpu) -> Runtime:
    missing = [name for name in runtime.libraries if not (runtime.folder / name).is_file()]
    if missing:
        raise ToolchainError(
            f"{runtime.name} has no {', '.join(missing)} for {cpu} in {runtime.folder}.",
            hint="EdgeKit needs the package that it names, for Linux: edgekit doctor says what fits.",
        )
    return runtime
