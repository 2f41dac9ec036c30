"""Run the benchmark: build every route in a process of its own, then measure all artifacts in this one."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bench import rebuild
from bench.environments import ROOT, missing, python_of
from bench.machine import kernels, this_machine
from bench.measure import Runs, drift_of, latencies
from bench.networks import Network
from bench.networks.data import CALIBRATION, EVALUATION, Data, data_for, input_spec, output_spec
from bench.processes import logged
from bench.results import ArtifactResult, BuildReport, NetworkResult, Results
from bench.routes import Route
from edgekit.data.rows import Array
from edgekit.errors import EdgeKitError

Say = Callable[[str], None]
_TIMEOUT_S = 1800


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    calibration: int = CALIBRATION
    evaluation: int = EVALUATION
    runs: Runs = field(default_factory=Runs)
    rebuild: bool = True


QUICK = Plan(calibration=32, evaluation=64, runs=Runs(warmup=5, timed=50), rebuild=False)


def run(networks: Sequence[Network], routes: Sequence[Route], plan: Plan, folder: Path, say: Say) -> Results:
    """Run routes on networks.

    Args:
        networks: What to build.
        routes: How to build it.
        plan: How much to measure.
        folder: For samples, artifacts and logs; what was there is removed.
        say: Told what is going on.
    """
    reasons = {route.name: missing(route.environment) for route in routes}
    usable = [route for route in routes if not reasons[route.name]]
    return Results(
        machine=this_machine(),
        kernels=kernels(),
        calibration=plan.calibration,
        evaluation=plan.evaluation,
        warmup=plan.runs.warmup,
        timed=plan.runs.timed,
        networks=tuple(_network(network, usable, plan, folder / network.name, say) for network in networks),
        missing={name: reason for name, reason in reasons.items() if reason},
    )


def _network(network: Network, routes: Sequence[Route], plan: Plan, folder: Path, say: Say) -> NetworkResult:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = data_for(network, calibration=plan.calibration, evaluation=plan.evaluation)
    samples = folder / "calibration.npy"
    np.save(samples, data.calibration.inputs[network.input])
    builds = {}
    for route in routes:
        builds[route.name] = report = _build(route, network, samples, folder / route.name)
        say(f"{network.name}: {route.name}: {report.error or f'{report.total:.1f} s'}")
    rebuild_s = None
    if plan.rebuild and any(route.ours for route in routes) and rebuild.available():
        rebuild_s = rebuild.measure(network.name, folder / "rebuild")
        say(f"{network.name}: unchanged rebuild: {rebuild_s:.2f} s")
    reference = _float(network, data)
    model = network.load()
    assert data.evaluation.labels is not None
    return NetworkResult(
        name=network.name,
        family=network.family,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        float_accuracy=float((reference.argmax(1) == data.evaluation.labels).mean()),
        builds=builds,
        artifacts=_measured(network, routes, data, reference, folder, plan.runs, say),
        rebuild_s=rebuild_s,
    )


def _build(route: Route, network: Network, samples: Path, folder: Path) -> BuildReport:
    folder.mkdir()
    command: list[str | Path] = [python_of(route.environment), "-m", "bench.worker"]
    command += [route.name, network.name, samples, folder]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "sdk")])}
    problem = logged(command, environment, folder / "log", _TIMEOUT_S)
    report = folder / "report.json"
    if report.is_file():
        return BuildReport.model_validate_json(report.read_bytes())
    return BuildReport(seconds={}, peak_mb=0, imported_mb=0, versions={}, error=problem)


def _float(network: Network, data: Data) -> Array:
    with torch.inference_mode():
        logits: Array = network.load()(torch.from_numpy(data.evaluation.inputs[network.input])).numpy()
    return logits


def _measured(
    network: Network, routes: Sequence[Route], data: Data, reference: Array, folder: Path, runs: Runs, say: Say
) -> tuple[ArtifactResult, ...]:
    given, wanted = input_spec(network), output_spec()
    results: dict[str, ArtifactResult] = {}
    paths = {f"{route.name}/{file}": folder / route.name / file for route in routes for file in route.files}
    for key, path in paths.items():
        route, _, file = key.partition("/")
        if not path.is_file():
            continue
        size = path.stat().st_size
        try:
            drift = drift_of(path, data.evaluation, reference, given, wanted)
        except (EdgeKitError, subprocess.CalledProcessError) as error:
            results[key] = ArtifactResult(route=route, file=file, bytes=size, error=_said(error, path))
            continue
        results[key] = ArtifactResult(route=route, file=file, bytes=size, drift=drift)
    say(f"{network.name}: latency")
    running = {key: paths[key] for key, result in results.items() if not result.error}
    times = latencies(running, data.evaluation.inputs[network.input][:1], network.input, runs)
    return tuple(
        result.model_copy(update={"latency": times[key]}) if key in times else result for key, result in results.items()
    )


def _said(error: Exception, path: Path) -> str:
    """Return the first line of an error, without the folder, which is another on every machine."""
    return str(error).splitlines()[0].replace(f"{path.parent}{os.sep}", "")
