"""The ``run`` verb: one picture, sound or text through one artifact of a bundle, pre- and post-processing included."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit import bundles
from edgekit.bundles.manifest import Manifest, Tokenizer
from edgekit.data import texts
from edgekit.data.postprocess import classes
from edgekit.data.preprocess import open_picture, to_array
from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.data.sounds import of_file
from edgekit.errors import BundleError, DataError
from edgekit.execution.artifact import open_artifact
from edgekit.spec import Format, TensorSpec
from edgekit.spec.fits import picture_faults, sound_faults

_SHOWN = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class Prediction:
    """What an artifact says of one input."""

    artifact: str
    outputs: Mapping[str, Array]
    classes: tuple[tuple[str, float], ...]
    """Labels with probabilities, likeliest first; empty if the model is no classifier."""

    def __repr__(self) -> str:
        """Return one line: the likeliest classes, or the shapes of the outputs."""
        likely = ", ".join(f"{label} {100 * share:.0f} %" for label, share in self.classes[:_SHOWN])
        shapes = ", ".join(f"{name} {'x'.join(map(str, values.shape))}" for name, values in self.outputs.items())
        return f"<{self.artifact}: {likely or shapes}>"


def predict(folder: Path, given: str | Path, format: Format | None = None) -> Prediction:
    """Run a picture, a sound or a text through an artifact of a bundle.

    Args:
        folder: The bundle.
        given: A picture that Pillow reads, a sound, a text, or the file of one.
        format: Which artifact; the first in the manifest unless given.

    Raises:
        BundleError: If the bundle is damaged, or has no artifact of that format.
        DataError: If the file cannot be read, or the model takes neither pictures nor sounds nor texts.
        ToolchainError: If the library of tokenizers is missing.
        RunError: If the artifact does not load or run.
    """
    manifest = bundles.read(folder)
    inputs = _inputs(manifest, folder, given)
    info = next((info for info in manifest.artifacts if format in (None, info.format)), None)
    if info is None:
        held = ", ".join(info.format for info in manifest.artifacts)
        raise BundleError(f"{folder} has no .{format} artifact.", hint=f"It has: {held}.")
    opened = open_artifact(info.format, folder / info.file, manifest.target.cpu, manifest.inputs, manifest.outputs)
    found = opened.run(Samples(inputs=inputs), 1)
    outputs = {name: whole(rows) for name, rows in found.items()}
    return Prediction(artifact=info.file, outputs=outputs, classes=_classes(manifest, outputs))


def _inputs(manifest: Manifest, folder: Path, given: str | Path) -> Mapping[str, Array]:
    """Return one row of the inputs."""
    faults = picture_faults(manifest.preprocessing, manifest.inputs) + sound_faults(manifest.audio, manifest.inputs)
    if faults:
        raise BundleError(f"The manifest of {folder} contradicts itself: {faults[0]}", hint="Build the bundle again.")
    if manifest.text is not None:
        return _of_text(manifest.text, manifest.inputs, folder, given)
    given, first = _file(given), manifest.inputs[0]
    if manifest.audio is not None and manifest.audio.length is not None:
        sizes = [size for size in first.shape[1:] if isinstance(size, int)]
        return {first.name: of_file(given, manifest.audio).reshape(1, *sizes)}
    if manifest.preprocessing is None or len(manifest.inputs) != 1:
        raise DataError(
            f"{manifest.model.name} takes no picture, sound or text: its manifest has no steps for one.",
            hint="Use the Python API, edgekit.execution.artifact.open_artifact, to feed it arrays.",
        )
    return {first.name: to_array(open_picture(given), manifest.preprocessing)}


def _file(given: str | Path) -> Path:
    path = Path(given)
    try:
        path.stat()
    except (OSError, ValueError) as error:  # also a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read: {reason}", hint="Give the file of a picture or a sound.") from error
    return path


def _of_text(text: Tokenizer, inputs: tuple[TensorSpec, ...], folder: Path, given: str | Path) -> Mapping[str, Array]:
    if set(text.inputs) != {spec.name for spec in inputs}:
        raise BundleError(f"The manifest of {folder} contradicts itself: text.inputs", hint="Build the bundle again.")
    steps = texts.TextSteps(tokenizer=folder / text.file, length=text.length, parts=text.inputs)
    found = texts.encoded([texts.text_of(given)], steps, inputs)
    return {name: whole(rows) for name, rows in found.items()}


def _classes(manifest: Manifest, outputs: Mapping[str, Array]) -> tuple[tuple[str, float], ...]:
    logits = next((outputs[spec.name][0] for spec in manifest.outputs if spec.meaning == "logits"), None)
    return () if logits is None else classes(logits, manifest.labels)
