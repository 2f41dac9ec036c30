"""The windows of convolutions and pools: strides, dilations, and paddings that need not be the same on both sides."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from edgekit.model.programs.onnx.node import Node, OnnxError


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a kernel moves over the last axes of a tensor."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    same: str
    """``SAME_UPPER`` or ``SAME_LOWER``: the padding follows from the size; else empty."""
    group: int
    output_padding: tuple[int, ...]

    @staticmethod
    def of(node: Node, rank: int, kernel: tuple[int, ...]) -> "Window":
        """Return the window of a node.

        Raises:
            OnnxError: If it is given by the shape of the output.
        """
        pads = tuple(node.attribute("pads") or [0] * 2 * rank)
        auto = node.attribute("auto_pad", b"NOTSET")
        auto = auto.decode() if isinstance(auto, bytes) else auto
        if node.attribute("output_shape"):
            raise OnnxError("output_shape is not supported")
        return Window(
            kernel=tuple(node.attribute("kernel_shape") or kernel),
            strides=tuple(node.attribute("strides") or [1] * rank),
            dilations=tuple(node.attribute("dilations") or [1] * rank),
            begins=pads[:rank] if auto in ("NOTSET", "") else (0,) * rank,
            ends=pads[rank:] if auto in ("NOTSET", "") else (0,) * rank,
            same=auto if auto.startswith("SAME") else "",
            group=node.attribute("group", 1),
            output_padding=tuple(node.attribute("output_padding") or [0] * rank),
        )

    def padded(self, x: Tensor, value: float) -> tuple[Tensor, tuple[int, ...]]:
        """Return a tensor with the padding that torch's own argument cannot say, and that argument."""
        begins, ends = self._sides(x)
        if begins == ends:
            return x, begins
        sides = [side for pair in zip(reversed(begins), reversed(ends), strict=True) for side in pair]
        return functional.pad(x, sides, value=value), (0,) * len(begins)

    def _sides(self, x: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if not self.same:
            return self.begins, self.ends
        begins, ends = [], []
        for axis, kernel in enumerate(self.kernel):
            size: Any = x.shape[axis - len(self.kernel)]
            stride, span = self.strides[axis], (kernel - 1) * self.dilations[axis] + 1
            total = (
                span - stride
                if isinstance(size, int) is False
                else max((-(-size // stride) - 1) * stride + span - size, 0)
            )
            half = total // 2
            begins.append(half if self.same == "SAME_UPPER" else total - half)
            ends.append(total - half if self.same == "SAME_UPPER" else half)
        return tuple(begins), tuple(ends)

    def of_transposed(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the padding of a transposed convolution, and what is cut off behind.

        Raises:
            OnnxError: If it is padded as no transposed convolution of torch is.
        """
        cut = tuple(end - begin for begin, end in zip(self.begins, self.ends, strict=True))
        if self.same or min(cut) < 0:
            raise OnnxError("it is padded as no transposed convolution of torch is")
        return self.begins, cut

    def cut(self, x: Tensor, cut: tuple[int, ...]) -> Tensor:
        """Return a tensor without so much at the end of its last axes."""
        for axis, many in enumerate(cut):
            if many:
                x = x.narrow(axis - len(cut), 0, x.shape[axis - len(cut)] - many)
        return x
