"""Run a bundle's artifact by the native program somewhere, and hold what it gives against what this host's gives."""

from pathlib import Path

import numpy as np

from edgekit.apps.native.folder import Assembled
from edgekit.apps.native.machine import Machine, Runner
from edgekit.base.memory import Memory
from edgekit.base.versions import installed
from edgekit.bundles.manifest import ArtifactInfo, Manifest
from edgekit.bundles.verified import VerifiedRun
from edgekit.data.gathered import Gathered
from edgekit.data.rows import chunks
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace, precision
from edgekit.errors import RunError
from edgekit.execution.steady import steady_batch
from edgekit.spec.tensors import fixed_batch

_SECONDS_A_SAMPLE = 5.0
_LEAST_S = 300.0
# Bytes of inputs that a machine gets at once: neither it nor this one holds all samples.
_PORTION = 2**24


def room(samples: Samples) -> int:
    """Return the bytes that the inputs and outputs of a portion take, as far as that is known beforehand."""
    return 2 * min(_PORTION, _row(samples) * len(samples))


def _row(samples: Samples) -> int:
    return sum(rows.size // len(rows) * rows.dtype.itemsize for rows in samples.inputs.values())


def check_golden(runner: Runner, machine: Machine) -> None:
    """Have the golden vectors computed.

    Raises:
        RunError: If they come out otherwise.
    """
    done = runner.selftest(seconds=_LEAST_S)
    if done.code != 0:
        raise RunError(
            f"{machine.name} does not compute the golden vectors as the build host did: {done.reason}",
            hint="Nothing that it computes is believed. An old emulator computes wrongly: edgekit verify --setup takes "
            "a new one. On a real device it would be a fault of its kernels.",
        )


def run_on(
    runner: Runner, machine: Machine, made: Assembled, manifest: Manifest, info: ArtifactInfo, samples: Samples
) -> Trace:
    """Run samples, a portion at a time.

    Args:
        runner: The native folder on the machine.
        machine: The machine.
        made: What is in the folder.
        manifest: The bundle's manifest.
        info: The artifact.
        samples: What to feed it.

    Raises:
        RunError: If it fails; or the error that the program's exit code stands for.
    """
    fixed = fixed_batch(manifest.inputs)
    step = fixed or steady_batch(info.format, info.quantization, info.verified_batches)
    names = [spec.name for spec in manifest.outputs]
    found = Gathered(len(samples), Memory().held)
    for part in samples.batches(max(1, _PORTION // _row(samples) // step) * step, multiple=fixed or 1):
        inputs = {
            spec.name: np.ascontiguousarray(part.inputs[spec.name], np.dtype(spec.dtype)) for spec in manifest.inputs
        }
        found.add(runner.predict(inputs, names, seconds=_LEAST_S + _SECONDS_A_SAMPLE * len(part)))
    origin = Origin(
        program="artifact",
        device="cpu",
        device_name=machine.name,
        dtype=precision(info.quantization),
        kernels=kernels(made),
        kernels_of=manifest.target.cpu,
        versions=installed("executorch", "onnxruntime"),
        model=manifest.model.weights_sha256,
        samples=samples.digest,
        artifact=info.file,
        artifact_sha256=info.sha256,
    )
    return Trace(samples=samples, outputs=found.rows(), origin=origin)


def kernels(made: Assembled) -> str:
    """Return whose kernels a native folder runs, in words."""
    return f"{made.native.runtime}, native"


def on_host(folder: Path, manifest: Manifest, info: ArtifactInfo, samples: Samples) -> Trace:
    """Run an artifact in this host's Python runtime.

    Raises:
        RunError: If it does not load or run.
    """
    from edgekit.execution.artifact import open_artifact  # takes seconds; what a board says need not wait for it
    from edgekit.execution.artifact import trace as run_artifact

    cpu = manifest.target.cpu
    opened = open_artifact(info.format, folder / info.file, cpu, manifest.inputs, manifest.outputs)
    batch = steady_batch(info.format, info.quantization, info.verified_batches)
    model = manifest.model.weights_sha256
    return run_artifact(opened, cpu, samples, batch=batch, model=model, scheme=info.quantization)


def compared(info: ArtifactInfo, machine: Machine, made: Assembled, host: Trace, candidate: Trace) -> VerifiedRun:
    """Say how many samples a machine answers as the host does, bit by bit, and how far it is off at most."""
    same = np.ones(len(host), dtype=bool)
    worst = 0.0
    for name, expected in host.outputs.items():
        for rows, part in chunks(candidate.outputs[name]):
            ours, theirs = (np.ascontiguousarray(one).reshape(len(one), -1) for one in (part, expected[rows]))
            same[rows] &= (ours.view(np.uint8) == theirs.view(np.uint8)).all(axis=1)
            off = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
            worst = max(worst, float(np.where(ours == theirs, 0.0, off).max(initial=0.0)))
    return VerifiedRun(
        artifact=info.file,
        cpu_model=machine.model,
        kernels=kernels(made),
        identical=float(same.mean()),
        max_abs_error=worst if np.isfinite(worst) else None,
    )
