"""Training: how a quantized network is trained after its steps were chosen."""

from typing import Annotated

from pydantic import Field

from edgekit.base.values import Positive, Share, Spec


class Training(Spec):
    """How a quantized network is trained."""

    epochs: Positive = 10
    """Passes over the training samples at most."""
    batch: Positive = 64
    """Samples of a step; memory may make them fewer."""
    rate: Annotated[float, Field(gt=0, lt=1)] = 3e-4
    """Largest share of its magnitude by which a parameter changes in a step of AdamW; it falls to zero as a cosine."""
    labels: Share = 0.0
    """How much of what is minimised is the cross entropy with true classes, where the samples have them; the rest is
    the distance from the float network's answers."""
    held: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the samples, 1024 at most, that is not trained with: the artifact is judged by them."""
    patience: Positive = 3
    """Epochs without a better artifact after which the training ends."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another number gives another order of the samples, and holds other ones out."""
