"""Programs that were saved on a GPU, or another device that is not here, compute the same on the CPU."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekit.model import programs
from edgekit.model.programs.devices import on_cpu
from tests.programs.other_devices import as_of_cuda


class Placed(nn.Module):
    """Makes tensors on the device of its input, as masks and positions are, and moves one there."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("offset", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, 4)."""
        places = torch.arange(4, device=x.device) + torch.zeros(4, device=torch.device("cpu"))
        scale = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).to("cpu")
        features: Tensor = self.linear(x.to("cpu")) * scale + places + self.offset.to(x.device)
        return features


def saved(kind: str, model: nn.Module, path: Path) -> None:
    """Save a model as a program."""
    example = torch.zeros(2, 4)
    match kind:
        case "exported":
            torch.export.save(torch.export.export(model, (example,)), path)
        case "core aten":
            torch.export.save(torch.export.export(model, (example,)).run_decompositions(), path)
        case "traced":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a tensor which is made becomes a constant
                torch.jit.save(torch.jit.trace(model, (example,)), path)  # type: ignore[no-untyped-call]
        case _:
            torch.jit.save(torch.jit.script(model), path)


class Scriptable(Placed):
    """The same in what TorchScript compiles."""

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, 4)."""
        places = torch.arange(4, device=x.device) + torch.zeros(4, device=torch.device("cpu"))
        scale = torch.ones([1, 4]).to("cpu")
        features: Tensor = self.linear(x.to("cpu")) * scale + places + self.offset.to(x.device)
        return features.cpu() if x.is_cuda else features


class Commanded(nn.Module):
    """Written for one device."""

    def forward(self, x: Tensor) -> Tensor:
        """Return twice the input."""
        return x.cuda() + x.cpu()


@pytest.mark.parametrize("device", ["cuda:0", "cuda", "xpu:1"])
@pytest.mark.parametrize("kind", ["exported", "core aten", "traced", "scripted"])
def test_a_program_of_another_device_computes_here(kind: str, device: str, tmp_path: Path) -> None:
    """Devices stand in its graph, its weights and its constants; the answers are those of the model."""
    torch.manual_seed(0)
    model = (Scriptable() if kind == "scripted" else Placed()).eval()
    path = tmp_path / ("net.pt2" if kind in ("exported", "core aten") else "net.pt")
    saved(kind, model, path)
    assert as_of_cuda(path, device) >= 4
    found = programs.of_object(path)
    assert found is not None
    x = torch.rand(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(found.module(x), model(x))
    assert {tensor.device.type for tensor in found.module.state_dict().values()} == {"cpu"}


def test_what_is_sent_to_a_gpu_stays_here(tmp_path: Path) -> None:
    """``x.cuda()`` in a script, which needs no GPU to be saved."""
    saved("scripted", Commanded().eval(), tmp_path / "net.pt")
    found = programs.of_object(tmp_path / "net.pt")
    assert found is not None
    torch.testing.assert_close(found.module(torch.ones(2, 4)), torch.full((2, 4), 2.0))


def test_an_archive_of_this_device_is_read_where_it_lies(tmp_path: Path) -> None:
    """No copy is made of it."""
    saved("exported", Placed().eval(), tmp_path / "net.pt2")
    with (tmp_path / "net.pt2").open("rb") as file, on_cpu(file) as archive:
        assert archive is file
