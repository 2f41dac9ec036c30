"""A last layer that gives values of several kinds is taken apart, so that each kind has a scale of its own."""

import pytest
import torch
from torch import Tensor, fx, nn

from edgekit.quantization.functions import WEIGHTED
from edgekit.quantization.heads import split_heads
from edgekit.spec import Format, Scheme
from tests.programs.on_device import on_device, ratio

pytestmark = pytest.mark.slow
KINDS = (
    "slices", "split", "chunk", "linear", "signal", "no bias", "rows", "permuted rows", "anchors", "anchors behind",
    "anchors in rows", "two ways",
)  # fmt: skip
WHOLE = ("overlap", "read whole", "followed", "every other", "grouped", "merged", "viewed and read whole", "places")


class Detector(nn.Module):
    """Boxes in pixels beside scores, in the channels of one layer."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.body = nn.Conv2d(3, 16, 3, 2, 1)
        groups = 4 if kind == "grouped" else 1
        self.head: nn.Conv1d | nn.Conv2d | nn.Linear = nn.Conv2d(16, 12, 1, bias=kind != "no bias", groups=groups)
        if kind == "linear":
            self.head = nn.Linear(16, 12)
        if kind == "signal":
            self.head = nn.Conv1d(16, 12, 1)
        self.last = nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            self.head.weight[:4] *= 40
            self.head.weight[4:] *= 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: C901 - one case for each way to take apart
        """Return boxes and scores of pictures (batch, 3, 16, 16)."""
        y = torch.relu(self.body(x))
        match self.kind:
            case "linear":
                y = self.head(y.flatten(2).transpose(1, 2))
                return y[..., :4] * 4, torch.sigmoid(y[..., 4:])
            case "signal":
                y = self.head(y.flatten(2))
                return y[:, :4] * 4, torch.sigmoid(y[:, 4:])
        y = self.head(y)
        match self.kind:
            case "split":
                boxes, scores = y.split((4, 8), 1)
            case "chunk":
                boxes, *others = y.chunk(3, 1)
                scores = torch.cat(others, 1)
            case "rows":
                rows = y.flatten(2).transpose(1, 2)
                boxes, scores = rows[..., :4], rows[..., 4:]
            case "permuted rows":
                boxes, scores = y.permute(0, 2, 3, 1).contiguous().view(len(x), -1, 12).split((4, 8), -1)
            case "anchors":
                anchors = y.view(-1, 3, 4, 8, 8).permute(0, 1, 3, 4, 2)
                boxes, scores = anchors[..., :1], anchors[..., 1:]
            case "anchors behind":  # the anchor is the inner number of a channel
                anchors = y.reshape(len(x), 4, 3, 64).transpose(1, 3)
                boxes, scores = anchors[..., :1], anchors[..., 1:]
            case "anchors in rows":
                rows = y.permute(0, 2, 3, 1).reshape(len(x), -1, 4)
                boxes, scores = rows[..., :1], rows[..., 1:]
            case "two ways":
                boxes, scores = y[:, :4].flatten(2), y.flatten(2).transpose(1, 2)[..., 4:]
            case "merged":  # a part of all numbers is one of channels, but not of them alone
                rows = y.flatten(1)
                boxes, scores = rows[:, :256], rows[:, 256:]
            case "viewed and read whole":
                rows = y.flatten(2)
                boxes, scores = rows[:, :4], rows[:, 4:] + rows.mean()
            case "places":
                rows = y.flatten(2)
                boxes, scores = rows[..., :4], rows[..., 4:]
            case "overlap":
                boxes, scores = y[:, :5], y[:, 4:]
            case "every other":
                boxes, scores = y[:, ::2], y[:, 1::2]
            case "read whole":
                boxes, scores = y[:, :4] + y.mean(1, keepdim=True), y[:, 4:]
            case "followed":
                boxes, scores = self.last(y[:, :4]), y[:, 4:]
            case _:
                boxes, scores = y[:, :4], y[:, 4:]
        return boxes * 4, torch.sigmoid(scores)


def captured(model: nn.Module) -> fx.GraphModule:
    """Return a graph module of a model."""
    program = torch.export.export(model.eval(), (torch.randn(2, 3, 16, 16),))
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    return module


def layers(module: fx.GraphModule) -> int:
    """Return how many layers with weights there are."""
    return sum(node.target in WEIGHTED for node in module.graph.nodes)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_else_is_computed(kind: str) -> None:
    """The parts give what the whole gave."""
    torch.manual_seed(0)
    module, x = captured(Detector(kind)), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        before, count = module(x), layers(module)
        assert split_heads(module) == ("head",)
        after = module(x)
    assert layers(module) == count + (2 if kind == "chunk" else 1)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_needed_whole_stays_whole(kind: str) -> None:
    """Channels that several take, that something reads together, or that another layer follows."""
    module = captured(Detector(kind))
    count = layers(module)
    assert split_heads(module) == ()
    assert layers(module) == count


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_scores_are_not_lost_beside_boxes(format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes are as near as they were, scores by 6 dB nearer than with the scale of both; one delegate."""

    def varying() -> tuple[float, ...]:
        torch.manual_seed(0)
        found = on_device(Detector("slices"), (3, 16, 16), scheme=Scheme.INT8, format=format)
        if format is Format.PTE:
            assert found.delegates == 1
        pairs = zip(found.reference, found.answers, strict=True)
        return tuple(ratio(one - one.mean(0), other - one.mean(0)) for one, other in pairs)

    boxes, scores = varying()
    monkeypatch.setattr("edgekit.quantization.static.split_heads", lambda _: ())
    boxes_together, scores_together = varying()
    assert boxes > boxes_together - 1
    assert scores > scores_together + 5
