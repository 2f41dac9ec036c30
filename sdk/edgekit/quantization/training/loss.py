"""What a quantized network is trained for: to answer as the float network does, and, if it is known, right.

Distillation after Hinton et al., "Distilling the Knowledge in a Neural Network" (https://arxiv.org/abs/1503.02531), at
a temperature of 1.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from edgekit.spec import TensorSpec

# Where classes are counted.
_CLASSES = {"logits": -1, "segmentation": 1}
# Of an output that never changes there is no variance to measure errors by.
_LEAST_VARIANCE = 1e-12


def loss(
    outputs: tuple[TensorSpec, ...],
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    truth: Mapping[str, Tensor],
    labels: float,
) -> Tensor:
    """Return the distance between answers, a float32 scalar, added over the outputs.

    Of classes it is the divergence of Kullback and Leibler between what two networks think of them, in nats; of other
    numbers the squared error as a share of their variance. Integers have no gradient and are left out.

    Args:
        outputs: What the networks give.
        found: The quantized network's answers.
        wanted: The float network's, shaped alike.
        truth: True classes of outputs that mean logits, int64 of shape (samples,).
        labels: How much of an output with true classes their cross entropy is, from 0 to 1.
    """
    total = torch.zeros(())
    for spec in outputs:
        ours, theirs = found[spec.name], wanted[spec.name]
        if not theirs.is_floating_point():
            continue
        axis = _CLASSES.get(spec.meaning)
        if axis is None:
            distance = (ours - theirs).square().mean() / theirs.var(correction=0).clamp(min=_LEAST_VARIANCE)
        else:
            logs = functional.log_softmax(theirs, axis)
            distance = (logs.exp() * (logs - functional.log_softmax(ours, axis))).sum(axis).mean()
        if spec.name in truth:
            distance = (1 - labels) * distance + labels * functional.cross_entropy(ours, truth[spec.name])
        total = total.to(distance.device) + distance
    return total
