"""Programs that were decomposed to core ATen: their layers are found again, and are as good in int8 as before."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.nn import functional

from edgekit.model import programs
from tests.programs.test_exported import quantized_db

PICTURES = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Mobile(nn.Module):
    """Depthwise convolutions, batch norms that are no identity, squeeze and excitation, hard functions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.block = nn.Sequential(
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
        )  # fmt: skip
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Hardsigmoid())
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.head = nn.Linear(8, 10)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, 0, 0.3)
                module.running_mean = torch.randn(module.num_features) * 0.3
                module.running_var = torch.rand(module.num_features) + 0.3

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (batch, 10)."""
        x = self.block(self.stem(x))
        found: Tensor = self.head(self.up(x * self.gate(x)).mean((2, 3)))
        return found


class Vision(nn.Module):
    """A layer of a vision transformer as torch has it, and attention by itself, with a mask."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.all, self.out = nn.Linear(16, 48, bias=False), nn.Linear(16, 16)
        self.norm, self.groups = nn.LayerNorm(16), nn.GroupNorm(2, 16)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, 16)."""
        x = self.layer(self.groups(self.patches(x)).flatten(2).transpose(1, 2))
        batch, length, width = x.shape
        query, key, value = self.all(x).reshape(batch, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
        mask = torch.ones(length, length).tril().log()
        found = functional.scaled_dot_product_attention(query, key, value, mask)
        return self.norm(x + self.out(found.transpose(1, 2).reshape(batch, length, width)))[:, 0]  # type: ignore[no-any-return]


def exported(model: nn.Module, example: Tensor = PICTURES[:2]) -> ExportedProgram:
    """Export with a batch that varies."""
    return export(model.eval(), (example,), dynamic_shapes=({0: Dim("batch", min=1, max=32)},))


def operations(program: ExportedProgram) -> Counter[str]:
    """Return how often the module that is made of a program calls what."""
    found: Any = programs.of_object(program)
    return Counter(
        str(node.target).removeprefix("aten.").partition(".")[0]
        for node in found.module.graph.nodes
        if node.op == "call_function"
    )


@pytest.mark.parametrize("kind", [Mobile, Vision])
def test_layers_are_found_again(kind: type[nn.Module]) -> None:
    """Each with its numbers, at any batch; and int8 is as good as of the program that was not decomposed."""
    model = kind()
    whole = exported(model)
    core = whole.run_decompositions()
    layers = ("conv2d", "conv_transpose2d", "batch_norm", "layer_norm", "group_norm", "linear", "adaptive_avg_pool2d",
              "scaled_dot_product_attention", "hardswish", "hardsigmoid", "silu", "gelu")  # fmt: skip
    before, after = operations(whole), operations(core)
    assert {name: after[name] for name in layers} == {name: before[name] for name in layers}
    assert not {"convolution", "native_layer_norm", "addmm", "mm", "bmm", "eq"} & set(after)
    found: Any = programs.of_object(core)
    with torch.no_grad():
        for rows in (1, 5, 32):
            torch.testing.assert_close(found.module(PICTURES[:rows]), model(PICTURES[:rows]), rtol=1e-4, atol=1e-5)
    assert quantized_db(core, PICTURES) == pytest.approx(quantized_db(whole, PICTURES), abs=0.3)


class Near(nn.Module):
    """What is nearly a layer, and none."""

    def forward(self, x: Tensor) -> Tensor:
        """Return something of shape (batch, 4, 4)."""
        scores = (x * 0.5) @ (x * 0.25).transpose(1, 2)  # two scales
        hard = (x + 3).clamp(0, 5) / 6  # another clamp
        gate = x * torch.sigmoid(x + 1)  # of something else
        return scores.softmax(-1) @ x + hard + gate + x.mean((0, 1), keepdim=True)


def test_one_picture_alone() -> None:
    """A batch of one, which matrices may lack and fit all the same: attention is of tensors of one rank."""
    core = export(Vision().eval(), (PICTURES[:1],)).run_decompositions()
    found: Any = programs.of_object(core)
    calls = [node for node in found.module.graph.nodes if "scaled_dot_product" in str(node.target)]
    assert len(calls) == 2
    for call in calls:
        assert [part.meta["val"].dim() for part in call.args[:3]] == [4, 4, 4]


def test_what_is_none_stays() -> None:
    """The answers are those of the module."""
    model, x = Near(), torch.randn(3, 4, 4)
    core = exported(model, x).run_decompositions()
    assert not {"scaled_dot_product_attention", "hardsigmoid", "silu", "adaptive_avg_pool2d"} & set(operations(core))
    found: Any = programs.of_object(core)
    torch.testing.assert_close(found.module(x), model(x))
