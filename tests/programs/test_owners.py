"""Operations of runtimes and the layers that they compute."""

import torch
from torch import nn

from edgekit.pipeline.profiling.cost import shared
from edgekit.pipeline.profiling.owners import owned
from edgekit.spec import Format


class Net(nn.Module):
    """Two convolutions, which run in another order than they are declared, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(4, 4, 3)
        self.early = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores."""
        found: torch.Tensor = self.head(self.late(self.early(x)).mean((2, 3)))
        return found


XNNPACK = ("Convert (NC) #1", "Convolution (NHWC, QC8) IGEMM #1", "Convolution (NHWC, QC8) GEMM #1", "Mean (ND) #1",
           "Fully Connected (NC, QS8, QC8W) GEMM #1")  # fmt: skip
ONNX = ("q2", "conv_0_token_2", "conv_1", "reducemean_0", "gemm_0")


def layers(format: Format, names: tuple[str, ...]) -> list[str | None]:
    """Return the layers of operations with these names."""
    graph = torch.export.export(Net().eval(), (torch.zeros(1, 3, 9, 9),)).module(check_guards=False).graph
    operators = shared([(name, name.partition(" #")[0], 1.0) for name in names])
    return [one.layer for one in owned(format, operators, graph, frozenset({"early", "late", "head"}))]


def test_layers_with_weights_are_told_in_the_order_of_running() -> None:
    """By both runtimes; what runs in between is left open."""
    expected = [None, "early", "late", None, "head"]
    assert layers(Format.PTE, XNNPACK) == expected
    assert layers(Format.ONNX, ONNX) == expected
    assert layers(Format.ONNX, (ONNX[2], ONNX[1], ONNX[4])) == ["late", "early", "head"]


def test_a_convolution_of_a_pixel_may_be_a_linear_operation() -> None:
    """The delegate computes it so; a linear layer is never a convolution."""
    linear = tuple(name.replace("Convolution (NHWC, QC8) GEMM", "Fully Connected (NC, QS8) GEMM") for name in XNNPACK)
    assert layers(Format.PTE, linear) == [None, "early", "late", None, "head"]
    wrong = tuple(name.replace("Fully Connected", "Convolution") for name in XNNPACK)
    assert set(layers(Format.PTE, wrong)) == {None}


def test_nothing_is_told_where_the_numbers_differ() -> None:
    """One convolution more or less: no layer is named, rather than a wrong one."""
    more = (*XNNPACK, "Convolution (NHWC, QC8) IGEMM #2")
    assert set(layers(Format.PTE, more)) == {None}
    assert set(layers(Format.PTE, tuple(reversed(XNNPACK)))) == {None}
    assert layers(Format.ONNX, ONNX[2:]) == [None, None, "head"]
