"""The shortcuts through the lowerings change nothing but its duration."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa
from executorch.exir.pass_base import _ExportPassBase
from executorch.exir.verification import verifier
from torch import Tensor, fx, nn
from torch.export import ExportedProgram, exported_program
from torch.fx.traceback import NodeSource

from edgekit.lowering import pte, repetition, shortcuts
from edgekit.lowering.onnx import export
from edgekit.model.capture import capture
from edgekit.model.program import Quantized
from edgekit.quantization import quantize
from edgekit.spec import Format, OnnxSettings, PteSettings, QuantSpec, Scheme
from edgekit.spec.schemes import obstacle
from tests.programs.networks import Tokens, TwoInTwoOut, images, quantized, small_source


class Mixed(nn.Module):
    """What XNNPACK's passes rewrite or refuse: a lone batch norm, a concatenation, twins, attention, an upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, (3, 1), stride=2, padding=1, dilation=1, groups=3, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.same = nn.Conv2d(12, 4, 3, padding="same")
        self.prelu = nn.PReLU()
        self.attention = nn.Linear(4, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Return numbers (batch, n) of an image (batch, 3, 8, 8)."""
        x = self.norm(torch.relu(self.convolution(image)))
        twins = torch.cat([torch.sigmoid(x), torch.sigmoid(x)], dim=1)
        x = self.prelu(self.same(nn.functional.max_pool2d(twins, 2, 1)))
        x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        tokens = self.attention(x.flatten(2).transpose(1, 2))
        mixed = torch.softmax(tokens @ tokens.transpose(1, 2), dim=-1) @ tokens
        numbers: Tensor = mixed.mean(1) * 0.5 + torch.clamp(x.mean((2, 3)), -1, 1)
        return numbers


class Sequence(nn.Module):
    """One-dimensional convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3, padding=1))

    def forward(self, signal: Tensor) -> Tensor:
        """Return features (batch, 4) of a signal (batch, 2, 16)."""
        y: Tensor = self.layers(signal).mean(-1)
        return y


class Padded(nn.Module):
    """A network of TensorFlow's, with a pad of its own and a mean of whole pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU6(), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (batch, 3) of an image (batch, 3, 8, 8)."""
        scores: Tensor = self.head(self.layers(nn.functional.pad(image, (0, 1, 0, 1))).flatten(1))
        return scores


def padded() -> Quantized:
    """Return it, quantized."""
    return quantized(Padded(), {"image": (3, 8, 8)}, {"scores": (3,)})


def small() -> Quantized:
    """Return the small network, quantized."""
    samples = images(64, seed=1)
    return quantize(capture(small_source(), samples), Scheme.INT8, QuantSpec(), samples)


NETWORKS: dict[str, Callable[[], Quantized]] = {
    "small": small,
    "two in, two out": lambda: quantized(
        TwoInTwoOut(), {"left": (6,), "right": (4,)}, {"scores": (3,), "embedding": (5,)}
    ),
    "padded": padded,
    "mixed": lambda: quantized(Mixed(), {"image": (3, 8, 8)}, {"numbers": (4,)}),
    "tokens": lambda: quantized(Tokens(), {"tokens": (6, 8)}, {"features": (8,)}),
    "sequence": lambda: quantized(Sequence(), {"signal": (2, 16)}, {"features": (4,)}),
}


def tokens(scheme: Scheme) -> Callable[[], Quantized]:
    """Return how attention is quantized by a scheme; groups of 4-bit weights need some width."""
    return lambda: quantized(Tokens(64), {"tokens": (6, 64)}, {"features": (64,)}, scheme)


SCHEMES = {scheme: tokens(scheme) for scheme in Scheme if scheme not in (Scheme.INT8, Scheme.INT8_MIXED)}


@contextmanager
def plain() -> Iterator[bool]:
    """Take no shortcut."""
    yield False


def patched() -> tuple[object, ...]:
    """Return what the shortcuts replace."""
    return (
        ExportedProgram.run_decompositions,
        _ExportPassBase.call,
        _ExportPassBase._fx,
        verifier._check_tensor_args_matching_op_allowed_dtype,
        xnnpack_preprocess.XNNPACKPassManager,
        hasattr(NodeSource, "__deepcopy__"),
        fx.GraphModule.recompile,
        gc.isenabled(),
    )


def able(format: Format) -> dict[str, Callable[[], Quantized]]:
    """Return the networks, and the schemes that a format can hold."""
    return {**NETWORKS, **{name: make for name, make in SCHEMES.items() if obstacle(name, format) is None}}


@pytest.mark.parametrize("name", able(Format.PTE))
def test_the_file_is_the_same_with_and_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, and so is what is said of it; the way that ExecuTorch goes by itself is the reference."""
    torch.manual_seed(0)
    program = able(Format.PTE)[name]()
    fast = pte.lower(program, PteSettings())
    monkeypatch.setattr(pte, "shortcuts", plain)
    monkeypatch.setattr(pte, "write_decomposed", lambda _: None)
    assert pte.lower(program, PteSettings()) == fast


@pytest.mark.parametrize("name", able(Format.ONNX))
def test_the_onnx_file_is_the_same_with_and_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, int8 and float; torch.onnx's own way is the reference."""
    torch.manual_seed(0)
    program = able(Format.ONNX)[name]()
    fast = export.lower(program, OnnxSettings()), export.export_float(program.captured)
    monkeypatch.setattr(export, "shortcuts", plain)
    monkeypatch.setattr(export, "write_functional", lambda _: None)
    assert (export.lower(program, OnnxSettings()), export.export_float(program.captured)) == fast


@pytest.mark.parametrize("make", [small, padded])
def test_usual_networks_need_no_round_of_decompositions(
    make: Callable[[], Quantized], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither lowering traces the sample's kind of network again; without the shortcuts both do."""
    rounds = []
    decompose = exported_program._decompose_exported_program

    def counted(*arguments: Any, **options: Any) -> ExportedProgram:
        rounds.append(1)
        result: ExportedProgram = decompose(*arguments, **options)
        return result

    monkeypatch.setattr(exported_program, "_decompose_exported_program", counted)
    program = make()
    rounds.clear()
    pte.lower(program, PteSettings())
    export.lower(program, OnnxSettings())
    export.export_float(program.captured)
    assert not rounds
    monkeypatch.setattr(pte, "shortcuts", plain)
    monkeypatch.setattr(export, "shortcuts", plain)
    pte.lower(program, PteSettings())
    export.lower(program, OnnxSettings())
    export.export_float(program.captured)
    assert len(rounds) >= 5


def test_the_shortcuts_apply_to_the_installed_versions_and_are_taken_back() -> None:
    """An update of ExecuTorch or torch must make somebody look at them again; an error leaves nothing behind."""
    before = patched()
    with suppress(ZeroDivisionError), shortcuts.shortcuts() as apply:
        assert apply
        assert all(now != then for now, then in zip(patched(), before, strict=True))
        raise ZeroDivisionError
    assert patched() == before


def test_other_versions_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known to repeat itself is not cut short."""
    before = patched()
    monkeypatch.setattr(shortcuts, "_EXECUTORCH", "1.6.0")
    with shortcuts.shortcuts() as apply:
        assert not apply
        assert patched() == before


def test_a_second_thread_replaces_nothing() -> None:
    """Two that replace the same names could put them back in the wrong order."""
    found: list[bool] = []

    def second() -> None:
        with shortcuts.shortcuts() as apply:
            found.append(apply)

    with shortcuts.shortcuts():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert found == [False]


def test_every_pattern_has_the_operation_that_it_is_known_by() -> None:
    """So a graph without the operation cannot match, and the pass may be left out."""
    graphs = dict(zip(repetition.PATTERN_PASSES, (bilinear_2d.get_graphs(), sdpa.get_graphs()), strict=True))
    for kind, patterns in graphs.items():
        assert patterns
        for pattern in patterns:
            assert repetition.PATTERN_PASSES[kind] in {node.target for node in pattern.graph.nodes}
