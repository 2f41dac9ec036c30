"""Ethos-U: an NPU for microcontrollers, whose streams Vela makes."""

from typing import Any

from edgekit.base.cache import Cache
from edgekit.chips.arm import tosa
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.errors import TargetError
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Target


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program, and whether the cache had it; see `tosa.lower`."""
    return tosa.lower(_VELA, target, quantized, cache)


def run(trial: Trial) -> Tried:
    """Run a .pte on the reference model of TOSA; see `tosa.run`."""
    return tosa.run(_VELA, trial)


def _spec(target: Target) -> Any:
    from executorch.backends.arm.ethosu import EthosUCompileSpec

    options: dict[str, Any] = dict(target.chip.options)
    try:
        return EthosUCompileSpec(options.pop("accelerator", ""), **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TargetError(
            f"{target.name}: chip.options: {error}",
            hint="Compare it with a shipped profile: edgekit targets show ethos-u85-256",
        ) from error


def _partitioner(spec: Any) -> Any:
    from executorch.backends.arm.ethosu import EthosUPartitioner

    return EthosUPartitioner(spec)


_VELA = tosa.Compiler(
    title="Vela",
    package="ethos-u-vela",
    runner="edgekit.chips.arm.ethos_u_runner",
    spec=_spec,
    partitioner=_partitioner,
)
CHIP = Chip(
    title="Arm Ethos-U",
    name_of=lambda format, target, scheme: f"{scheme} .pte of Vela's for {target.chip.options}",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
    placing=Placing(everywhere=True),
    check=_spec,
)
