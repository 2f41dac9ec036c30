"""``manifest.json``: the contract between a bundle and the apps that load it.

The JSON Schema in ``edgekit/bundles/schemas/manifest-1.json`` is made from these classes
(``scripts/make-docs``), and a test holds it against them. Nothing here may depend on when, where or by whom
a bundle was built.
"""

import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from edgekit.base.values import RelativePath, Sha256
from edgekit.drift.report import DriftReport
from edgekit.errors import BundleError
from edgekit.model.layers import FallbackReport
from edgekit.model.left_out import LeftOut
from edgekit.model.onchip import OnChip
from edgekit.spec import (
    CPU_CHIP,
    Audio,
    Budget,
    Cpu,
    Dimension,
    DType,
    Format,
    Identifier,
    Name,
    Package,
    Platform,
    Postprocessing,
    Preprocessing,
    Scheme,
    Spec,
    TensorSpec,
    Version,
)
from edgekit.spec.media import TextPart

MANIFEST_VERSION: Literal[1] = 1
MANIFEST_FILE = "manifest.json"
_NAMED = 50
_MOST_NUMBERS = 2**31

# No reader of JSON keeps larger numbers whole.
Count = Annotated[int, Field(ge=0, le=2**53)]
Size = Annotated[int, Field(ge=1, le=2**31)]


class Model(Spec):
    """The model that was built."""

    name: Name
    """Name of the model."""
    weights_sha256: Sha256
    """Digest of the float weights."""
    parameters: Count
    """Number of parameters."""
    float_bytes: Count
    """Bytes of the float weights."""


class TargetInfo(Spec):
    """The target profile that was built for."""

    name: Name
    """Name of the profile."""
    platform: Platform
    """Where the app runs."""
    cpu: Cpu
    """CPU family of the device."""
    runtimes: dict[Package, Version]
    """Versions that an app pins, by package coordinate."""
    chip: Name = CPU_CHIP
    """What computes."""
    socs: tuple[str, ...] = ()
    """Systems on a chip that the files are for; none: any."""
    chip_options: dict[str, str] = Field(default_factory=dict)
    """What the chip's compiler was told, by names of its own."""


class ArtifactInfo(Spec):
    """One file that a runtime loads."""

    format: Format
    """The file's format."""
    file: RelativePath
    """Path within the bundle."""
    sha256: Sha256
    """Digest of the file."""
    bytes: Count
    """Size of the file."""
    quantization: Scheme
    """Quantization scheme."""
    minimum_runtime: str
    """Least version of the runtime that loads the file."""
    operators: tuple[str, ...]
    """Kernels that the runtime must carry beside its delegates."""
    delegates: tuple[str, ...]
    """Backends that the runtime must carry."""
    delegated_fraction: float
    """Share of the compute operations that delegates take."""
    int8_fraction: float
    """Share of the compute operations that compute with integers: inputs and outputs are quantized, or, dynamically,
    the inputs alone."""
    not_delegated: tuple[str, ...]
    """Operations that stay outside the delegates."""
    left_out: tuple[LeftOut, ...] = ()
    """Operations outside the delegates, and of static int8 those that compute in float: why, and the cost."""
    verified_batches: tuple[Count, ...]
    """Batch sizes at which the file was run and gave the same answers."""
    within_size: bool
    """Whether the file is within the target's size limit."""
    size_limit: Count
    """The target's size limit, in bytes."""
    planned_bytes: Count | None = None
    """Memory that a .pte plans for inputs and outputs of its largest sizes and what lies between its delegates, in
    bytes; null for an .onnx, whose runtime plans when it runs."""
    on_chip: OnChip | None = None
    """Where the file was executed, and what was seen of it there; null: on a CPU."""


class Tokenizer(Spec):
    """How a text becomes the inputs: by the file of a tokenizer, as the library ``tokenizers`` writes it."""

    file: RelativePath
    """Path within the bundle."""
    sha256: Sha256
    """Digest of the file."""
    bytes: Count
    """Size of the file."""
    length: Size
    """Texts are cut off, or padded, to so many tokens."""
    inputs: dict[Identifier, TextPart]
    """What each input is of that which the tokenizer gives: token ids, the mask of what is no padding, segment ids."""


class Refusal(Spec):
    """A format that was asked for and could not be built; the others were."""

    format: Format
    """The format."""
    reason: str
    """What went wrong, with the operation where it is known."""
    hint: str
    """The way out."""


class GoldenTensor(Spec):
    """One raw little-endian file."""

    name: Identifier
    """Name of the input or output."""
    file: RelativePath
    """Path within the bundle."""
    sha256: Sha256
    """Digest of the file."""
    dtype: DType
    """Element type."""
    shape: tuple[Size, ...]
    """Sizes, batch of one included."""

    @model_validator(mode="after")
    def _is_no_bomb(self) -> Self:
        if math.prod(self.shape) > _MOST_NUMBERS:
            raise ValueError(f"{self.shape} is more than the {_MOST_NUMBERS:,} numbers that a tensor may have")
        return self


class GoldenOutput(GoldenTensor):
    """An output that an app must reproduce."""

    artifact: str | None
    """The artifact whose host run gave these values; null: the float reference (the baseline)."""
    max_abs_error: float
    """How far a right answer may be from these values."""


class Golden(Spec):
    """One input with the outputs to expect, so that a device can test itself."""

    label: Annotated[int, Field(ge=-(2**53), le=2**53)] | None
    """True class, if known."""
    inputs: tuple[GoldenTensor, ...]
    """The inputs."""
    outputs: tuple[GoldenOutput, ...]
    """The reference's outputs and each artifact's."""


class Report(Spec):
    """``report.json``: what the manifest says of drift and sizes, for readers that need nothing else."""

    model: Model
    """The model."""
    target: TargetInfo
    """The target."""
    artifacts: Annotated[tuple[ArtifactInfo, ...], Field(min_length=1)]
    """The files to load; any one of them will do."""
    refused: tuple[Refusal, ...] = ()
    """Formats that could not be built."""
    baseline: str
    """Where the reference was computed."""
    float_layers: tuple[str, ...] = ()
    """Layers that the settings or fallback keep in float, by module path."""
    fallback: FallbackReport | None = None
    """What fallback did; null where it was not asked for, or not needed."""
    drift: DriftReport
    """The drift, leg by leg."""
    budget: Budget
    """What the drift was held against."""
    verdict: Literal["passed", "failed"]
    """Whether drift and sizes are within their limits, and every format was built."""
    producer: dict[Package, Version]
    """Versions of the libraries that made the bundle."""

    def to_json(self) -> str:
        """Return the text of the file; the same values give the same text."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False) + "\n"


class Manifest(Report):
    """All that an app needs to load, feed, read and check the artifacts of a bundle."""

    schema_version: Literal[1]
    """Version of this contract."""
    inputs: tuple[TensorSpec, ...]
    """Input tensors."""
    outputs: tuple[TensorSpec, ...]
    """Output tensors."""
    dimensions: dict[Identifier, Size]
    """Largest value of each symbolic dimension. A name in the shape of an output alone is derived from the inputs."""
    ranges: dict[Identifier, Dimension] = Field(default_factory=dict)
    """All that is known of the sizes of each symbolic dimension."""
    preprocessing: Preprocessing | None
    """How a picture becomes the input; null if the input is no picture."""
    audio: Audio | None = None
    """How a sound becomes the input, with its length; null if the input is no sound."""
    text: Tokenizer | None = None
    """How a text becomes the inputs; null if they are no text."""
    postprocessing: Postprocessing
    """Steps from the output to what a person reads."""
    labels: tuple[str, ...]
    """Names of the classes, in the order of the output."""
    golden: tuple[Golden, ...]
    """Inputs with the outputs to expect."""


def report(manifest: Manifest) -> Report:
    """Return the report of a bundle."""
    return Report(**{name: getattr(manifest, name) for name in Report.model_fields})


def parse_report(text: str, *, where: str) -> Report:
    """Read the text of a ``report.json``.

    Raises:
        BundleError: If it is none that this version writes.
    """
    try:
        return Report.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the text"
        raise BundleError(
            f"{where} is no report that this version reads: {place}: {first['msg']}", hint="Build the bundle again."
        ) from error


def parse(text: str, *, where: str) -> Manifest:
    """Read the text of a ``manifest.json``.

    Raises:
        BundleError: If it does not obey the contract, with the places that do not.
    """
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{where} is not a manifest: {error}", hint="Build the bundle again.") from error
    if version != MANIFEST_VERSION:
        raise BundleError(
            f"{where} has schema version {str(version)[:20]}; this EdgeKit reads version {MANIFEST_VERSION}.",
            hint="Build the bundle again, or install the EdgeKit that wrote it.",
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = "\n".join(f"  - {'.'.join(map(str, f['loc']))}: {f['msg']}" for f in found[:_NAMED])
        faults += f"\n  - and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise BundleError(f"{where} breaks its schema:\n{faults}", hint="Build the bundle again.") from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``manifest.json``."""
    schema = Manifest.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "EdgeKit bundle manifest", **schema}
