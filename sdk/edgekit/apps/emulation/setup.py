"""Set the kit up: Debian's packages and the runtimes' wheels, unpacked into the cache. No root, nothing installed."""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edgekit.apps.emulation import kit
from edgekit.apps.emulation.debian import Debian
from edgekit.base import digest
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import installed
from edgekit.errors import CacheError, ToolchainError
from edgekit.spec import Format

_COMPILER = "g++-aarch64-linux-gnu"
_EMULATOR = "qemu-user"
_HEADER = "libonnxruntime-dev"
_LEAST_EMULATOR = 10
# What this machine has anyway, and must not be taken from elsewhere; and what no program of ours is linked with.
_LEFT_OUT = ("libc6_", "libgcc-s1_", "libstdc++6_", "gcc-12-base_", "gcc-14-base_")
_SANITIZERS = ("libasan", "liblsan", "libtsan", "libubsan", "libhwasan", "libitm", "libatomic", "libgomp", "libcc1")
_WHEELS = {"executorch": ("executorch/lib/", Format.PTE), "onnxruntime": ("onnxruntime/capi/libonnx", Format.ONNX)}
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def set_up(progress: Progress) -> Path:
    """Download and unpack what emulation needs, unless it is there; whoever looks sees all of it or nothing.

    Args:
        progress: Told about every stage.

    Returns:
        The kit's folder.

    Raises:
        ToolchainError: If this machine is none that it can be set up on, or a package cannot be had.
        CacheError: If there is no cache to put it in.
    """
    if (found := kit.folder()) is not None:
        return found
    place = kit.place()
    if place is None:
        raise CacheError("You have no home folder to keep a cache in.", hint="Set EDGEKIT_CACHE to a folder.")
    _check_machine()
    stages = Stages(progress)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"{place.name}.new-") as scratch:
            fresh = Path(scratch) / "kit"
            facts = _fill(fresh, Path(scratch), stages)
            (fresh / kit.COMPLETE).write_text(json.dumps(facts, indent=2, sort_keys=True), encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
    except OSError as error:
        raise CacheError(f"{place} cannot be written: {error.strerror or error}.", hint="Free some space.") from error
    return place


def _check_machine() -> None:
    missing = [name for name in ("apt-get", "apt-cache", "dpkg-deb", "tar") if shutil.which(name) is None]
    if sys.platform != "linux" or missing:
        raise ToolchainError(
            f"The emulator is set up from Debian's packages, and this machine has no {', '.join(missing) or 'Linux'}.",
            hint="Use a machine or a container with Debian or Ubuntu; or install qemu-user 10, a cross compiler and "
            "its libraries yourself.",
        )
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise ToolchainError(
            f"There is nothing to set up on a machine with {platform.machine()}.",
            hint="On 64-bit ARM, edgekit verify runs the bundle itself, without --emulate.",
        )


def _fill(fresh: Path, scratch: Path, stages: Stages) -> dict[str, object]:
    debian = Debian.of_system(scratch / "apt")
    with stages("look for packages") as detail:
        debian.update()
        version = debian.newest(_EMULATOR)
        detail.append(f"{_EMULATOR} {version}")
        if _major(version) < _LEAST_EMULATOR:
            raise ToolchainError(
                f"The newest {_EMULATOR} here is {version}; before {_LEAST_EMULATOR} it computes wrongly.",
                hint="Use Debian 12 or later, whose backports have it, or a container of Debian 13.",
            )
        needed = [name for name in debian.closure(_COMPILER) if not name.startswith((*_LEFT_OUT, *_SANITIZERS))]
        header = debian.newest(_HEADER, optional=True)
        wanted = [f"{_EMULATOR}={version}", *(name.partition("_")[0] for name in needed)]
    with stages("download packages") as detail:
        files = debian.download([*wanted, *([f"{_HEADER}={header}"] if header else [])], scratch / "packages")
        detail.append(f"{sum(file.stat().st_size for file in files) / 1e6:.0f} MB, checked by apt's signatures")
    with stages("unpack"):
        for file in files:
            debian.unpack(file, fresh, only="./usr/bin/qemu-aarch64" if file.name.startswith(_EMULATOR) else "")
        shutil.rmtree(fresh / "usr/share", ignore_errors=True)
    with stages("download the runtimes' libraries") as detail:
        versions = installed(*_WHEELS)
        wheels = _wheels(scratch / "wheels", versions)
        for wheel in wheels:
            _unpack_wheel(wheel, fresh)
        detail.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    return {
        "packages": {file.name: digest.of_file(file) for file in files},
        "wheels": {file.name: digest.of_file(file) for file in wheels},
    }


def _major(version: str) -> int:
    number = version.rpartition(":")[2].partition(".")[0]
    return int(number) if number.isdigit() else 0


def _wheels(folder: Path, versions: dict[str, str]) -> list[Path]:
    """Download the runtimes' packages for ARM, of the versions that are installed here."""
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    named = [f"{name}=={version}" for name, version in versions.items()]
    done = subprocess.run(  # noqa: S603 - pip of this Python
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *platforms, "-d",
         str(folder), *named],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise ToolchainError(
            f"The runtimes' packages for arm64 cannot be downloaded: {last[:300]}",
            hint=f"{sys.executable} -m pip must work here, and reach a package index that has {', '.join(named)}.",
        )
    return sorted(folder.glob("*.whl"))


def _unpack_wheel(wheel: Path, fresh: Path) -> None:
    start, _ = _WHEELS[wheel.name.partition("-")[0]]
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(start) and ".so" in name:
                archive.extract(name, fresh)
