"""What a person asks for, as immutable values that can stand in a TOML file: project, budget, quantization, target."""

from edgekit.base.values import Identifier, Name, Package, Spec, Version
from edgekit.spec.budget import DEFAULT_BUDGET, Bootstrap, Budget, CustomLimit, LegBudgets, Limits, Preset
from edgekit.spec.dimensions import Dimension
from edgekit.spec.media import Audio, Features, Text
from edgekit.spec.placing import CPU_PLACING, Placing
from edgekit.spec.preprocessing import Preprocessing, Resize
from edgekit.spec.quantization import (
    DYNAMIC,
    STATIC_INT8,
    STEPS,
    Embeddings,
    Fallback,
    FormatSchemes,
    OutermostLayer,
    QuantSpec,
    Ranges,
    Scheme,
)
from edgekit.spec.target import CPU_CHIP, Cpu, Format, OnnxSettings, Platform, PteSettings, SizeLimit, Target
from edgekit.spec.tensors import DType, Meaning, Postprocessing, TensorSpec, postprocessing
from edgekit.spec.training import Training

__all__ = [
    "CPU_CHIP",
    "CPU_PLACING",
    "DEFAULT_BUDGET",
    "DYNAMIC",
    "STATIC_INT8",
    "STEPS",
    "Audio",
    "Bootstrap",
    "Budget",
    "Cpu",
    "CustomLimit",
    "DType",
    "Dimension",
    "Embeddings",
    "Fallback",
    "Features",
    "Format",
    "FormatSchemes",
    "Identifier",
    "LegBudgets",
    "Limits",
    "Meaning",
    "Name",
    "OnnxSettings",
    "OutermostLayer",
    "Package",
    "Placing",
    "Platform",
    "Postprocessing",
    "Preprocessing",
    "Preset",
    "PteSettings",
    "QuantSpec",
    "Ranges",
    "Resize",
    "Scheme",
    "SizeLimit",
    "Spec",
    "Target",
    "TensorSpec",
    "Text",
    "Training",
    "Version",
    "postprocessing",
]
