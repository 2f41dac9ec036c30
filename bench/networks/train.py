"""Train the networks and write their weights; the same versions of the libraries give the same bytes.

The digits, the split and the augmentation of pictures are those of the sample, see scripts/train_sample.py. The
held-out digits are only counted, once, at the end.
"""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save
from sklearn.model_selection import train_test_split
from torch import Tensor

from bench.networks import Network
from bench.networks.data import signals
from scripts import train_sample as sample


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of a training."""

    parameters: int
    right: int
    total: int


def train(network: Network) -> Trained:
    """Train one network and write its weights.

    Raises:
        ValueError: If the network is the packaged sample, which scripts/train-sample trains.
    """
    if network.training is None:
        raise ValueError(f"{network.name} is the packaged sample: scripts/train-sample trains it.")
    torch.manual_seed(sample.SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pictures, labels = sample.digits()
    training, evaluation = train_test_split(
        np.arange(len(labels)), test_size=sample.EVALUATION, stratify=labels, random_state=sample.SEED
    )
    image = network.input == "image"
    inputs = sample.inputs_of(pictures) if image else torch.from_numpy(signals(pictures))
    truth = torch.from_numpy(labels)
    model = network.make()
    augment = sample.distorted if image else _disturbed
    plan = network.training
    sample.train(model, inputs[training], truth[training], augment=augment, epochs=plan.epochs, rate=plan.rate)
    network.weights.parent.mkdir(parents=True, exist_ok=True)
    network.weights.write_bytes(save(model.state_dict()))
    with torch.no_grad():
        right = int((model(inputs[evaluation]).argmax(1) == truth[evaluation]).sum())
    return Trained(parameters=sum(p.numel() for p in model.parameters()), right=right, total=len(evaluation))


def _disturbed(batch: Tensor) -> Tensor:
    """Make each signal a little louder or softer, at random, and add a little noise."""
    loudness = 1 + (torch.rand(len(batch), 1, 1) - 0.5) * 0.3
    return batch * loudness + torch.randn_like(batch) * 0.1
