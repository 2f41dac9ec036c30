"""Write what the pinned runtimes carry into ``sdk/edgekit/targets/runtimes``, read from the published libraries.

The library that an app links is taken where it can be had; otherwise others of the same release stand in for it, and
the file says which and what that means. Where those differ, what only one of them has is called doubtful.
With ``--check`` nothing is written, and the exit code says whether the files are what would be written.
"""

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.base import digest
from edgekit.spec import Platform
from edgekit.targets import runtimes
from edgekit.targets.runtimes import Library, Runtime

FOLDER = Path(runtimes.__file__).parent
SCRIPTS = Path(__file__).parent
# A real Android and a real iOS library of ExecuTorch, built and published by others, version not stated.
NPM = "react-native-executorch@0.9.3"
NPM_FILES = {
    Platform.ANDROID: "package/third-party/android/libs/executorch/arm64-v8a/libexecutorch.so",
    Platform.IOS: "package/third-party/ios/ExecutorchLib.xcframework/ios-arm64/ExecutorchLib.framework/ExecutorchLib",
}
NAMESPACES = "aten|dim_order_ops|et_copy|executorch_prim|llama|quantized_decomposed"
OPERATOR = re.compile(rb"((?:" + NAMESPACES.encode() + rb")::\w+(?:\.\w+)?)\0")
BACKEND = re.compile(rb"([A-Z][A-Za-z]*Backend)\0")
COMMIT = re.compile(rb"git-commit-id=([0-9a-f]+)")
WASM = "package/dist/ort-wasm-simd-threaded.wasm"
REGISTRY = (
    "import json, sys\n"
    "from executorch.extension.pybindings import portable_lib as lib\n"
    "from executorch.extension.pybindings import _C\n"
    "print(json.dumps([_C.__file__, lib._get_operator_names(), lib._get_registered_backend_names()]))"
)


@dataclass(frozen=True, kw_only=True)
class Read:
    """What one library has."""

    library: Library
    operators: frozenset[str]
    backends: frozenset[str]


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    options = parser.parse_args()
    stale = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for platform in Platform:
            for package, version in runtimes.pinned(platform).items():
                make = executorch if runtimes.library_of(package) == "executorch" else onnxruntime
                text = laid_out(make(platform, package, version, work))
                path = FOLDER / runtimes.file_name(package, version)
                if not path.is_file() or path.read_text(encoding="utf-8") != text:
                    stale.append(path.name)
                    if not options.check:
                        path.write_text(text, encoding="utf-8")
                        sys.stdout.write(f"wrote {path}\n")
    if options.check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run scripts/make-runtimes")


def laid_out(runtime: Runtime) -> str:
    """Return the text of a file, each operator on a line of its own."""
    text = json.dumps(runtime.model_dump(mode="json"), indent=2)
    pairs = re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text)
    return re.sub(r"\[\s+(\[[^{}]*?\])\s+\](?=,?\n)", lambda found: f"[{' '.join(found[1].split())}]", pairs) + "\n"


def executorch(platform: Platform, package: str, version: str, work: Path) -> Runtime:
    """Return what an ExecuTorch carries: from its own library, or from the wheel and another build of its kind."""
    if platform is Platform.ANDROID and (archive := maven(f"{package}:{version}:aar", work)):
        data = member(archive, "jni/arm64-v8a/libexecutorch.so")
        says = "This is the library that the app links."
        return combined(package, version, [strings(data, f"Maven Central, {package}:{version}, arm64-v8a", says)])
    read = [wheel(runtimes.number(version), linked=platform is not Platform.LINUX)]
    if platform in NPM_FILES:
        archive = fetched(["npm", "pack", "--silent", NPM], work, "react-*.tgz")
        with tarfile.open(archive) as packed:
            file = packed.extractfile(NPM_FILES[platform])
            data = file.read() if file is not None else b""
        says = f"Another project's published build for {platform}, of a version that it does not state."
        read.append(strings(data, f"npm, {NPM}, {NPM_FILES[platform].partition('/')[2]}", says))
    return combined(package, version, read)


def wheel(version: str, *, linked: bool) -> Read:
    """Return what the installed wheel registers, and what its library of quantized kernels adds."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", REGISTRY], capture_output=True, text=True, check=True)
    file, operators, backends = json.loads(done.stdout.splitlines()[-1])
    root = Path(file).parents[2]
    if not any((root.parent / f"executorch-{version}.dist-info").glob("METADATA")):
        sys.exit(f"executorch {version} is not what is installed here")
    says = "The library that the program on the device loads."
    if linked:
        says = "Read from the Python wheel of the same version; the library that the app links could not be reached."
        quantized = (root / "lib" / "libexecutorch_kernels_quantized.so").read_bytes()
        operators += strings(quantized, "", "").operators
    library = Library(
        name=f"PyPI, executorch {version}, {Path(file).name}", sha256=digest.of_file(Path(file)), says=says
    )
    return Read(library=library, operators=frozenset(operators), backends=frozenset(backends))


def strings(data: bytes, name: str, says: str) -> Read:
    """Return the names of operators and backends that stand in a library."""
    return Read(
        library=Library(name=name, sha256=digest.of_bytes(data), says=says),
        operators=frozenset(found.decode() for found in OPERATOR.findall(data)),
        backends=frozenset(found.decode() for found in BACKEND.findall(data)),
    )


def combined(package: str, version: str, read: list[Read]) -> Runtime:
    """Return what all of the libraries have, and call doubtful what only some have; of backends nothing is doubtful."""
    common = frozenset.intersection(*(one.operators for one in read))
    doubtful = {
        name: f"it is in {one.library.name}, and in no other library that was read"
        for one in read
        for name in sorted(one.operators - common)
    }
    return Runtime(
        package=package,
        version=version,
        libraries=tuple(one.library for one in read),
        backends=tuple(sorted(frozenset.intersection(*(one.backends for one in read)))),
        operators=dict.fromkeys(sorted(common), ()),
        doubtful=dict(sorted(doubtful.items())),
    )


def onnxruntime(platform: Platform, package: str, version: str, work: Path) -> Runtime:
    """Return what an ONNX Runtime carries: as the wheel of the version says, whose commit must be the library's."""
    found, file = kernels(version, work)
    (commit,) = COMMIT.findall(found["build"].encode())
    says = "It lists its kernels. This is what the program on the device loads."
    libraries = []
    if platform is not Platform.LINUX:
        says = f"It lists its kernels; those of the app's library come from the same sources, commit {commit.decode()}."
        libraries = list(twins(package, version, commit, work))
        if not libraries:
            says = "It lists its kernels. The app's library of the same release could not be reached."
    libraries.append(Library(name=f"PyPI, onnxruntime {version}, {file.name}", sha256=digest.of_file(file), says=says))
    return Runtime(
        package=package,
        version=version,
        libraries=tuple(libraries),
        backends=("CPUExecutionProvider",),
        operators={name: tuple(map(tuple, ranges)) for name, ranges in found["operators"].items()},
        doubtful={},
        opset=found["opset"],
        ir_version=found["ir_version"],
    )


def kernels(version: str, work: Path) -> tuple[Any, Path]:
    """Return what the wheel of a version says of itself, in an environment of its own, and its library."""
    place = work / f"onnxruntime-{version}"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"onnxruntime=={version}", "onnx"], check=True)
    done = subprocess.run([python, SCRIPTS / "read_onnxruntime.py"], capture_output=True, text=True, check=True)
    (file,) = place.glob("lib/python*/site-packages/onnxruntime/capi/onnxruntime_pybind11_state*.so")
    return json.loads(done.stdout), file


def twins(package: str, version: str, commit: bytes, work: Path) -> Iterable[Library]:
    """Yield the app's own library, or the JVM's in its place, if it can be had and was made from the same commit."""
    if package == "onnxruntime-web":
        yield web(package, version, commit, work)
        return
    wanted = (
        (f"{package}:{version}:aar", "jni/arm64-v8a/libonnxruntime.so", "This is the library that the app links."),
        (
            f"com.microsoft.onnxruntime:onnxruntime:{version}:jar",
            "ai/onnxruntime/native/linux-aarch64/libonnxruntime.so",
            "The JVM's library of the same release; the one that the app links could not be reached.",
        ),
    )
    for coordinate, inside, says in wanted:
        archive = maven(coordinate, work) if package.count(":") == 1 else None
        if archive is not None:
            data = member(archive, inside)
            if set(COMMIT.findall(data)) != {commit}:
                sys.exit(f"{coordinate} was not made from commit {commit.decode()}, which the wheel names")
            yield Library(name=f"Maven Central, {coordinate}, {inside}", sha256=digest.of_bytes(data), says=says)
            return


def web(package: str, version: str, commit: bytes, work: Path) -> Library:
    """Return the library that a browser loads, which must be made from a commit; it says it in fewer digits."""
    archive = fetched(["npm", "pack", "--silent", f"{package}@{version}"], work, f"{package}-*.tgz")
    with tarfile.open(archive) as packed:
        file = packed.extractfile(WASM)
        data = file.read() if file is not None else b""
    said = COMMIT.findall(data)
    if not said or not all(commit.startswith(one) or one.startswith(commit) for one in said):
        sys.exit(f"{package} {version} was not made from commit {commit.decode()}, which the wheel names")
    says = "This is the library that the page loads."
    name = f"npm, {package}@{version}, {WASM.partition('/')[2]}"
    return Library(name=name, sha256=digest.of_bytes(data), says=says)


def maven(coordinate: str, work: Path) -> Path | None:
    """Return the archive of a Maven coordinate; None if it cannot be had."""
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    command = ["mvn", "-q", "-B", goal, f"-Dartifact={coordinate}", f"-DoutputDirectory={work}"]
    subprocess.run(command, cwd=work, capture_output=True, check=False)
    _, name, version, kind = coordinate.split(":")
    return next(work.glob(f"{name}-{version}.{kind}"), None)


def fetched(command: list[str], work: Path, pattern: str) -> Path:
    """Return the archive that a package manager fetches; once is enough."""
    if not any(work.glob(pattern)):
        subprocess.run(command, cwd=work, check=True, capture_output=True)
    return next(work.glob(pattern))


def member(archive: Path, name: str) -> bytes:
    """Return a file in an archive."""
    with zipfile.ZipFile(archive) as packed:
        return packed.read(name)


if __name__ == "__main__":
    main()
