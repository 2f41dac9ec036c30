"""Whether pictures and sounds, after the steps that a project or a manifest names, are what a model takes."""

from edgekit.spec.media import Audio
from edgekit.spec.preprocessing import Preprocessing
from edgekit.spec.tensors import TensorSpec


def picture_faults(steps: Preprocessing | None, inputs: tuple[TensorSpec, ...]) -> list[str]:
    """Return what does not fit between the preprocessing and the input that pictures become."""
    images = [(index, spec) for index, spec in enumerate(inputs) if spec.meaning == "image"]
    if steps is None:
        return []
    if len(images) != 1:
        return [f'preprocessing: needs one input with meaning = "image"; there are {len(images)}']
    (index, image), size = images[0], steps.resize
    wanted: tuple[int, ...] = (steps.channels, size.height, size.width)
    if steps.layout == "NHWC":
        wanted = (size.height, size.width, steps.channels)
    faults = []
    if image.shape[1:] != wanted:
        faults.append(f"inputs[{index}].shape: must be [batch, {', '.join(map(str, wanted))}] after [preprocessing]")
    if image.dtype != steps.dtype:
        where = " with in_graph" if steps.in_graph else ""
        faults.append(f'inputs[{index}].dtype: must be "{steps.dtype}" after [preprocessing]{where}')
    return faults


def sound_faults(audio: Audio | None, inputs: tuple[TensorSpec, ...]) -> list[str]:
    """Return what does not fit between the steps for sounds and the input that they become."""
    if audio is None or not inputs:
        return []
    if len(inputs) != 1 or inputs[0].meaning == "image":
        return ["audio: needs a model with one input, which is no picture"]
    sizes, faults = _sizes(audio, inputs[0]), []
    if inputs[0].shape[1:] not in (sizes, (1, *sizes)) or not all(isinstance(size, int) for size in sizes):
        told = ", ".join(map(str, audio.sizes or ("SAMPLES",)))
        after = "[audio.features]" if audio.features is not None else "[audio]"
        faults.append(f"inputs[0].shape: must be [batch, {told}] or [batch, 1, {told}] after {after}")
    if inputs[0].dtype != "float32":
        faults.append('inputs[0].dtype: must be "float32" after [audio]')
    return faults


def completed(audio: Audio, inputs: tuple[TensorSpec, ...]) -> Audio:
    """Return the steps for sounds with the length that they had left to the input."""
    sizes = [size for size in inputs[0].shape[-1:] if isinstance(size, int)]
    return audio if audio.length or not sizes else audio.model_copy(update={"length": sizes[0]})


def _sizes(audio: Audio, spec: TensorSpec) -> tuple[int | str, ...]:
    """Return the last sizes that an input must have."""
    return audio.sizes or spec.shape[-1:]
