"""How sounds and texts become inputs: ``[audio]`` and ``[text]``."""

from typing import Annotated

from pydantic import Field

from edgekit.base.values import Positive, Spec


class Audio(Spec):
    """``[audio]``: how a sound becomes the only input, float32 of shape (batch, samples) or (batch, 1, samples).

    The channels of a recording are averaged, it is brought to ``rate``, and cut off or filled with silence at its end.
    Apps hand over the tensor.
    """

    rate: Positive
    """Samples a second that the model takes, 16000 for instance."""


class Text(Spec):
    """``[text]``: how a line of text becomes token ids, a mask and segment ids, whichever the model takes.

    They go to inputs called ``input_ids``, ``token_ids``, ``tokens`` or ``ids``; ``attention_mask`` or ``mask``; and
    ``token_type_ids`` or ``segment_ids``. Apps hand over the tensors.
    """

    tokenizer: Annotated[str, Field(min_length=1)] = "tokenizer.json"
    """The tokenizer's file, as the ``tokenizers`` library writes it."""
    length: Positive | None = None
    """Texts are cut off, or padded, to so many tokens; the input's own length unless given."""
