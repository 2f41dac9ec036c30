"""The data that a caller of the Python API hands over: batches in any form, or a path that a project could name."""

from collections.abc import Iterable
from pathlib import Path

from edgekit.base.memory import Memory
from edgekit.data.files import load_samples
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.model.program import Source
from edgekit.model.source.batches import Batch, samples_of
from edgekit.spec import TensorSpec, Text

Data = str | Path | Batch | Iterable[Batch]


def samples_given(
    data: Data,
    source: Source,
    *,
    what: str,
    outputs: tuple[TensorSpec, ...] = (),
    memory: Memory | None = None,
    text: Text | None = None,
) -> Samples:
    """Return data as samples.

    Args:
        data: Batches, see `samples_of`; or a path, read as docs/data.md says, with the source's labels and
            preprocessing, or steps for sounds.
        source: The model that takes them.
        what: What the data is, for messages ("calibration data").
        outputs: The outputs whose true values may stand in it.
        memory: What is held; more stays in files.
        text: How texts become the inputs.

    Raises:
        DataError: If there is none, or it does not fit the model.
    """
    if isinstance(data, str | Path):
        path = Path(data)
        if not path.exists():
            raise DataError(f"The {what} is {path}, which does not exist.", hint="Give a path, or batches of tensors.")
        return load_samples(
            path,
            source.inputs,
            source.preprocessing,
            source.labels,
            outputs,
            source.dimensions,
            memory,
            audio=source.audio,
            text=text,
        )
    return samples_of(data, source, what=what, outputs=outputs, memory=memory)
