"""What is strange about data that can be read and fits: said in the report, because it may be meant."""

import numpy as np
import numpy.typing as npt

from edgekit.data.samples import Samples


def of_samples(samples: Samples, what: str) -> tuple[str, ...]:
    """Return what a reader of the report must know about samples.

    Args:
        samples: The samples.
        what: What they are ("calibration data").
    """
    notes = [
        f"Every value of {name} in the {what} is {value:g}: ranges and drift say nothing of real inputs."
        for name, value in samples.constant.items()
        if samples.inputs[name].size > 1 and samples.inputs[name].dtype.kind in "fu"
    ]
    count, different = len(samples), len(set(samples.contents))
    if not notes and count > 1 and different <= count / 2:
        notes.append(f"The {what} has {count} samples, of which {different} differ.")
    return tuple(notes)


def of_all(calibration: Samples, evaluation: Samples) -> tuple[str, ...]:
    """Return what a reader of the report must know about the data of a build."""
    return (
        *of_samples(calibration, "calibration data"),
        *(of_samples(evaluation, "evaluation data") if evaluation is not calibration else ()),
        *of_both(calibration, evaluation),
        *of_classes(evaluation.labels, "evaluation data"),
    )


def of_both(calibration: Samples, evaluation: Samples) -> tuple[str, ...]:
    """Return whether samples are in both sets, where they say less than others would."""
    known = set(calibration.contents)
    shared = sum(content in known for content in evaluation.contents)
    if not shared or calibration is evaluation:
        return ()
    return (
        f"{shared} of {len(evaluation)} evaluation samples are calibration samples, too: drift may be more on others.",
    )


def of_classes(labels: npt.NDArray[np.int64] | None, what: str) -> tuple[str, ...]:
    """Return whether labels tell anything."""
    if labels is None or len(labels) < 10 or len(np.unique(labels)) > 1:
        return ()
    return (f"All {len(labels)} samples of the {what} are of class {labels[0]}: accuracy says little.",)
