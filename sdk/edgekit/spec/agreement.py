"""Whether the parts of a project agree: names, meanings, shapes, schemes."""

import math

from edgekit.spec import schema, schemes
from edgekit.spec.dimensions import filled, fixed
from edgekit.spec.fits import picture_faults, sound_faults
from edgekit.spec.quantization import FormatSchemes
from edgekit.spec.sections import InputSection, Project
from edgekit.spec.target import Format
from edgekit.spec.tensors import TensorSpec

MOST_NUMBERS = 2**31
"""Of one tensor: what holds more cannot be computed with on any phone, and was meant otherwise."""
# The axes of what is measured by them.
_SHAPES = {
    "segmentation": ("batch", "classes", "height", "width"),
    "boxes": ("batch", "k", "4"),
    "scores": ("batch", "k"),
    "classes": ("batch", "k"),
}


def disagreements(project: Project) -> list[str]:
    """Return where the parts of a project disagree, one line each."""
    tensors: dict[str, TensorSpec] = {
        **{f"inputs[{index}]": spec for index, spec in enumerate(project.inputs)},
        **{f"outputs[{index}]": spec for index, spec in enumerate(project.outputs)},
    }
    faults, names = [], set[str]()
    for key, spec in tensors.items():
        if spec.name in names:
            faults.append(f"{key}.name: {spec.name} is taken by another tensor")
        names.add(spec.name)
        side = "input" if key.startswith("inputs") else "output"
        if spec.meaning != "tensor" and (spec.meaning == "image") != (side == "input"):
            other = "output" if side == "input" else "input"
            faults.append(f"{key}.meaning: only an {other} can mean {spec.meaning}")
        if isinstance(spec, InputSection) and spec.unbatched and _first_size(spec, project) != 1:
            faults.append(f"{key}.shape: must begin with 1, or a batch of 1: what is unbatched is one sample")
        numbers = math.prod(size if isinstance(size, int) else _largest(size, project) for size in spec.shape)
        if numbers > MOST_NUMBERS:
            faults.append(f"{key}.shape: is {numbers:,} numbers at its largest sizes; {MOST_NUMBERS:,} are the limit")
        if side == "output":
            faults += _first_size_faults(key, spec, project)
            continue  # another name that no input has is derived
        faults += [
            f"{key}.shape: {size} has no largest value in [dimensions]{schema.did_you_mean(size, project.dimensions)}"
            for size in spec.shape
            if isinstance(size, str) and size not in project.sizes
        ]
    used = {size for spec in tensors.values() for size in spec.shape}
    if "dimensions" in project.model_fields_set:
        faults += [f"dimensions.{name}: no shape uses it" for name in project.dimensions if name not in used]
    outputs = [spec.name for spec in project.outputs]
    faults += [
        f"budget.outputs.{name}: no output has this name{schema.did_you_mean(name, outputs)}"
        for name in project.budget.outputs
        if name not in outputs
    ]
    return (
        faults
        + picture_faults(project.preprocessing, project.inputs)
        + sound_faults(project.audio, project.inputs)
        + label_faults(project.labels, project.outputs)
        + output_faults(project.outputs)
        + _scheme_faults(project)
    )


def _first_size(spec: TensorSpec, project: Project) -> int | str | None:
    return next((size for one in filled((spec,), fixed(project.sizes)) for size in one.shape[:1]), None)


def _largest(size: str, project: Project) -> int:
    return project.sizes[size].max if size in project.sizes else 1


def _first_size_faults(key: str, spec: TensorSpec, project: Project) -> list[str]:
    """Return what is wrong with the first size of an output: it is the batch, as that of an input is."""
    one = fixed(project.sizes)
    wanted = {size for tensor in filled(project.inputs, one) for size in tensor.shape[:1]}
    found = {size for tensor in filled((spec,), one) for size in tensor.shape[:1]}
    if found & wanted or not wanted:
        return []
    names = sorted({str(size) for tensor in project.inputs for size in tensor.shape[:1]})
    mistyped = schema.did_you_mean(str(next(iter(found), "")), names)
    return [f"{key}.shape: must begin with {' or '.join(names)}, as the inputs do{mistyped}"]


def _scheme_faults(project: Project) -> list[str]:
    """Return what no target can mend; without `formats`, a scheme for all of them depends on the target."""
    written = project.formats
    if not written and isinstance(project.quantize.scheme, FormatSchemes):
        written = tuple(Format)
    return [f"quantize.scheme: {fault}" for fault in schemes.faults(project.quantize, written)]


def output_faults(outputs: tuple[TensorSpec, ...]) -> list[str]:
    """Return what does not fit between the meanings and the shapes of outputs, one line each."""
    faults = [
        f"outputs[{index}].shape: {spec.meaning} must be [{', '.join(_SHAPES[spec.meaning])}]"
        for index, spec in enumerate(outputs)
        if spec.meaning in _SHAPES and len(spec.shape) != len(_SHAPES[spec.meaning])
    ]
    faults += [
        f"outputs[{index}].dtype: {spec.meaning} must be floats, not {spec.dtype}"
        for index, spec in enumerate(outputs)
        if spec.meaning not in ("tensor", "classes", "regression") and not spec.dtype.startswith("float")
    ]
    faults += [
        f"outputs[{index}].dtype: truth values are no amounts that a regression gives"
        for index, spec in enumerate(outputs)
        if spec.meaning == "regression" and spec.dtype == "bool"
    ]
    meanings = [spec.meaning for spec in outputs]
    counts = {meaning: meanings.count(meaning) for meaning in ("boxes", "scores", "classes")}
    if set(counts.values()) not in ({0}, {1}):
        there = ", ".join(f"{count} {meaning}" for meaning, count in counts.items())
        faults.append(
            f"outputs: a detector has one output each that means boxes, scores and classes; there are {there}"
        )
    return faults


def label_faults(labels: tuple[str, ...], outputs: tuple[TensorSpec, ...]) -> list[str]:
    """Return what does not fit between the names of the classes and the outputs."""
    if not labels:
        return []
    logits = [spec for spec in outputs if spec.meaning == "logits"]
    if len(logits) != 1:
        return [f'labels: need one output with meaning = "logits"; there are {len(logits)}']
    classes = logits[0].shape[-1] if logits[0].shape else 0
    if isinstance(classes, int) and classes != len(labels):
        return [f"labels: there are {len(labels)} for {classes} logits"]
    return []
