"""What quantization moved between classes, and the samples whose answer changed, with their pictures."""

import base64
import io
from collections import Counter

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.bundles.profile import ChangedSample, Classes, ClassProfile
from edgekit.data.preprocess import denormalized
from edgekit.data.rows import Rows, chunks
from edgekit.data.trace import Trace
from edgekit.pipeline.job import Job
from edgekit.spec import Preprocessing, TensorSpec

_SHOWN = 24
_SIDE = 96  # pixels of the longer side: enough to see what it is, and a few kB


def profile(file: str, job: Job, reference: Trace, candidate: Trace) -> tuple[Classes, ...]:
    """Compare the answers of two traces class by class, for each output that holds logits of shape (samples, classes).

    Args:
        file: The artifact that the candidate is of.
        job: Names the classes and says how pictures became inputs.
        reference: What should have been answered.
        candidate: What was answered.
    """
    return tuple(
        _of_output(file, spec, job, reference, candidate)
        for spec in job.source.outputs
        if spec.meaning == "logits" and reference.outputs[spec.name].ndim == 2
    )


def _of_output(file: str, spec: TensorSpec, job: Job, reference: Trace, candidate: Trace) -> Classes:
    (before, theirs), (after, ours) = (_answers(trace.outputs[spec.name]) for trace in (reference, candidate))
    names = job.labels or tuple(str(number) for number in range(reference.outputs[spec.name].shape[1]))
    true = reference.samples.labels
    rows = np.arange(len(before))
    changed = np.flatnonzero(before != after)
    surest = changed[np.argsort(-theirs[changed], kind="stable")]
    moved = Counter((names[before[row]], names[after[row]]) for row in changed)
    return Classes(
        artifact=file,
        output=spec.name,
        classes=tuple(
            _of_class(name, before, after, found, true)
            for number, name in enumerate(names)
            if len(found := rows[(before if true is None else true) == number])
        ),
        moved=tuple((a, b, count) for (a, b), count in moved.most_common()),
        changed=tuple(
            ChangedSample(
                index=int(row),
                label=None if true is None else names[true[row]],
                reference=names[before[row]],
                candidate=names[after[row]],
                reference_share=float(theirs[row]),
                candidate_share=float(ours[row]),
                picture=_picture(job, reference, int(row)),
            )
            for row in surest[:_SHOWN]
        ),
        changed_count=len(changed),
    )


def _of_class(
    name: str,
    before: npt.NDArray[np.int64],
    after: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    true: npt.NDArray[np.int64] | None,
) -> ClassProfile:
    def share(hits: npt.NDArray[np.bool_]) -> float:
        return float(hits[rows].mean())

    return ClassProfile(
        name=name,
        samples=len(rows),
        reference_accuracy=None if true is None else share(before == true),
        accuracy=None if true is None else share(after == true),
        agreement=share(before == after),
    )


def _answers(logits: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the likeliest class of each sample, and its share."""
    numbers, shares = [], []
    for _, part in chunks(logits):
        raised = np.exp(part.astype(np.float64) - part.max(axis=1, keepdims=True))
        share = raised / raised.sum(axis=1, keepdims=True)
        numbers.append(share.argmax(axis=1))
        shares.append(share.max(axis=1))
    return np.concatenate(numbers), np.concatenate(shares)


def _picture(job: Job, trace: Trace, row: int) -> str | None:
    """Return what the model saw as a PNG in base64, if its input is a picture."""
    images = [spec.name for spec in job.source.inputs if spec.meaning == "image"]
    if job.preprocessing is None or len(images) != 1:
        return None
    picture = _as_picture(trace.samples.inputs[images[0]][row : row + 1][0], job.preprocessing)
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _as_picture(values: npt.NDArray[np.float32], steps: Preprocessing) -> Image.Image:
    pixels = denormalized(values, steps)
    return Image.fromarray(pixels[:, :, 0] if steps.channels == 1 else pixels)
