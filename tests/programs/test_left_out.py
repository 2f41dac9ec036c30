"""What stays outside of the delegate or in float: named with the reason, its bytes, and an estimate of its time."""

import logging

import pytest
import torch
from executorch.backends.xnnpack.partition.config import generic_node_configs
from torch import Tensor, fx, nn

from edgekit.base.cache import Entry
from edgekit.lowering import cached, onnx, partition, pte
from edgekit.lowering.left_out import left_out
from edgekit.model.artifact import Artifact
from edgekit.model.capture import capture
from edgekit.model.left_out import LeftOut
from edgekit.model.program import Quantized
from edgekit.model.source.module import source_from_module
from edgekit.quantization import quantize
from edgekit.spec import OnnxSettings, PteSettings, QuantSpec, Scheme, TensorSpec
from tests.programs.networks import images

pytestmark = pytest.mark.slow
CALIBRATION = images(32, seed=1)


class Mixed(nn.Module):
    """A convolution for the settings to keep, what has no int8 kernel, and what no delegate takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.norm = nn.LayerNorm(16)
        self.last = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        x = nn.functional.hardswish(self.second(self.first(image)))
        x = self.norm(x.mean((2, 3)))
        logits: Tensor = self.last(x.topk(16, 1)[0])
        return logits


class Whole(nn.Module):
    """A convolution and a layer, all in int8."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, 2, 1)
        self.last = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, 10) of an image (batch, 1, 8, 8)."""
        logits: Tensor = self.last(torch.relu(self.first(image)).flatten(1))
        return logits


def program(model: nn.Module, *float_layers: str) -> Quantized:
    """Quantize a network of one image."""
    torch.manual_seed(0)
    image = TensorSpec(name="image", shape=("batch", 1, 8, 8))
    logits = TensorSpec(name="logits", shape=("batch", 10), meaning="logits")
    source = source_from_module("net", model, (image,), (logits,), {"batch": 64})
    return quantize(capture(source, CALIBRATION), Scheme.INT8, QuantSpec(float_layers=float_layers), CALIBRATION)


def by_operation(artifact: Artifact) -> dict[str, LeftOut]:
    """Return what is left out by its operation."""
    return {one.operation: one for one in artifact.left_out}


@pytest.fixture(scope="module")
def mixed() -> tuple[Artifact, Artifact]:
    """Return both files of the program with its second convolution in float."""
    made = program(Mixed(), "second")
    return pte.lower(made, PteSettings()), onnx.lower(made, OnnxSettings())


def test_a_pte_names_what_is_outside_and_what_is_float(mixed: tuple[Artifact, Artifact]) -> None:
    """Why the delegate leaves an operation, why others are float, and which weights are."""
    found = by_operation(mixed[0])
    assert sum(one.outside for one in mixed[0].left_out) == len(mixed[0].not_delegated)
    assert not found["hardswish"].outside
    kept = found["conv2d"]
    assert (kept.path, kept.outside, kept.in_float) == ("second", False, True)
    assert kept.reason == "the settings or fallback keep it in float"
    weights, biases = 16 * 8 * 9, 16
    assert (kept.float_bytes, kept.int8_bytes) == (4 * weights + 4 * biases, weights + 4 * 16 + 4 * biases)
    assert found["layer_norm"].extra_bytes == 0  # it has no form in int8
    assert kept.time_share > found["layer_norm"].time_share > 0
    assert sum(one.time_share for one in found.values()) < 1


def test_the_rules_of_the_delegate_tell_why_they_leave_a_node(capfd: pytest.CaptureFixture[str]) -> None:
    """In ExecuTorch's own words, the first for a node; nothing is printed, and its log is as it was."""
    logger = logging.getLogger(partition._RULES)
    before = logger.level, logger.propagate, list(logger.handlers)
    node = fx.Graph().placeholder("x")
    told: dict[str, str] = {}
    with partition._reasons(told):
        generic_node_configs.why(node, reason="only support power == 2, got 3.")
        generic_node_configs.why(node, reason="another")
    generic_node_configs.why(fx.Graph().placeholder("y"), reason="too late")
    assert told == {"x": "only support power == 2, got 3"}
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    assert capfd.readouterr().err == ""


def test_an_onnx_names_what_is_float_by_the_kernels_that_run(mixed: tuple[Artifact, Artifact]) -> None:
    """Nothing is outside; the same convolution is float, with the same bytes."""
    found = by_operation(mixed[1])
    assert not any(one.outside for one in found.values())
    assert {"conv2d", "hardswish", "layer_norm"} <= set(found)
    assert found["conv2d"].float_bytes == by_operation(mixed[0])["conv2d"].float_bytes
    assert found["hardswish"].reason == "there is no int8 kernel for it"


def test_what_is_whole_leaves_nothing_out() -> None:
    """The twin: with nothing in float and everything delegated there is nothing to tell, in either format."""
    quantized = program(Whole())
    assert pte.lower(quantized, PteSettings()).left_out == ()
    assert onnx.lower(quantized, OnnxSettings()).left_out == ()
    (conv,) = [node for node in quantized.program.graph.nodes if node.name == "conv2d"]
    (told,) = left_out(quantized.program, {conv: "a test says so"})
    assert told.reason == "a test says so"
    assert told.float_bytes == 4 * 8  # the bias; the weights are integers
    assert 0.2 < told.time_share < 0.99
    (beside,) = left_out(quantized.program, {}, [conv], lambda node: f"nobody takes {node.name}")
    assert (beside.outside, beside.in_float, beside.reason) == (True, False, "nobody takes conv2d")
    (both,) = left_out(quantized.program, {conv: "a test says so"}, [conv], lambda _: "and nobody takes it")
    assert (both.outside, both.in_float, both.reason) == (True, True, "a test says so; and nobody takes it")
    assert both.time_share > told.time_share


def test_the_cache_keeps_what_was_left_out(mixed: tuple[Artifact, Artifact]) -> None:
    """What comes back is equal; what is no entry of this kind is made anew."""
    artifact = mixed[1]
    entry = cached._entry(artifact)
    assert cached._artifact(entry) == artifact
    facts = {key: fact for key, fact in entry.facts.items() if key != "left_out"}
    assert cached._artifact(Entry(files=entry.files, facts=facts)) is None
