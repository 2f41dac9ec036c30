"""What the native program of a bundle costs on this host: it times and traces itself, each in a process of its own."""

import json
import tempfile
from pathlib import Path
from typing import Any

from edgekit.apps.native import toolchain
from edgekit.apps.native.launch import Done, Program, failure, launch
from edgekit.bundles import native
from edgekit.bundles.cost import Cost, kinds_of
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.errors import RunError
from edgekit.pipeline.profiling.cost import Runs, latency, shared

_USAGE = 2
_TRIED = 3
_LEAST_RUNS = 20


def name(info: ArtifactInfo) -> str:
    """Return what a profile calls an artifact in the native program."""
    return f"{info.file} in native/"


def subject(folder: Path, manifest: Manifest) -> ArtifactInfo | None:
    """Return the artifact that a bundle's native folder runs; None if it has none, or one for another processor."""
    found = native.read(folder)
    if found is None or toolchain.host_cpu() is not found.cpu:
        return None
    return next((info for info in manifest.artifacts if info.format is found.format), None)


def measure(folder: Path, info: ArtifactInfo, runs: Runs) -> Cost:
    """Measure the native program with a golden input.

    Args:
        folder: The bundle.
        info: The artifact that its native folder runs.
        runs: How often.

    Raises:
        RunError: If it fails, or was made by a version that did not trace.
    """
    program = Program(folder=folder / native.NATIVE_FOLDER)
    each_ms = _asked(program, ["bench", "--runs", str(_TRIED), "--warmup", "1"])["median_ms"]
    share = min(1.0, runs.seconds * 1e3 / (max(each_ms, 1e-6) * runs.timed))
    warm_up, timed, profiled = (
        max(min(one, _LEAST_RUNS), int(share * one)) for one in (runs.warm_up, runs.timed, runs.profiled)
    )
    found = _asked(program, ["bench", "--runs", str(timed), "--warmup", str(warm_up)])
    with tempfile.TemporaryDirectory() as scratch:
        traced = _asked(program, ["trace", "--runs", str(profiled), "--output", scratch])
    operators = shared([(one["name"], one["operator"], one["mean_ms"]) for one in traced["operations"]])
    return Cost(
        artifact=name(info),
        format=info.format,
        precision="quantized",
        file_bytes=info.bytes,
        load_ms=found["open_ms"],
        first_ms=found["first_ms"],
        latency=latency(found["times_ms"], warm_up, threads=0),
        peak_memory_bytes=found["peak_kb"] * 1024,
        delegated_fraction=info.delegated_fraction,
        operators=operators,
        kinds=kinds_of(operators),
        operators_note=f"{traced['runtime']}'s tracing in edgekit-run, {profiled} runs, which it slows",
    )


def _asked(program: Program, words: list[str]) -> Any:
    done: Done = launch(program, [*words, "--json"])
    if done.code == _USAGE:
        raise RunError(
            f"{program.folder} was made by another version of EdgeKit: {done.reason}",
            hint="Build it again with --native.",
        )
    if done.code != 0:
        raise failure(done, "The native program cannot be measured")
    return json.loads(done.out)
