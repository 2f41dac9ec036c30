"""What a delegate refuses is found and left outside of it, with a note; what no runtime takes is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit import lowering, targets
from edgekit.bundles import verdict
from edgekit.data.samples import Samples
from edgekit.errors import EdgeKitError, LowerError, RunError
from edgekit.execution import artifact as runs
from edgekit.execution.proof import try_out
from edgekit.lowering import pte
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Cpu, Format, PteSettings, Scheme
from tests.programs.networks import quantized

pytestmark = pytest.mark.slow
TARGET = targets.load("android-arm64")


def noise(*shape: int) -> np.ndarray:
    """Return seeded noise."""
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def lowered(program: Quantized) -> Artifact:
    """Lower a program and try the file out."""
    source = program.captured.source
    samples = Samples(inputs={"x": noise(8, *[int(size) for size in source.inputs[0].shape[1:]])})
    return pte.lower(program, PteSettings(), lambda artifact: try_out(artifact, source, samples, Cpu.ARM64))


def off(artifact: Artifact, program: Quantized) -> float:
    """Return the SQNR of a file against its program."""
    source = program.captured.source
    x = noise(32, *[int(size) for size in source.inputs[0].shape[1:]])
    opened = runs.open_artifact(artifact.format, artifact.data, Cpu.ARM64, source.inputs, source.outputs)
    found = opened.run(Samples(inputs={"x": x}), 32)["y"]
    with torch.no_grad():
        expected = program.program.module(check_guards=False)(torch.from_numpy(x)).double().numpy()
    return float(10 * np.log10(np.square(expected).sum() / max(np.square(expected - found).sum(), 1e-30)))


class Padded(nn.Module):
    """Pads that a clamp reads, and one that a convolution reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 3)
        self.pad = nn.ZeroPad2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (batch, 4, 8, 8) of x (batch, 3, 10, 10)."""
        y = torch.relu(self.pad(self.first(x)))
        y = torch.relu(self.pad(self.second(y)))
        maps: Tensor = self.last(y)
        return maps


def test_what_the_delegate_refuses_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pads that make the file unloadable, of three layers that are delegated as before."""
    monkeypatch.setattr(pte, "keep_steps", lambda _: None)
    torch.manual_seed(0)
    program = quantized(Padded(), {"x": (3, 10, 10)}, {"y": (4, 8, 8)})
    source, plain = program.captured.source, pte.lower(program, PteSettings())
    with pytest.raises(RunError, match=r"cannot load .*StaticConstantPad"):
        runs.open_artifact(Format.PTE, plain.data, Cpu.ARM64, source.inputs, source.outputs)
    artifact = lowered(program)
    assert set(artifact.not_delegated) == {"constant_pad_nd (pad)"}
    assert any("constant_pad_nd (pad) is outside the delegate, which refuses it" in note for note in artifact.notes)
    assert off(artifact, program) > 40


class Attending(nn.Module):
    """Linear layers on pictures with the channels last, as windowed transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.linear, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 4) of x (batch, 3, 10, 10)."""
        y = torch.relu(self.linear(torch.relu(self.first(x)).permute(0, 2, 3, 1)))
        features: Tensor = self.last(y.flatten(1, 2).mean(1))
        return features


def test_a_lowering_that_fails_leaves_out_what_it_fails_for() -> None:
    """Dynamic quantization on four dimensions is refused while the file is written."""
    torch.manual_seed(0)
    program = quantized(Attending(), {"x": (3, 10, 10)}, {"y": (4,)}, Scheme.INT8_DYNAMIC)
    artifact = lowered(program)
    assert off(artifact, program) > 25
    assert [place for place in artifact.not_delegated if "linear" in place] == ["linear (linear)"]
    assert artifact.delegated_fraction > 0.4


class Beyond(nn.Module):
    """Uses an operation that only one of the exporters knows, or none."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.middle = Middle(operation)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 4) of x (batch, 3, 10, 10)."""
        result: Tensor = self.linear(self.middle(torch.relu(self.convolution(x)).mean((2, 3))))
        return result


class Middle(nn.Module):
    """One operation."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, y: Tensor) -> Tensor:
        """Return what the operation makes of y."""
        result: Tensor = getattr(torch, self.operation)(y)
        return result


@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
def test_an_operation_without_a_form_is_named(format: Format) -> None:
    """With its place, the ways out, and the exporter's error behind it."""
    torch.manual_seed(0)
    program = quantized(Beyond("erfinv"), {"x": (3, 10, 10)}, {"y": (4,)})
    with pytest.raises(LowerError, match=rf"\.{format}, which has no form of the operation erfinv") as caught:
        lowering.lower(format, TARGET, program, None)
    assert "middle" in caught.value.message
    assert caught.value.__cause__ is not None
    assert "formats = " in caught.value.hint


def test_the_other_format_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build ends with a bundle of what works, and its verdict says what does not."""
    torch.manual_seed(0)
    monkeypatch.setattr(pte, "keep_steps", lambda _: None)
    monkeypatch.setattr("edgekit.lowering.refusal._MOST_TRIES", 0)
    x = torch.randn(64, 3, 10, 10)
    result = edgekit.build(
        Padded(), x[:1], target="android-arm64", calibration=x[:32], evaluation=x[32:], output=tmp_path, cache=False
    )
    manifest = result.bundles[0].manifest
    assert [artifact.file for artifact in manifest.artifacts] == ["model.onnx"]
    (refused,) = manifest.refused
    assert refused.format is Format.PTE
    assert "StaticConstantPad" in refused.reason
    assert manifest.verdict == "failed"
    assert not result.passed
    assert any("model.pte was not built" in line for line in verdict.of_manifest(manifest))


def test_without_a_format_left_a_build_fails(tmp_path: Path) -> None:
    """With the operation's name."""
    torch.manual_seed(0)
    x = torch.randn(64, 3, 10, 10)
    with pytest.raises(EdgeKitError, match="erfinv"):
        edgekit.build(Beyond("erfinv"), x[:1], target="android-arm64", calibration=x[:32], output=tmp_path, cache=False)
