"""The drift of a network that streams: a file runs along sequences, its own state fed back to it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekit import bundles
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.drift.metrics import decibel
from edgekit.errors import DataError
from edgekit.execution.artifact import Run, open_artifact
from edgekit.model.streaming import NEXT, STATE, Streaming

PARTS = 4
"""Into how many parts of equal length the drift is told apart."""


@dataclass(frozen=True, kw_only=True)
class StreamDrift:
    """How far a file has gone from the float model along sequences."""

    file: str
    calls: int
    """How many pieces each sequence had."""
    sequences: int
    sqnr_db: dict[str, tuple[float, ...]]
    """By output, the state among them, the SQNR in dB in each quarter of the sequences: noise that grows shows."""


def stream_drift(
    folder: str | Path, network: Streaming, sequences: Tensor | Iterable[Tensor]
) -> tuple[StreamDrift, ...]:
    """Run each file of a bundle along sequences, as an app does, and compare it with the float model.

    Both start with zeros, and each goes on from its own state.

    Args:
        folder: A bundle that was built of ``network.model``.
        network: From `edgekit.streaming`.
        sequences: One batch of sequences or several, (batch, steps, ...), of at least four pieces each.

    Raises:
        BundleError: If the folder is no whole bundle.
        DataError: If there are no sequences, or they are too short.
        RunError: If a file does not load or run.
    """
    folder = Path(folder)
    manifest = bundles.read(folder)
    wholes = [sequences] if isinstance(sequences, Tensor) else list(sequences)
    if not wholes or min(whole.shape[1] for whole in wholes) < PARTS * network.steps:
        raise DataError(f"The sequences do not hold {PARTS} pieces of {network.steps} steps.", hint="Give longer ones.")
    found = []
    for info in manifest.artifacts:
        opened = open_artifact(info.format, folder / info.file, manifest.target.cpu, manifest.inputs, manifest.outputs)
        sums: dict[str, Array] = {}
        for row in (whole[number : number + 1] for whole in wholes for number in range(len(whole))):
            count = sum(1 for _ in network.pieces(row))
            for call, (reference, answer) in enumerate(_calls(opened.run, network, row)):
                for name, expected in reference.items():
                    powers = sums.setdefault(name, np.zeros((PARTS, 2)))
                    powers[call * PARTS // count] += np.square(expected).sum(), np.square(expected - answer[name]).sum()
        found.append(
            StreamDrift(
                file=info.file,
                calls=min(sum(1 for _ in network.pieces(whole)) for whole in wholes),
                sequences=sum(map(len, wholes)),
                sqnr_db={name: tuple(map(float, decibel(powers))) for name, powers in sums.items()},
            )
        )
    return tuple(found)


def _calls(run: Run, network: Streaming, row: Tensor) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
    """Yield for each piece of one sequence what the float model gives, and what the file does, in float64."""
    state = torch.zeros(1, network.model.numbers)
    own = state.numpy()
    for piece in network.pieces(row):
        with torch.no_grad():
            expected = network.model(piece, state)
        answer = {name: one[:] for name, one in run(Samples(inputs={"x": piece.numpy(), STATE: own}), 1).items()}
        state, own = expected[NEXT], answer[NEXT]
        yield (
            {name: one.double().numpy() for name, one in expected.items()},
            {name: answer[name].astype(np.float64) for name in expected},
        )
