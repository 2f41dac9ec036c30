"""The samples: scikit-learn's handwritten digits, as 32 x 32 pictures or as a signal of 64 samples.

Calibration and evaluation data are the packaged sample's, so every network is held to the same held-out digits.
"""

import json
import tomllib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.networks import Network
from edgekit.data.files import load_samples
from edgekit.data.samples import Samples
from edgekit.spec import Preprocessing, TensorSpec
from edgekit.spec.project import SAMPLE

CALIBRATION = 256
EVALUATION = 597
CLASSES = tuple("0123456789")
_PROJECT = tomllib.loads((SAMPLE / "edgekit.toml").read_text(encoding="utf-8"))
PREPROCESSING = Preprocessing.model_validate_json(json.dumps(_PROJECT["preprocessing"]))


@dataclass(frozen=True, kw_only=True)
class Data:
    """What every route is fed."""

    calibration: Samples
    evaluation: Samples


def data_for(network: Network, *, calibration: int = CALIBRATION, evaluation: int = EVALUATION) -> Data:
    """Return the first so many samples of each set."""
    return Data(
        calibration=_samples(network, "calibration").rows(slice(0, calibration)),
        evaluation=_samples(network, "evaluation").rows(slice(0, evaluation)),
    )


def input_spec(network: Network) -> TensorSpec:
    """Return what a network takes."""
    shape: tuple[int | str, ...] = ("batch", *network.shape)
    return TensorSpec(name=network.input, shape=shape, meaning="image" if network.input == "image" else "tensor")


def output_spec() -> TensorSpec:
    """Return what every network gives."""
    return TensorSpec(name="logits", shape=("batch", len(CLASSES)), meaning="logits")


def signals(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Read 8 x 8 pictures row by row: float32 of shape (samples, 1, 64), normalised as the pictures are."""
    mean, std = np.float32(PREPROCESSING.mean[0]), np.float32(PREPROCESSING.std[0])
    rows = pictures.reshape(len(pictures), 1, 64).astype(np.float32) * np.float32(PREPROCESSING.scale)
    return (rows - mean) / std


def _samples(network: Network, name: str) -> Samples:
    path = SAMPLE / f"{name}.npz"
    if network.input == "image":
        return load_samples(path, (input_spec(network),), PREPROCESSING, CLASSES)
    with np.load(path, allow_pickle=False) as archive:
        return Samples(inputs={network.input: signals(archive["pictures"])}, labels=archive["labels"].astype(np.int64))
