"""The tables of ``edgekit.toml`` as values."""

import re
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from edgekit.base.values import Identifier, MemorySize, Name, Positive, Spec
from edgekit.spec.budget import Budget
from edgekit.spec.dimensions import BATCH, Dimension, ranges
from edgekit.spec.media import Audio, Text
from edgekit.spec.preprocessing import Preprocessing
from edgekit.spec.quantization import QuantSpec
from edgekit.spec.target import Format, NativePictures
from edgekit.spec.tensors import Postprocessing, TensorSpec, postprocessing

File = Annotated[str, Field(min_length=1)]
# The last part is what a library of models knows; what it may be is for the library to say.
SOURCE = r"^([^:]+\.py:[A-Za-z_][A-Za-z0-9_]*|(timm|torchvision):[A-Za-z0-9_./-]+|hf:[A-Za-z0-9_./~@ -]+)$"


class ModelSection(Spec):
    """``[model]``: how the model is made and where its weights are. A file that holds the network needs no source."""

    name: Name
    """The model's name; bundles are put in a folder of this name."""
    source: Annotated[str, Field(pattern=SOURCE)] | None = None
    """The Python file and the function in it that returns the ``nn.Module``, for instance ``model.py:build``; or a name
    that a library knows: ``timm:NAME``, ``torchvision:NAME``, ``hf:OWNER/NAME`` with ``@REVISION`` or ``hf:./FOLDER``.
    Left out where ``weights`` is a ``.pt2`` archive, TorchScript, an ONNX file or a folder of Hugging Face."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments for the function."""
    weights: File | None = None
    """The weights: a state dict or a training checkpoint of ``torch.save``, ``.safetensors``, or an index of several
    files; see docs/weights.md. Or the network itself: a ``.pt2`` archive, TorchScript, ONNX; see docs/models.md."""
    weights_key: Annotated[str, Field(min_length=1)] | None = None
    """Which state dict of a training checkpoint, for instance ``ema`` or ``model.state_dict``; the one that fits unless
    given."""


class InputSection(TensorSpec):
    """``[[inputs]]``: an input, and whether the model itself takes a batch of it."""

    unbatched: bool = False
    """Whether ``forward`` takes one sample without a batch: a picture of ``[3, 32, 32]``, a vector, a scalar. The shape
    begins with ``"batch"`` all the same, which is 1: the files have it, and ``forward`` is given what follows."""

    @property
    def tensor(self) -> TensorSpec:
        """The input alone, as manifests name it."""
        return TensorSpec(name=self.name, dtype=self.dtype, shape=self.shape, meaning=self.meaning)


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
    """``[data]``: what the model is fed: files and folders of many kinds, or a Python function, see docs/data.md.

    Either ``calibration`` and ``evaluation``, or ``source``, one set that is split in two.
    """

    calibration: File | None = None
    """Samples that the quantizer chooses its ranges by; representative, a hundred or more, not from the evaluation."""
    evaluation: File | None = None
    """Samples that drift and accuracy are measured with."""
    training: File | None = None
    """Samples that ``edgekit finetune`` trains with, thousands if there are; labels are optional. Those of the
    calibration unless given."""
    source: File | None = None
    """One set for both: a part is held out for the evaluation. No sample, none of equal bytes and none of the same
    group is on both sides; each class has its share."""
    split: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of ``source`` that is held out."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another number gives another split."""
    group: Annotated[str, Field(min_length=1)] | None = None
    """A regular expression for the paths of ``source``'s files: what its first parenthesis matches names the group, a
    patient or a film, ``"patient(\\d+)_"`` for instance. Tables may have a column ``group``, archives an array
    ``groups``."""
    limit: Positive | None = None
    """So many samples at most, of each of the two: evenly spread over the set, and over its classes."""

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> Self:
        if self.source is None and (self.calibration is None or self.evaluation is None):
            missing = "calibration" if self.calibration is None else "evaluation"
            raise ValueError(f"{missing} is missing; or name one set, source, of which a part is held out")
        if self.source is not None and (self.calibration is not None or self.evaluation is not None):
            raise ValueError("source is split into calibration and evaluation: name it alone, or name those two")
        if self.source is None and (given := self.model_fields_set & {"split", "seed", "group"}):
            raise ValueError(f"{', '.join(sorted(given))}: only what source names is split")
        if self.group is not None:
            try:
                re.compile(self.group)
            except re.error as error:
                raise ValueError(f"group is no regular expression: {error}") from error
        return self

    @property
    def named(self) -> tuple[str, str, str]:
        """What names the calibration, the evaluation and the training data; the first two the same: it is split."""
        calibration = self.calibration or self.source or ""
        return calibration, (self.evaluation or self.source or ""), (self.training or calibration)


class BuildSection(Spec):
    """``[build]``: what a build may take."""

    memory: MemorySize | None = None
    """Memory for samples and activations, ``"4GB"`` or bytes; torch and the exporters take 600 to 900 MB besides. It
    bounds batches, and which outputs are held rather than written to temporary files. Batches change results: by
    rounding, and by how many samples adaptive rounding sees. So they are chosen for 4 GB on every machine unless it
    stands here."""
    targets: tuple[str, ...] = ()
    """What to build for where nobody says it: names of targets, paths of profiles, or ``"all"``."""
    native: NativePictures | None = None
    """Adds a folder that runs without Python to the bundles of Linux targets, see docs/native.md: its program reads
    ``"png"``, or ``"jpeg"`` as well."""


class BaselineSection(Spec):
    """``[baseline]``: the recorded reference."""

    file: File = "baseline.npz"
    """The trace that ``edgekit baseline record`` writes; may be missing until it is used."""


class Project(Spec):
    """The content of ``edgekit.toml``. Paths are relative to its folder."""

    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the output: a list, or the name of a text file that has one a line."""
    formats: tuple[Format, ...] = ()
    """The artifacts to write, of those that a target names: ``"pte"``, ``"onnx"``; all of them unless given."""
    model: ModelSection
    """The model."""
    inputs: Annotated[tuple[InputSection, ...], Field(min_length=1)] = ()
    """What goes in, in the order of the parameters of ``forward``; left out where the model's file says it."""
    outputs: Annotated[tuple[OutputSection, ...], Field(min_length=1)] = ()
    """What comes out, in order; left out as well."""
    dimensions: dict[Identifier, Positive | Dimension] = Field(default_factory=dict)
    """What the names in the shapes of inputs stand for: a number, the largest size, or a table. One that can only have
    one size is fixed in the artifacts; ``batch`` is 1 unless it stands here. Names that only outputs have are derived
    from the inputs."""
    preprocessing: Preprocessing | None = None
    """How a picture becomes the input that means an image."""
    audio: Audio | None = None
    """How a sound becomes the input."""
    text: Text | None = None
    """How a text becomes the inputs."""
    data: DataSection
    """Calibration and evaluation data."""
    quantize: QuantSpec = QuantSpec()
    """How to quantize; a scheme given here goes before the target's."""
    budget: Budget = Budget()
    """Drift limits, put over the target's."""
    baseline: BaselineSection = BaselineSection()
    """The reference."""
    build: BuildSection = BuildSection()
    """What a build may take."""

    @property
    def sizes(self) -> dict[str, Dimension]:
        """The sizes that each dimension may have."""
        used = any(BATCH in spec.shape for spec in self.inputs)
        return ranges({BATCH: 1, **self.dimensions} if used else self.dimensions)

    @property
    def taken(self) -> tuple[TensorSpec, ...]:
        """The inputs, as the files take them."""
        return tuple(one.tensor for one in self.inputs)

    @property
    def unbatched(self) -> tuple[str, ...]:
        """The names of the inputs that the model itself takes without a batch."""
        return tuple(one.name for one in self.inputs if one.unbatched)

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The outputs, without the project's own metrics."""
        return tuple(output.tensor for output in self.outputs)

    @property
    def postprocessing(self) -> Postprocessing:
        """Steps from the output to what a person reads."""
        return postprocessing(self.outputs)
