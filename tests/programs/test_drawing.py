"""The drawing of a network: its operations, where they stand, and what they read."""

import pytest
from torch import Tensor, nn

from edgekit.model.capture import capture
from edgekit.model.draw import draw
from edgekit.model.drawing import Drawing
from edgekit.model.source.module import source_from_module
from edgekit.spec import Dimension, TensorSpec
from tests.programs.networks import images


class Branches(nn.Module):
    """Two branches from one convolution, joined behind a reshape; a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.arms = nn.ModuleDict({"left": nn.Conv2d(4, 4, 1), "right": nn.Conv2d(4, 4, 1)})
        self.last = nn.Linear(4 * 8 * 8, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        x = self.stem(image)
        logits: Tensor = self.last((self.arms["left"](x) + self.arms["left"](self.arms["right"](x))).flatten(1))
        return logits


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    """Draw it."""
    source = source_from_module(
        "branches",
        Branches().eval(),
        inputs=(TensorSpec(name="image", shape=("batch", 1, 8, 8)),),
        outputs=(TensorSpec(name="logits", shape=("batch", 10), meaning="logits"),),
        dimensions={"batch": Dimension(max=64)},
    )
    return draw(capture(source, images(32, seed=1)).program)


def test_operations_stand_in_their_modules_and_read_each_other(drawing: Drawing) -> None:
    """Through the reshape, too; what reads the model's input reads no operation."""
    names = [(one.operation, one.path) for one in drawing.operations]
    assert names == [
        ("conv2d", "stem"), ("conv2d", "arms.left"), ("conv2d", "arms.right"), ("conv2d", "arms.left"), ("add", ""),
        ("linear", "last"),
    ]  # fmt: skip
    assert [one.inputs for one in drawing.operations] == [(), (0,), (0,), (2,), (1, 3), (4,)]


def test_weights_count_once_and_times_are_shares(drawing: Drawing) -> None:
    """A layer that is used twice has its bytes where it stands first."""
    sizes = [one.float_bytes for one in drawing.operations]
    assert sizes == [4 * (4 * 9 + 4), 4 * (16 + 4), 4 * (16 + 4), 0, 0, 4 * (2_560 + 10)]
    assert sum(one.time_share for one in drawing.operations) == pytest.approx(1)
    assert all(one.int8_bytes < one.float_bytes for one in drawing.operations if one.float_bytes)
