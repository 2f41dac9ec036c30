"""A target: what to write for which device, and what is demanded of it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgekit.base.values import Name, Package, Spec, Version
from edgekit.spec.budget import Budget
from edgekit.spec.quantization import Scheme, scheme_of

CPU_CHIP = "cpu"
"""The name of the chip that is a CPU: what a profile without a chip of its own is for."""


class Format(StrEnum):
    """The artifact formats; each has a module in ``lower`` and one in ``run``."""

    PTE = "pte"
    ONNX = "onnx"
    AIMODEL = "aimodel.zip"
    """Apple's Core AI: a folder, ``model.aimodel``, in an archive, since an artifact is one file."""


class Cpu(StrEnum):
    """CPU families that artifacts are made for."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


class Platform(StrEnum):
    """Where an app that loads the artifact runs."""

    ANDROID = "android"
    IOS = "ios"
    LINUX = "linux"
    WEB = "web"


NativePictures = Literal["png", "jpeg"]


class PteSettings(Spec):
    """How a .pte is lowered."""

    delegate: Literal["xnnpack"] = "xnnpack"
    """The backend that takes the graph."""


class OnnxSettings(Spec):
    """How an .onnx is written."""

    activations: Literal["uint8", "int8"] = "uint8"
    """Type of quantized activations; ONNX Runtime fuses more with uint8."""
    weights: Literal["uint8", "int8"] = "int8"
    """Type of quantized weights; the stored values are shifted, what they stand for is the same."""


class ChipSettings(Spec):
    """What computes, where that is no CPU."""

    name: Name = CPU_CHIP
    """The chip, a name that EdgeKit or a package beside it knows; see docs/chips.md."""
    socs: tuple[str, ...] = ()
    """Names of the systems on a chip that the artifacts are for, as the device's system says them: ``SM8650``."""
    schemes: tuple[Annotated[Scheme, BeforeValidator(scheme_of)], ...] = ()
    """Schemes that the chip computes; none: whatever the formats can hold."""
    pinned: bool = True
    """Whether an app links the runtimes that EdgeKit keeps for the platform; not where the chip has one of its own."""
    verified: str = ""
    """What runs its files on a machine that has none of its kind, for a reader."""
    options: dict[str, str] = Field(default_factory=dict)
    """What the chip's compiler is told, by names of its own."""


class SizeLimit(Spec):
    """How large one artifact may be.

    ``4 * max_share * bytes of the weights as the scheme stores them + overhead_bytes``: with 8-bit weights that is
    ``max_share`` of the float weights. A graph of many operations, loops over time for instance, may take
    ``operation_bytes`` for each instead, where that is more.
    """

    max_share: float
    """Share of the float weights' bytes that an artifact may have whose weights take 8 bits each; it follows the bits
    that they take in another scheme: four times as much for float."""
    overhead_bytes: int
    """Allowance for the graph itself, in bytes."""
    operation_bytes: int = 768
    """Allowance for each operation, in bytes, where all of them together are more than ``overhead_bytes``."""


class Target(Spec):
    """A target profile, ``targets/NAME.toml``: what to write for which device, and what is demanded of it."""

    name: Name
    """The name; also the name of the file."""
    summary: str
    """One line for ``edgekit targets list``."""
    platform: Platform
    """Where the app runs."""
    cpu: Cpu
    """CPU family of the device."""
    formats: Annotated[tuple[Format, ...], Field(min_length=1)]
    """Artifacts to write."""
    quantization: Annotated[Scheme, BeforeValidator(scheme_of)]
    """Scheme to use unless the project asks for another."""
    chip: ChipSettings = ChipSettings()
    """What computes; a CPU unless given."""
    pte: PteSettings = PteSettings()
    """Settings of the .pte."""
    onnx: OnnxSettings = OnnxSettings()
    """Settings of the .onnx."""
    size: SizeLimit
    """Largest allowed artifact."""
    runtimes: dict[Package, Version] = Field(default_factory=dict)
    """Versions that an app pins, by package coordinate; those that EdgeKit keeps for the platform unless given."""
    budget: Budget = Budget()
    """Default drift limits; the project's own are put over them."""
    cpu_models: tuple[Name, ...] = ()
    """Models of processors that ``edgekit verify --emulate`` runs the artifacts on, by QEMU's names: ``cortex-a53``."""
    native: NativePictures | None = None
    """Adds a folder that runs without Python, for Linux: its program reads ``"png"``, or ``"jpeg"`` as well."""
