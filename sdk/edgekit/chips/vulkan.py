"""Vulkan: a .pte whose delegate computes on the GPUs of phones; no wheel of ExecuTorch's for computers has it."""

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.unexecuted import looked_into
from edgekit.errors import LowerError, RunError
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Target

_CHIP = "mobile GPU with Vulkan"
_WHY = "ExecuTorch's wheels for Linux have no Vulkan runtime"
# Lowers, and fails when it first runs: executorch#22775. In float these layers have kernels that were seen to run.
_TRAP = b"q8ta_linear"
_SAYS = (
    "{file} has a linear layer of static int8, which Vulkan's delegate takes and then fails at when it first runs "
    "(executorch#22775)."
)


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program for Vulkan, and whether the cache had it.

    Raises:
        LowerError: If the delegate refuses the program, or takes a layer that it cannot run.
    """
    return lowering.kept(quantized, cache, ("vulkan",), _lower)


def _lower(quantized: Quantized) -> Artifact:
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

    from edgekit.lowering.delegate import lower_with

    artifact = lower_with(quantized, VulkanPartitioner(), "Vulkan")
    if _TRAP in artifact.data:
        raise LowerError(
            _SAYS.format(file=artifact.file),
            hint="Keep the layer in float, [quantize] float_layers; a linear one stays so by itself.",
        )
    return artifact


def run(trial: Trial) -> Tried:
    """Look into a .pte; the quantized program stands in for its answers.

    Raises:
        RunError: If it is damaged, or has a layer that the delegate cannot run.
    """
    if _TRAP in trial.artifact.data:
        raise RunError(_SAYS.format(file=trial.artifact.file), hint="Build it again: it is not what was lowered.")
    return looked_into(trial, _CHIP, _WHY)


CHIP = Chip(
    title="Vulkan",
    name_of=lambda format, target, scheme: f"{scheme} .pte for Vulkan",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
    placing=Placing(floats=frozenset({"linear"})),
)
