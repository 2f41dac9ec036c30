"""What is picked by constant truth values has a known size, in both formats; what the data picks has none."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.export import export

from edgekit.model.masks import without_masks
from edgekit.spec import Format
from tests.programs.on_device import on_device

KEPT = (True, False, True, True, False, True)


class Picking(nn.Module):
    """A layer, and values that are picked from what it gives."""

    def __init__(self, pick: Callable[["Picking", Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.pick = nn.Linear(4, 6), pick
        self.kept, self.below = nn.Buffer(torch.tensor(KEPT)), nn.Buffer(torch.ones(6, 6).tril(-1).bool())
        self.plain = torch.tensor(KEPT)

    def forward(self, x: Tensor) -> Tensor:
        """Return what was picked of the layer's output for x (batch, 4)."""
        return self.pick(self, self.layer(x))


def _written(net: Picking, y: Tensor) -> Tensor:
    z = torch.zeros_like(y)
    z[:, net.kept] = y[:, net.kept] * 2
    return z + y


PICKS: dict[str, Callable[[Picking, Tensor], Tensor]] = {
    "buffer": lambda net, y: y[:, net.kept],
    "attribute": lambda net, y: y[:, net.plain],
    "made on the way": lambda net, y: y[:, torch.tensor(KEPT)],
    "two dimensions": lambda net, y: (y[:, :, None] * y[:, None])[:, net.below],
    "computed": lambda net, y: (y[:, :, None] * y[:, None])[:, torch.ones(6, 6).triu(1) > 0],
    "written": _written,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PICKS)
def test_picked_by_constants(name: str) -> None:
    """Both files give the model's answers, for any number of samples where the delegate allows it."""
    torch.manual_seed(0)
    for format in Format.PTE, Format.ONNX:
        found = on_device(Picking(PICKS[name]), (4,), batch="batch", format=format)
        sizes = found.program.program.graph.output_node().all_input_nodes[0].meta["val"].shape[1:]
        assert all(isinstance(size, int) for size in sizes)
        assert found.db > 100
        assert found.wrong_db < 10


def test_picked_by_the_data() -> None:
    """Twin: how many there are differs from call to call, and nothing stands in the place of the mask."""
    for pick, known in ((lambda _, y: y[y > 0], False), (PICKS["computed"], True)):
        program = export(Picking(pick).eval(), (torch.randn(3, 4),))
        found = without_masks(program, lambda module: export(module, (torch.randn(3, 4),)))
        assert (found is program) != known


class Translating(nn.Module):
    """A whole transformer, with a causal mask that it makes on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map (batch, 5, 8) and (batch, 4, 8) to (batch, 4, 8)."""
        causal = nn.Transformer.generate_square_subsequent_mask(4)
        found: Tensor = self.both(x, y, tgt_mask=causal)
        return found


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_causal_masks_of_transformers(format: Format) -> None:
    """Torch asks the mask whether it is causal, which no tracer can answer; what it applies is the mask."""
    torch.manual_seed(0)
    found = on_device(Translating(), (5, 8), (4, 8), format=format)
    assert found.db > 100
    assert found.wrong_db < 10
