"""Ethos-U: an NPU for microcontrollers, whose streams Vela makes."""

from typing import Any

from edgekit.chips.arm import tosa


def _settings(accelerator: str = "", **options: Any) -> Any:
    from executorch.backends.arm.ethosu import EthosUCompileSpec

    return EthosUCompileSpec(accelerator, **options)


def _partitioner(spec: Any) -> Any:
    from executorch.backends.arm.ethosu import EthosUPartitioner

    return EthosUPartitioner(spec)


_VELA = tosa.Compiler(
    title="Vela",
    package="ethos-u-vela",
    runner="edgekit.chips.arm.ethos_u_runner",
    settings=_settings,
    partitioner=_partitioner,
    like="ethos-u85-256",
)
CHIP = tosa.chip(
    _VELA, "Arm Ethos-U", lambda format, target, scheme: f"{scheme} .pte of Vela's for {target.chip.options}"
)
