"""How much memory the artifacts of a build take on this host: one sample at a time, each in a fresh process.

It is no part of a bundle, whose bytes depend on no machine. What was measured of a file is kept in the cache, and
stands beside it whenever it is built again.
"""

from collections.abc import Mapping
from dataclasses import replace

from edgekit.base import cache as caches
from edgekit.base.cache import Cache, Entry, Kind
from edgekit.base.digest import of_json
from edgekit.base.progress import Progress, Stages
from edgekit.base.versions import cpu_name, installed
from edgekit.bundles import golden
from edgekit.bundles.manifest import ArtifactInfo
from edgekit.bundles.result import BuildResult, Built
from edgekit.pipeline.profiling.cost import Runs, Subject, in_a_process
from edgekit.spec import Format

_KIND: Kind = "peak"
_RUNTIMES = {Format.PTE: ("executorch", "torch"), Format.ONNX: ("onnxruntime",)}


def add(result: BuildResult, progress: Progress, cache: Cache | None, *, measure: bool) -> BuildResult:
    """Return a build with the peak memory of its artifacts, as far as it is known.

    Args:
        result: The build, whose bundles are on disk.
        progress: Told about every stage.
        cache: Where figures are kept.
        measure: Whether to measure what is not known.

    Raises:
        RunError: If an artifact that ran when it was verified cannot be loaded or run by itself.
    """
    peaks: dict[str, Mapping[str, int]] = {}
    stages = Stages(progress)
    for built in result.bundles:
        name = built.manifest.target.name
        ran = [one for one in built.manifest.artifacts if one.format in _RUNTIMES and one.verified_batches]
        found = {one.file: peak for one in ran if (peak := _known(one, cache)) is not None}
        wanted = [one for one in ran if one.file not in found]
        if measure and wanted:
            with stages(f"memory {name}") as detail:
                for one in wanted:
                    found[one.file] = _measured(built, one)
                    _keep(one, found[one.file], cache)
                detail += [f"{file} {peak / 1e6:.1f} MB" for file, peak in found.items()]
        peaks[name] = found
    return replace(result, seconds=result.seconds + tuple(stages.seconds), peaks=peaks)


def _known(one: ArtifactInfo, cache: Cache | None) -> int | None:
    entry = None if cache is None else caches.get(cache, _KIND, _key(one))
    return None if entry is None else int(entry.facts["bytes"])


def _keep(one: ArtifactInfo, peak: int, cache: Cache | None) -> None:
    if cache is not None:
        caches.put(cache, _KIND, _key(one), Entry(files={}, facts={"bytes": peak}))


def _key(one: ArtifactInfo) -> str:
    return of_json([one.sha256, cpu_name(), installed(*_RUNTIMES[one.format])])


def _measured(built: Built, one: ArtifactInfo) -> int:
    """Load and run an artifact in a process of its own, with the first golden sample."""
    samples = golden.read(built.folder, built.manifest).reference.samples
    subject = Subject(
        name=one.file,
        format=one.format,
        precision="quantized",
        data=(built.folder / one.file).read_bytes(),
        delegated_fraction=one.delegated_fraction,
    )
    once = Runs(warm_up=0, timed=1, profiled=0)
    return in_a_process(subject, built.manifest.inputs, samples, once).peak_memory_bytes
