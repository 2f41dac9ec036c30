"""Core ML: a .pte whose delegate hands the network to Apple's compiler, which is on Apple's systems alone."""

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.base.versions import installed
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.unexecuted import looked_into
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Format, Target

_CHIP = "Apple silicon with Core ML"
_WHY = "Core ML compiles and runs models on Apple's systems alone"


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program for Core ML from iOS 17 on, and whether the cache had it.

    Raises:
        LowerError: If coremltools refuses the program.
    """
    return lowering.kept(quantized, cache, ("coreml",), _lower)


def _lower(quantized: Quantized) -> Artifact:
    import coremltools
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    from edgekit.lowering.delegate import lower_with

    compiled = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=coremltools.target.iOS17,  # the first one that computes with rounded activations
        # What stays float: half precision, in which a layer may overflow, is what the Neural Engine computes.
        compute_precision=coremltools.precision.FLOAT16,
    )
    return lower_with(quantized, CoreMLPartitioner(compile_specs=compiled), "Core ML")


def run(trial: Trial) -> Tried:
    """Look into a .pte; the quantized program stands in for its answers.

    Raises:
        RunError: If it is damaged.
    """
    return looked_into(trial, _CHIP, f"{_WHY}; lowered with coremltools {installed('coremltools')['coremltools']}")


CHIP = Chip(
    title="Apple Core ML",
    name_of=lambda format, target, scheme: f"{scheme} .pte for Core ML",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
)
