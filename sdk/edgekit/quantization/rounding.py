"""Adaptive rounding: weights go up or down so that the layer's output, not the weight, changes least."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, fx
from torch.nn import functional

_aten = torch.ops.aten
# Added to the diagonal of the second moments, as a share of its mean: what the samples do not tell stays put.
_DAMPING = 0.01
# Input patches that the second moments are estimated from, and the most numbers in them.
_PATCHES = 16384
_NUMBERS = 2**23
# Columns whose errors are carried over to all that follow at once, as one matrix product.
_BLOCK = 32
# Columns that make up for each other's errors: inverting their moments takes the cube of their number, and so for all
# columns together the square of it times the width. A layer of more inputs is rounded in parts, and what a part leaves
# is made up for by the next one, which costs it 1 dB with 4096 inputs, 5 s of 6.
_WHOLE = 1536
_PART = 1024


def gather(node: fx.Node, parts: Iterable[Tensor], count: int, weight: Tensor) -> Tensor:
    """Return what a layer multiplies its weights with, of shape (groups, patches, inputs of one output).

    Args:
        node: A conv1d, conv2d or linear node.
        parts: Its inputs for parts of the samples, batch first; one is held at a time.
        count: How many parts there are.
        weight: Its weight, output channels first.
    """
    most = max(1, most_patches(node, weight) // count)
    gathered = Gathered(count, most)
    for part in parts:
        gathered.add(patches(node, part, weight, most))
    return gathered.whole


class Gathered:
    """Patches of all parts, in one piece of memory.

    Many small ones that stay would keep the large ones between them from being used again.
    """

    def __init__(self, count: int, most: int) -> None:
        """Take none yet, of at most ``count`` parts with at most ``most`` patches each."""
        self._room, self._used = count * most, 0
        self._memory = torch.empty(0)

    def add(self, some: Tensor) -> None:
        """Take those of a part, from `patches`."""
        if not self._used:
            self._memory = some.new_empty(some.shape[0], self._room, some.shape[2])
        end = self._used + some.shape[1]
        self._memory[:, self._used : end] = some
        self._used = end

    @property
    def whole(self) -> Tensor:
        """What was taken, of shape (groups, patches, inputs of one output)."""
        return self._memory[:, : self._used]


def most_patches(node: fx.Node, weight: Tensor) -> int:
    """Return how many patches of a layer's inputs its second moments are estimated from at most."""
    return max(1, min(_PATCHES, _NUMBERS // weight[0].numel() // _groups(node)))


def patches(node: fx.Node, x: Tensor, weight: Tensor, most: int) -> Tensor:
    """Return some of what a layer multiplies its weights with, as `gather` does, evenly spread: the same ones always.

    Args:
        node: A conv1d, conv2d or linear node.
        x: Its input, batch first.
        weight: Its weight, output channels first.
        most: How many patches to return at most.
    """
    if node.target is _aten.linear.default:
        return _some(x.reshape(1, -1, x.shape[-1]), most)
    arguments = [*node.args, *[None] * (7 - len(node.args))]

    def pair(value: object, default: int) -> tuple[int, ...]:
        given = tuple(value) if isinstance(value, list | tuple) and value else (default,)
        return (default, *given) if weight.ndim == 3 else given * (2 // len(given))

    stride, padding, dilation = pair(arguments[3], 1), pair(arguments[4], 0), pair(arguments[5], 1)
    if weight.ndim == 3:  # a conv1d is a conv2d on pictures of height 1
        x, weight = x[:, :, None], weight[:, :, None]
    # A coarser grid of places in the first place, so that few are unfolded that are not wanted.
    high, wide = (
        (size + 2 * pad - step * (kernel - 1) - 1) // hop + 1
        for size, pad, step, kernel, hop in zip(x.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True)
    )
    surplus = len(x) * high * wide / most
    coarser = max(1, int(surplus if high == 1 else math.sqrt(surplus)))
    steps = tuple(hop * min(coarser, size) for hop, size in zip(stride, (high, wide), strict=True))
    columns = functional.unfold(x, weight.shape[2:], dilation, padding, steps)  # (samples, inputs, places)
    samples, _, places = columns.shape
    groups = _groups(node)
    columns = columns.view(samples, groups, -1, places).permute(1, 0, 3, 2)
    return _some(columns.reshape(groups, samples * places, -1), most)


def _groups(node: fx.Node) -> int:
    return node.args[6] if len(node.args) > 6 and isinstance(node.args[6], int) else 1


def _some(columns: Tensor, most: int) -> Tensor:
    return columns[:, :: -(-columns.shape[1] // most)]


def round_adaptively(weight: Tensor, scale: Tensor, inputs: Tensor, limits: tuple[int, int]) -> Tensor:
    """Round a weight, one input after another, loud ones first, and let the inputs that follow make up for the error.

    The optimal brain surgeon's update, per column, with the second moments of the layer's own quantized inputs: GPTQ
    (Frantar et al., https://arxiv.org/abs/2210.17323). A closed form, and so a cheaper equal of AdaRound (Nagel et
    al., https://arxiv.org/abs/2004.10568), which descends gradients. Time and memory grow with the number of inputs,
    not with a power of it: parts of them are rounded one after another.

    Args:
        weight: Float weight, output channels first.
        scale: Scale of each output channel or of each weight, float32 of shape (channels, 1 or inputs).
        inputs: From `patches`, `centred` or not.
        limits: The least and the greatest integer.

    Returns:
        The weight on the steps of the scale, float32 of the same shape.
    """
    inputs = centred(inputs)
    groups, count, width = inputs.shape
    # The loudest first: most inputs are left then to make up for what matters most.
    order = torch.argsort(torch.linalg.vector_norm(inputs, 2, 1), dim=1, descending=True, stable=True)
    inputs = inputs.gather(2, order[:, None].expand_as(inputs))
    # Inputs in front, so that those of a block lie together in memory.
    left = weight.double().reshape(groups, -1, width).transpose(1, 2)
    places = order[:, :, None].expand_as(left)
    left = left.gather(1, places)
    scales = scale.double().expand(len(weight), width).reshape(groups, -1, width).transpose(1, 2).gather(1, places)
    rounded = torch.empty_like(left)
    missing = None  # what the outputs lack by the parts that are rounded already, (groups, patches, outputs)
    size = width if width <= _WHOLE else -(-width // -(-width // _PART))
    for start in range(0, width, size):
        part = slice(start, start + size)
        seen, own = inputs[:, :, part], left[:, part]
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(_moments(seen)))
        wanted = own.clone()
        if missing is not None:
            wanted += inverse @ ((seen.transpose(1, 2) @ missing).double() / count)
        rounded[:, part] = _round(wanted, scales[:, part], inverse, limits)
        if start + size < width:
            lack = seen @ (own - rounded[:, part]).float()
            missing = lack if missing is None else missing + lack
    rounded = torch.empty_like(rounded).scatter_(1, places, rounded)
    return rounded.transpose(1, 2).reshape(weight.shape).float()


def centred(patches: Tensor) -> Tensor:
    """Return patches about their mean, whose error is the bias's to mend, in units of their spread; shaped alike."""
    if not torch.isfinite(patches.sum()):
        patches = patches.nan_to_num(0.0, 0.0, 0.0)
    about = patches - patches.mean(1, keepdim=True)
    largest = torch.linalg.vector_norm(about, math.inf, (1, 2), keepdim=True)
    about /= torch.where(largest > 0, largest, 1)  # before it is squared: a signal in microvolts would vanish
    numbers = about[0].numel()
    spread = torch.linalg.vector_norm(about, 2, (1, 2), keepdim=True) / math.sqrt(numbers)
    about /= torch.where(spread > 0, spread, 1)
    return about


def _moments(inputs: Tensor) -> Tensor:
    """Return the damped second moments of inputs, float64 of shape (groups, inputs, inputs)."""
    moments = (inputs.transpose(1, 2) @ inputs).double() / inputs.shape[1]
    level = moments.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
    moments += _DAMPING * level[:, None, None] * torch.eye(moments.shape[1], dtype=torch.float64)
    return moments


def _round(left: Tensor, scales: Tensor, inverse: Tensor, limits: tuple[int, int]) -> Tensor:
    """Round weights of shape (groups, inputs, outputs), which are used up, by the inverse of their inputs' moments."""
    factor = torch.linalg.cholesky(inverse, upper=True)
    rounded, width = torch.empty_like(left), left.shape[1]
    for start in range(0, width, _BLOCK):
        end = min(start + _BLOCK, width)
        errors = torch.empty_like(left[:, start:end])
        for column in range(start, end):
            value, steps = left[:, column], scales[:, column]
            rounded[:, column] = torch.clamp(torch.round(value / steps), *limits) * steps
            error = (value - rounded[:, column]) / factor[:, column, column, None]
            left[:, column + 1 : end] -= factor[:, column, column + 1 : end, None] * error[:, None]
            errors[:, column - start] = error
        left[:, end:] -= factor[:, start:end, end:].transpose(1, 2) @ errors
    return rounded
