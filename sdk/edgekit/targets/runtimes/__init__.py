"""What the published runtimes carry, and which versions of them apps pin: data files beside this module.

``pins.toml`` is written by hand, the others by ``scripts/make-runtimes`` from the published libraries.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

from edgekit.base.values import Spec
from edgekit.errors import TargetError
from edgekit.spec import Format, Platform, schema

PINS_FILE = "pins.toml"
LIBRARIES = {Format.PTE: "executorch", Format.ONNX: "onnxruntime"}
"""The runtime of each format that an app brings along."""
SYSTEMS = {Format.AIMODEL: "iOS 27"}
"""The system that carries the runtime of a format."""
PLUGINS = {"QNNExecutionProvider": "com.qualcomm.qti:onnxruntime-android-qnn"}
"""Execution providers that are libraries of their own, which an Android app links beside ONNX Runtime."""


class Library(Spec):
    """A published library that was read."""

    name: str
    """What it is, and where it was published."""
    sha256: str
    """Digest of the file."""
    says: str
    """What reading it says of the runtime that an app links."""


class Runtime(Spec):
    """What one version of a runtime carries."""

    package: str
    """The package, as target profiles name it."""
    version: str
    """The version, or the branch, that an app pins."""
    libraries: tuple[Library, ...]
    """What the lists below were read from."""
    backends: tuple[str, ...]
    """Delegates of ExecuTorch, execution providers of ONNX Runtime."""
    operators: dict[str, tuple[tuple[int, int], ...]]
    """Operators, each with the first and last operator set that it is there at; none for ExecuTorch, which has no such
    versions. Another domain than ONNX's own stands before the name: ``com.microsoft::QLinearAdd``."""
    doubtful: dict[str, str]
    """Operators that only one of several libraries has, with the reason to doubt them."""
    opset: int | None = None
    """Newest operator set of ONNX that is read."""
    ir_version: int | None = None
    """Newest version of ONNX's file format that is read."""


class _Pins(Spec):
    android: dict[str, str]
    ios: dict[str, str]
    linux: dict[str, str]
    web: dict[str, str]


def library_of(package: str) -> Literal["executorch", "onnxruntime"] | None:
    """Return which runtime a package holds, a Maven coordinate, Swift package, pod or PyPI package; None if neither."""
    last = package.rpartition(":")[2]
    return "executorch" if "executorch" in last else "onnxruntime" if "onnxruntime" in last else None


def number(version: str) -> str:
    """Return the version in a pin, which may be the name of a branch: ``1.5.1`` for ``swiftpm-1.5.1``."""
    return version.rpartition("-")[2]


@cache
def _pins() -> _Pins:
    text = (files("edgekit.targets.runtimes") / PINS_FILE).read_text(encoding="utf-8")
    hint = "Install edgekit again."
    return schema.parse_toml(text, _Pins, where=PINS_FILE, error=TargetError, hint=hint)


def pinned(platform: Platform) -> dict[str, str]:
    """Return the versions that apps of a platform pin, by package."""
    return dict(getattr(_pins(), platform.value))


def file_name(package: str, version: str) -> str:
    """Return the name of the file that holds what a runtime carries."""
    return f"{package.rpartition(':')[2]}-{version}.json"


@cache
def load(package: str, version: str) -> Runtime | None:
    """Return what a version of a runtime carries; None if that is not known."""
    file = files("edgekit.targets.runtimes") / file_name(package, version)
    if not file.is_file():
        return None
    found = Runtime.model_validate_json(file.read_text(encoding="utf-8"))
    return found if (found.package, found.version) == (package, version) else None
