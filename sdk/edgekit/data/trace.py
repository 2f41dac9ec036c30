"""A trace: what some program computed on some samples, and where. A baseline is a trace in a file.

The file is a compressed ``.npz`` without pickles: ``input.NAME``, ``output.NAME``, perhaps ``labels`` and
``target.NAME``, and ``origin``, the JSON text of an `Origin` as bytes. What was recorded in other precisions stands
beside it as ``beside.N.output.NAME`` and ``beside.N.origin``. The same trace gives the same bytes.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from edgekit.base.memory import Memory
from edgekit.data import archives
from edgekit.data.rows import Array, Rows, in_memory, some, whole
from edgekit.data.samples import Samples
from edgekit.errors import BundleError
from edgekit.spec import Cpu, Scheme, Spec

TRACE_VERSION: Literal[1] = 1


class Origin(Spec):
    """Where the outputs of a trace were computed."""

    version: Literal[1] = TRACE_VERSION
    """Version of this format."""
    program: Literal["float", "quantized", "artifact", "device"]
    """What was run; ``device``: an artifact in an app on a device, which wrote the trace."""
    device: Literal["cuda", "cpu"]
    """Kind of device that computed; a simulation of a chip runs on a CPU."""
    device_name: str
    """The device as its driver or operating system names it."""
    dtype: Literal["float32", "float16", "bfloat16", "unknown"] | Scheme
    """Precision of the computation; of a quantized program or an artifact, its scheme."""
    tf32: bool = False
    """Whether TensorFloat-32 was allowed in matrix products and convolutions."""
    kernels: str
    """The library whose kernels ran, and how it was set."""
    kernels_of: Cpu | None = None
    """For an artifact: the CPU family whose arithmetic the kernels follow."""
    versions: dict[str, str]
    """Library versions."""
    model: str = ""
    """Digest of the model's weights."""
    samples: str = ""
    """Digest of the samples."""
    artifact: str | None = None
    """Of what a device ran: the artifact's file."""
    artifact_sha256: str | None = None
    """Of what a device ran: the artifact's digest."""
    chip: str | None = None
    """Of what a device ran: the chip that its bundle is for, ``cpu`` or ``hexagon``; null: nobody said."""
    provider: str | None = None
    """Of what a device ran: the backend or execution provider that computed, as its runtime names it."""

    @property
    def precision(self) -> str:
        """The precision in words."""
        return f"{self.dtype}{' with TF32' if self.tf32 else ''}"

    @property
    def place(self) -> str:
        """A short name for the place: device and precision."""
        return f"{self.device_name} ({self.chip or self.device}, {self.precision})"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What the same model gave for the same samples in another precision."""

    outputs: Mapping[str, Rows]
    origin: Origin


def precision(scheme: Scheme | None) -> Literal["float32", "unknown"] | Scheme:
    """Return what the origin of a trace says of a scheme; None: nobody knows it."""
    if scheme is None:
        return "unknown"
    return "float32" if scheme is Scheme.FLOAT else scheme


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Samples, the outputs that a program gave for them (arrays of shape (samples, ...)), and the origin."""

    samples: Samples
    outputs: Mapping[str, Rows]
    origin: Origin
    beside: tuple[Recording, ...] = ()
    """The same in other precisions."""

    def __len__(self) -> int:
        return len(self.samples)

    def first(self, count: int) -> "Trace":
        """Return the trace of so many samples, the first ones; the trace itself if it has no more."""
        if count >= len(self):
            return self
        rows = slice(0, count)
        return Trace(
            samples=self.samples.rows(rows),
            outputs={name: some(output, rows) for name, output in self.outputs.items()},
            origin=self.origin,
        )

    def array(self, name: str) -> Array:
        """Return an output as an array; what lies in a file is mapped."""
        return whole(self.outputs[name])


def save(trace: Trace, path: Path) -> None:
    """Write a trace; the same trace gives the same bytes."""
    arrays: dict[str, Rows] = {f"input.{name}": array for name, array in sorted(trace.samples.inputs.items())}
    arrays |= {f"output.{name}": array for name, array in sorted(trace.outputs.items())}
    arrays |= {f"target.{name}": array for name, array in sorted(trace.samples.targets.items())}
    if trace.samples.labels is not None:
        arrays["labels"] = trace.samples.labels
    arrays["origin"] = _text(trace.origin)
    for number, other in enumerate(trace.beside):
        arrays |= {f"beside.{number}.output.{name}": array for name, array in sorted(other.outputs.items())}
        arrays[f"beside.{number}.origin"] = _text(other.origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    archives.save_npz(path, arrays)


def load(path: Path, memory: Memory | None = None) -> Trace:
    """Read a trace.

    Args:
        path: The file.
        memory: What is held in memory; larger arrays are unpacked to temporary files.

    Raises:
        BundleError: If the file is missing, is not a trace, or is of another version.
    """
    hint = "A trace is recorded by: edgekit baseline record"
    if not path.is_file():
        raise BundleError(f"There is no trace file {path}.", hint=hint)
    if not zipfile.is_zipfile(path):
        raise BundleError(f"{path} is not a trace: it is no .npz file, or was cut off.", hint=hint)
    try:
        arrays = archives.of_npz(path, (memory or Memory()).held)
        origin = Origin.model_validate_json(bytes(in_memory(arrays["origin"])))
        beside = _beside(arrays)
    except (OSError, ValueError, KeyError, EOFError, ValidationError, NotImplementedError) as error:
        raise BundleError(f"{path} is not a trace that this version reads: {error}", hint=hint) from error
    except Exception as error:  # zipfile.BadZipFile and zlib.error share no base class but this one
        raise BundleError(f"{path} is damaged: {error}", hint=hint) from error
    inputs, outputs, targets = (_named(arrays, kind) for kind in ("input.", "output.", "target."))
    if not inputs or not outputs:
        raise BundleError(f"{path} holds no inputs or no outputs.", hint=hint)
    if any(other.outputs.keys() != outputs.keys() for other in beside):
        raise BundleError(f"{path} holds other outputs in one precision than in another.", hint=hint)
    labels = in_memory(arrays["labels"]) if "labels" in arrays else None
    samples = Samples(inputs=inputs, labels=labels, targets=targets)
    return Trace(samples=samples, outputs=outputs, origin=origin, beside=beside)


def _text(origin: Origin) -> Array:
    return np.frombuffer(json.dumps(origin.model_dump(mode="json"), sort_keys=True).encode(), dtype=np.uint8)


def _beside(arrays: Mapping[str, Rows]) -> tuple[Recording, ...]:
    found: list[Recording] = []
    while (start := f"beside.{len(found)}.") + "origin" in arrays:
        origin = Origin.model_validate_json(bytes(in_memory(arrays[f"{start}origin"])))
        found.append(Recording(outputs=_named(arrays, f"{start}output."), origin=origin))
    return tuple(found)


def _named(arrays: Mapping[str, Rows], kind: str) -> dict[str, Rows]:
    return {name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
