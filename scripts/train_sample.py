"""Train the sample model on scikit-learn's handwritten digits and write what the sample project needs.

Writes ``weights.safetensors``, ``calibration.npz`` and ``evaluation.npz``. The 597 evaluation pictures are held out:
no step of the training sees them and nothing is chosen by them, they are only counted once at the end. On one machine
the same versions of the libraries give the same bytes.
"""

import argparse
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from edgekit.data.preprocess import to_array
from edgekit.spec import Preprocessing
from edgekit.spec.samples.digits.model import build

SAMPLE = Path(__file__).parent.parent / "sdk" / "edgekit" / "spec" / "samples" / "digits"
PROJECT: Any = tomllib.loads((SAMPLE / "edgekit.toml").read_text(encoding="utf-8"))
# The model is trained with the preprocessing that apps will follow.
PREPROCESSING = Preprocessing.model_validate_json(json.dumps(PROJECT["preprocessing"]))
SEED = 0
EVALUATION = 597
CALIBRATION = 256
EPOCHS = 40
RATE = 6e-3
BATCH = 64


def main() -> None:
    """Train, count the right answers on the held-out pictures, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=SAMPLE, help="folder to write to (the sample in the package)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"passes over the training pictures ({EPOCHS})")
    options = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pictures, labels = digits()
    training, evaluation = train_test_split(
        np.arange(len(labels)), test_size=EVALUATION, stratify=labels, random_state=SEED
    )
    model = build(**PROJECT["model"]["arguments"])
    inputs, truth = inputs_of(pictures[training]), torch.from_numpy(labels[training])
    train(model, inputs, truth, augment=distorted, epochs=options.epochs, rate=RATE)

    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "weights.safetensors").write_bytes(save(model.state_dict()))
    calibration = training[:CALIBRATION]
    save_pictures(options.output / "calibration.npz", pictures[calibration], labels[calibration])
    save_pictures(options.output / "evaluation.npz", pictures[evaluation], labels[evaluation])
    for name in ("weights.safetensors", "calibration.npz", "evaluation.npz"):
        path = options.output / name
        print(f"wrote {path} ({path.stat().st_size} bytes)")  # noqa: T201 - a script speaks to its terminal

    with torch.no_grad():
        answers = model(inputs_of(pictures[evaluation])).argmax(1).numpy()
    right = int((answers == labels[evaluation]).sum())
    print(f"accuracy on {EVALUATION} held-out pictures: {right / EVALUATION:.4f} ({right} right)")  # noqa: T201


def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the pictures, uint8 of shape (1797, 8, 8), white on black, and their labels."""
    bunch: Any = load_digits()
    return np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.int64)


def inputs_of(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """Preprocess pictures as an app will."""
    return torch.from_numpy(np.concatenate([to_array(Image.fromarray(p), PREPROCESSING) for p in pictures]))


def train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    augment: Callable[[Tensor], Tensor],
    epochs: int,
    rate: float,
) -> None:
    """Train with AdamW and one cycle of the learning rate; leave the model in eval mode."""
    steps = len(inputs) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=epochs * steps)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs))[: steps * BATCH].view(steps, BATCH):
            logits = model(augment(inputs[batch]))
            loss = functional.cross_entropy(logits, labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    model.eval()


def distorted(batch: Tensor) -> Tensor:
    """Turn, scale, shear and shift each picture a little, at random; what comes in from outside is black."""
    size = len(batch)
    angle = (torch.rand(size) - 0.5) * 0.35
    scale = 1 + (torch.rand(size) - 0.5) * 0.25
    shear = (torch.rand(size) - 0.5) * 0.3
    shift = (torch.rand(size, 2) - 0.5) * 0.2
    first = torch.stack([angle.cos() * scale, shear - angle.sin() * scale, shift[:, 0]], 1)
    second = torch.stack([angle.sin() * scale, angle.cos() * scale, shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), list(batch.shape), align_corners=False)
    black = -PREPROCESSING.mean[0] / PREPROCESSING.std[0]
    return functional.grid_sample(batch - black, grid, align_corners=False) + black


def save_pictures(path: Path, pictures: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
    """Write pictures and labels as edgekit reads them."""
    np.savez_compressed(path, allow_pickle=False, pictures=pictures, labels=labels)


if __name__ == "__main__":
    main()
