"""Inputs and outputs: names, types, shapes, and what the numbers mean."""

from typing import Literal

from edgekit.base.values import Identifier, Positive, Spec

Meaning = Literal["tensor", "image", "logits", "segmentation", "boxes", "scores", "classes", "embedding", "regression"]
DType = Literal["float32", "float16", "int64", "int32", "uint8", "int8", "bool"]


class TensorSpec(Spec):
    """A named input or output."""

    name: Identifier
    """The name of the tensor; for an input, the name of the parameter of ``forward``."""
    dtype: DType = "float32"
    """The element type."""
    shape: tuple[Positive | Identifier, ...]
    """Sizes; a name stands for a symbolic dimension, for instance ``["batch", 1, 32, 32]``."""
    meaning: Meaning = "tensor"
    """What the numbers are. ``image`` marks the input that pictures go to; all others add metrics to an output:
    ``logits`` those of a classifier, ``segmentation`` of (samples, classes, height, width) scores, ``boxes`` with
    ``scores`` and ``classes`` those of a detector, ``embedding`` and ``regression`` theirs; see docs/drift.md."""

    @property
    def is_counted(self) -> bool:
        """Whether a value that is off by one is as wrong as any other: of indices and classes, not of amounts."""
        return not self.dtype.startswith("float") and self.meaning != "regression"


def fixed_batch(inputs: tuple[TensorSpec, ...]) -> int | None:
    """Return how many samples every call takes; None: the batch is a name."""
    first = inputs[0].shape[0] if inputs and inputs[0].shape else None
    return first if isinstance(first, int) else None


Postprocessing = tuple[Literal["softmax", "top_k"], ...]


def postprocessing(outputs: tuple[TensorSpec, ...]) -> Postprocessing:
    """Return the steps from the outputs to what a person reads: those of a classifier, if there are logits."""
    return ("softmax", "top_k") if any(spec.meaning == "logits" for spec in outputs) else ()
