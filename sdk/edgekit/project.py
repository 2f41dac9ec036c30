"""``edgekit.toml``: which model, with which weights and data, quantized how, and what drift is allowed.

Reading a project finds all faults at once: unknown keys, wrong types, parts that disagree and files that are missing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue

from edgekit import schema, schemes
from edgekit.errors import ProjectError
from edgekit.spec import (
    Budget,
    Format,
    FormatSchemes,
    Identifier,
    Name,
    Positive,
    Postprocessing,
    Preprocessing,
    QuantSpec,
    Spec,
    TensorSpec,
    postprocessing,
)

PROJECT_FILE = "edgekit.toml"
SAMPLE = Path(__file__).parent / "sample"
_HINT = "`edgekit init` writes a project that works, to compare with."

# The axes of what is measured by them.
_SHAPES = {
    "segmentation": ("batch", "classes", "height", "width"),
    "boxes": ("batch", "k", "4"),
    "scores": ("batch", "k"),
    "classes": ("batch", "k"),
}

File = Annotated[str, Field(min_length=1)]


class ModelSection(Spec):
    """``[model]``: how the model is made and where its weights are."""

    name: Name
    """The model's name; bundles are put in a folder of this name."""
    source: Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$")]
    """The Python file and the function in it that returns the ``nn.Module``, for instance ``model.py:build``."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments for the function."""
    weights: File
    """The state dict: ``.safetensors``, or ``.pt`` or ``.pth`` as ``torch.save(model.state_dict())`` writes it."""


class OutputSection(TensorSpec):
    """``[[outputs]]``: an output, and perhaps a metric of the project's own for it."""

    metric: Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """A function of your own, ``my.py:function``, that takes the reference, the candidate and the true values (or None)
    as NumPy arrays and returns a number, or numbers by name; its limits stand in ``[budget.LEG.custom]``."""

    @property
    def tensor(self) -> TensorSpec:
        """The output alone, as manifests name it."""
        return TensorSpec(name=self.name, dtype=self.dtype, shape=self.shape, meaning=self.meaning)


class DataSection(Spec):
    """``[data]``: what the model is fed; an ``.npz`` or ``.safetensors`` file, or a folder of pictures."""

    calibration: File
    """Samples that the quantizer chooses its ranges by; representative, a hundred or more, not from the evaluation."""
    evaluation: File
    """Samples that drift and accuracy are measured with."""


class BaselineSection(Spec):
    """``[baseline]``: the recorded reference."""

    file: File = "baseline.npz"
    """The trace that ``edgekit baseline record`` writes; may be missing until it is used."""


class Project(Spec):
    """The content of ``edgekit.toml``. Paths are relative to its folder."""

    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the output."""
    formats: tuple[Format, ...] = ()
    """The artifacts to write, of those that a target names: ``"pte"``, ``"onnx"``; all of them unless given."""
    model: ModelSection
    """The model."""
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    """What goes in, in the order of the parameters of ``forward``."""
    outputs: Annotated[tuple[OutputSection, ...], Field(min_length=1)]
    """What comes out, in order."""
    dimensions: dict[Identifier, Positive] = Field(default_factory=lambda: {"batch": 64})
    """Largest value of each symbolic dimension."""
    preprocessing: Preprocessing | None = None
    """How a picture becomes the input that means an image."""
    data: DataSection
    """Calibration and evaluation data."""
    quantize: QuantSpec = QuantSpec()
    """How to quantize; a scheme given here goes before the target's."""
    budget: Budget = Budget()
    """Drift limits, put over the target's."""
    baseline: BaselineSection = BaselineSection()
    """The reference."""

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The outputs, without the project's own metrics."""
        return tuple(output.tensor for output in self.outputs)

    @property
    def postprocessing(self) -> Postprocessing:
        """Steps from the output to what a person reads."""
        return postprocessing(self.outputs)


@dataclass(frozen=True, kw_only=True)
class OpenProject:
    """A project and the folder that its paths start from."""

    root: Path
    spec: Project

    @property
    def source(self) -> tuple[Path, str]:
        """The Python file that makes the model, and the function in it."""
        file, _, function = self.spec.model.source.rpartition(":")
        return self.root / file, function

    @property
    def metrics(self) -> tuple[tuple[Path, str] | None, ...]:
        """For each output the Python file and the function of the project's own metric, if there is one."""
        sources = [output.metric and output.metric.rpartition(":") for output in self.spec.outputs]
        return tuple((self.root / source[0], source[2]) if source else None for source in sources)

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.root / self.spec.model.weights

    @property
    def calibration(self) -> Path:
        """The calibration data, a file or a folder."""
        return self.root / self.spec.data.calibration

    @property
    def evaluation(self) -> Path:
        """The evaluation data, a file or a folder."""
        return self.root / self.spec.data.evaluation

    @property
    def baseline(self) -> Path:
        """The recorded reference; may not exist yet."""
        return self.root / self.spec.baseline.file


def find(folder: Path) -> OpenProject:
    """Return the project in a folder or, where there is none, the sample that ships in the package.

    Raises:
        ProjectError: With all faults of the project.
    """
    return load(folder if (folder / PROJECT_FILE).is_file() else SAMPLE)


def load(folder: Path) -> OpenProject:
    """Read a project.

    Raises:
        ProjectError: If there is none, or with all its faults.
    """
    file = folder / PROJECT_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} cannot be read: {error}", hint="`edgekit init` starts a project.") from error
    data = schema.parse_table(text, where=str(file), error=ProjectError)
    project, faults = schema.check(data, Project)
    faults += _missing_files(folder, data)
    if project is not None:
        faults += _disagreements(project)
    if faults or project is None:
        raise ProjectError(schema.report(str(file), faults), hint=_HINT)
    return OpenProject(root=folder, spec=project)


def _missing_files(root: Path, data: dict[str, Any]) -> list[str]:
    """Look for the named files in the raw data, so that they are reported beside wrong keys."""
    faults = []
    named = [("model", "source"), ("model", "weights"), ("data", "calibration"), ("data", "evaluation")]
    places = [(f"{table}.{key}", data.get(table), key) for table, key in named]
    outputs = data.get("outputs")
    if isinstance(outputs, list):
        places += [(f"outputs[{index}].metric", section, "metric") for index, section in enumerate(outputs)]
    for place, section, key in places:
        value = section.get(key) if isinstance(section, dict) else None
        if not isinstance(value, str) or not value:
            continue
        path = root / (value.rpartition(":")[0] or value if key in ("source", "metric") else value)
        if path.is_file() or (place.startswith("data.") and path.is_dir()):
            continue
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        reason = "is a folder" if path.is_dir() else f"does not exist{schema.did_you_mean(path.name, beside)}"
        faults.append(f"{place}: {path} {reason}")
    return faults


def _disagreements(project: Project) -> list[str]:
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
        faults += [
            f"{key}.shape: {size} has no largest value in [dimensions]{schema.did_you_mean(size, project.dimensions)}"
            for size in spec.shape
            if isinstance(size, str) and size not in project.dimensions
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
        + _picture_faults(project)
        + _label_faults(project)
        + output_faults(project.outputs)
        + _scheme_faults(project)
    )


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
    meanings = [spec.meaning for spec in outputs]
    counts = {meaning: meanings.count(meaning) for meaning in ("boxes", "scores", "classes")}
    if set(counts.values()) not in ({0}, {1}):
        there = ", ".join(f"{count} {meaning}" for meaning, count in counts.items())
        faults.append(
            f"outputs: a detector has one output each that means boxes, scores and classes; there are {there}"
        )
    return faults


def _picture_faults(project: Project) -> list[str]:
    images = [(index, spec) for index, spec in enumerate(project.inputs) if spec.meaning == "image"]
    steps = project.preprocessing
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
    if image.dtype != "float32":
        faults.append(f'inputs[{index}].dtype: must be "float32" after [preprocessing]')
    return faults


def _label_faults(project: Project) -> list[str]:
    if not project.labels:
        return []
    logits = [spec for spec in project.outputs if spec.meaning == "logits"]
    if len(logits) != 1:
        return [f'labels: need one output with meaning = "logits"; there are {len(logits)}']
    classes = logits[0].shape[-1] if logits[0].shape else 0
    if isinstance(classes, int) and classes != len(project.labels):
        return [f"labels: there are {len(project.labels)} for {classes} logits"]
    return []
