"""Recurrent networks in pieces: the state goes in and comes out, and drift is measured with the state fed back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.bundles import verdict
from edgekit.errors import DataError, SourceError

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Network(nn.Module):
    """Recurrent layers between linear ones; classes of each step."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.layers = LAYERS[kind](16, 24, batch_first=True, **options)
        self.last = nn.Linear(24 * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return numbers (batch, steps, 5) of x (batch, steps, 6)."""
        result: Tensor = self.last(self.layers(torch.relu(self.first(x)))[0])
        return result


class Last(Network):
    """The answer is about the last step, and the network writes its own zeros to start with."""

    def forward(self, x: Tensor) -> Tensor:
        """Return numbers (batch, 5) of x (batch, steps, 6)."""
        start = torch.zeros(self.layers.num_layers, len(x), 24)
        result: Tensor = self.last(self.layers(torch.relu(self.first(x)), start)[0][:, -1])
        return result


class Normed(Network):
    """Takes the mean over time, which no piece knows."""

    def forward(self, x: Tensor) -> Tensor:
        """Return numbers (batch, steps, 5) of x (batch, steps, 6)."""
        return super().forward(x - x.mean(1, keepdim=True))


def walks(count: int, steps: int, seed: int = 0) -> Tensor:
    """Return random walks (count, steps, 6), which fall back to zero: signals with a memory."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(count, steps, 6))
    for step in range(1, steps):
        noise[:, step] += 0.9 * noise[:, step - 1]
    return torch.from_numpy((0.5 * noise).astype(np.float32))


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(("kind", "options"), [("lstm", {"num_layers": 2}), ("gru", {}), ("rnn", {"num_layers": 3})])
def test_pieces_give_what_the_whole_gives(kind: str, options: dict[str, Any], steps: int) -> None:
    """In float, along a sequence that the maker has not seen; the twin forgets its state."""
    torch.manual_seed(0)
    model = Network(kind, **options).eval()
    network = edgekit.streaming(model, walks(2, 12), steps=steps)
    x = walks(3, 40, seed=1)
    with torch.no_grad():
        found = [network.model(batch["x"], batch["state"]) for batch in network.batches(x)]
        forgetful = [network.model(batch["x"], 0 * batch["state"]) for batch in network.batches(x)]
        whole = model(x)
    joined, wrong = (torch.cat([one["output"] for one in calls], 1) for calls in (found, forgetful))
    assert torch.allclose(joined, whole, atol=1e-5)
    assert not torch.allclose(wrong, whole, atol=1e-2)
    assert found[0]["next_state"].shape == (3, network.model.numbers)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Network("gru", bidirectional=True), "both directions"),
        (Normed("gru"), "gives another output in pieces"),
        (nn.Linear(6, 5), "has no LSTM, GRU or RNN"),
    ],
)
def test_what_cannot_stream_is_refused(model: nn.Module, says: str) -> None:
    """With the reason, before anything is built."""
    with pytest.raises(SourceError, match=says):
        edgekit.streaming(model, walks(1, 8))
    with pytest.raises(SourceError, match="two pieces of 8 steps"):
        edgekit.streaming(Network("gru"), walks(1, 8), steps=8)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "steps"), [("lstm", 1), ("gru", 4)])
def test_drift_does_not_grow_along_a_sequence(kind: str, steps: int, tmp_path: Path) -> None:
    """The state of each file goes back into it for 200 steps; the twins forget it, and have other weights."""
    torch.manual_seed(0)
    network = edgekit.streaming((Last if kind == "gru" else Network)(kind), walks(1, 16), steps=steps)
    (built,) = edgekit.build(
        network.model,
        network.example_inputs,
        target="linux-arm64",
        calibration=network.batches(walks(4, 60)),
        evaluation=network.batches(walks(4, 60, seed=1)),
        output=tmp_path,
        cache=False,
    ).bundles
    assert built.passed, list(verdict.of_manifest(built.manifest))
    drifts = edgekit.stream_drift(built.folder, network, walks(3, 200, seed=2))
    assert {one.file for one in drifts} == {"model.pte", "model.onnx"}
    for one in drifts:
        assert (one.calls, one.sequences) == (200 // steps, 3)
        for quarters in one.sqnr_db.values():
            assert min(quarters) > 30
            assert quarters[-1] > quarters[0] - 3
    torch.manual_seed(1)
    other = edgekit.streaming((Last if kind == "gru" else Network)(kind), walks(1, 16), steps=steps)
    for one in edgekit.stream_drift(built.folder, other, walks(1, 40)):
        assert max(max(quarters) for quarters in one.sqnr_db.values()) < 15
    with pytest.raises(DataError, match="4 pieces"):
        edgekit.stream_drift(built.folder, replace(network, steps=20), walks(1, 40))
