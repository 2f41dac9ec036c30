"""The stages as public functions: a chain that gives what the whole build gives, and clear words for wrong links."""

from pathlib import Path
from typing import Any

import pytest
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import QuantizationConfig
from torchao.quantization.pt2e import MinMaxObserver, ObserverBase, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationSpec

import edgekit
from edgekit.errors import EdgeKitError, ProjectError, QuantizeError, TargetError
from edgekit.spec import Budget, LegBudgets, Limits
from tests.programs.test_keep import Small

TARGET = "linux-x86_64"


@pytest.mark.slow
@pytest.mark.parametrize("max_batch", [1, 64])
def test_the_chain_gives_the_bytes_of_the_build(tmp_path: Path, max_batch: int) -> None:
    """Every file of the bundle, page and manifest too; and what the chain started from is as it was."""
    torch.manual_seed(0)
    model, data, held = Small(), torch.randn(32, 3, 10, 10), torch.randn(24, 3, 10, 10)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    captured = edgekit.capture(model, data[:2], samples=data, max_batch=max_batch)
    quantized = edgekit.quantize(captured, data)
    artifacts = [edgekit.lower(quantized, target=TARGET, format=format) for format in ("pte", "onnx")]
    verified = edgekit.verify(quantized, artifacts, target=TARGET, evaluation=held)
    chained = edgekit.bundle(verified, output=tmp_path / "chain")

    whole = edgekit.build(
        model, data[:2], target=TARGET, calibration=data, evaluation=held, output=tmp_path / "whole",
        max_batch=max_batch, cache=False,
    ).bundles[0]  # fmt: skip
    assert chained.files == whole.files
    assert (chained.folder / "manifest.json").read_bytes() == (whole.folder / "manifest.json").read_bytes()
    assert verified.passed
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    strict = Budget(total=Limits(min_sqnr_db=200), outputs={"output": LegBudgets(total=Limits(min_sqnr_db=200))})
    assert not edgekit.verify(quantized, artifacts[0], target=TARGET, evaluation=held, budget=strict).passed


def test_wrong_links_are_named() -> None:
    """Each before any work."""
    torch.manual_seed(0)
    data = torch.randn(16, 3, 10, 10)
    captured = edgekit.capture(Small(), data)
    with pytest.raises(ProjectError, match="no scheme 'int7'"):
        edgekit.quantize(captured, data, scheme="int7")
    with pytest.raises(EdgeKitError, match="calibration data"):
        edgekit.quantize(captured, torch.randn(4, 1, 10, 10))
    quantized = edgekit.quantize(captured, data)
    with pytest.raises(ProjectError, match="no format"):
        edgekit.lower(quantized, target=TARGET, format="tflite")
    with pytest.raises(TargetError, match="no target"):
        edgekit.lower(quantized, target="linux-x86", format="pte")
    with pytest.raises(ProjectError, match="no artifacts"):
        edgekit.verify(quantized, [], target=TARGET, evaluation=data)


class Marks(XNNPACKQuantizer):
    """A quantizer of one's own: ExecuTorch's marks with observers that are handed over; none without."""

    def __init__(self, observer: type[ObserverBase] | None) -> None:
        super().__init__()
        if observer is not None:
            value = QuantizationSpec(
                dtype=torch.int8,
                quant_min=-128,
                quant_max=127,
                qscheme=torch.per_tensor_affine,
                observer_or_fake_quant_ctr=observer,
            )
            weight = QuantizationSpec(
                dtype=torch.int8,
                quant_min=-127,
                quant_max=127,
                qscheme=torch.per_channel_symmetric,
                ch_axis=0,
                observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
            )
            self.set_global(QuantizationConfig(value, value, weight, None))


class Narrow(MinMaxObserver):
    """Cuts off nine tenths of every value."""

    def calculate_qparams(self, **kwargs: Any) -> Any:
        """Return a tenth of the right scale."""
        scale, zero = super().calculate_qparams(**kwargs)
        return scale / 10, zero


class Broken(MinMaxObserver):
    """Cannot see anything."""

    def forward(self, x_orig: torch.Tensor) -> torch.Tensor:
        """Fail."""
        raise RuntimeError("the observer is broken")


@pytest.mark.slow
def test_a_quantizer_of_ones_own() -> None:
    """Its observers decide: a good one passes and changes the program, one that cuts values off does not pass."""
    torch.manual_seed(0)
    data, held = torch.randn(32, 3, 10, 10), torch.randn(24, 3, 10, 10)
    captured = edgekit.capture(Small(), data[:1], samples=data)
    passed = {}
    for observer in (MinMaxObserver, Narrow):
        quantized = edgekit.quantize(captured, data, quantizer=Marks(observer))
        made = [edgekit.lower(quantized, target=TARGET, format=format) for format in ("pte", "onnx")]
        verified = edgekit.verify(quantized, made, target=TARGET, evaluation=held)
        legs = verified.attempt.report.legs
        passed[observer] = verified.passed
        assert all(leg.metrics.sqnr_db is None or leg.metrics.sqnr_db > 30 for leg in legs if leg.name == "lowering")
    assert passed == {MinMaxObserver: True, Narrow: False}


def test_a_quantizer_that_cannot_be_followed_is_named() -> None:
    """One beside settings, one whose observer fails, and one that marks nothing."""
    torch.manual_seed(0)
    data = torch.randn(16, 3, 10, 10)
    captured = edgekit.capture(Small(), data[:1], samples=data)
    beside: dict[str, Any]
    for beside in ({"quantization": {"ranges": "minmax"}}, {"target": TARGET}, {"scheme": "int8-dynamic"}):
        with pytest.raises(ProjectError, match="does not follow"):
            edgekit.quantize(captured, data, quantizer=Marks(MinMaxObserver), **beside)
    with pytest.raises(QuantizeError, match=r"by Marks: .*the observer is broken"):
        edgekit.quantize(captured, data, quantizer=Marks(Broken))
    with pytest.raises(QuantizeError, match="Nothing in small was quantized"):
        edgekit.quantize(captured, data, quantizer=Marks(None))
