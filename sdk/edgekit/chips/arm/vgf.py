"""VGF: graphs for the neural units of Arm's GPUs, which a driver of Vulkan compiles on the phone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.base.cache import Cache
from edgekit.chips.arm import tosa
from edgekit.chips.arm.vgf_converter import VARIABLE, place
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.errors import TargetError
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Target


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .pte of a program, and whether the cache had it; see `tosa.lower`."""
    with _converter():
        return tosa.lower(_CONVERTER, target, quantized, cache)


def run(trial: Trial) -> Tried:
    """Run a .pte on the reference model of TOSA; see `tosa.run`."""
    return tosa.run(_CONVERTER, trial)


@contextmanager
def _converter() -> Iterator[None]:
    """Show ExecuTorch the converter of this environment."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = place()
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _spec(target: Target) -> Any:
    from executorch.backends.arm.vgf import VgfCompileSpec

    options: dict[str, Any] = dict(target.chip.options)
    try:
        return VgfCompileSpec(options.pop("tosa", ""), **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TargetError(
            f"{target.name}: chip.options: {error}",
            hint="Compare it with a shipped profile: edgekit targets show arm-vgf",
        ) from error


def _partitioner(spec: Any) -> Any:
    from executorch.backends.arm.vgf import VgfPartitioner

    return VgfPartitioner(spec)


_CONVERTER = tosa.Compiler(
    title="Arm's model converter",
    package="ai-ml-sdk-model-converter",
    runner="edgekit.chips.arm.vgf_runner",
    spec=_spec,
    partitioner=_partitioner,
)
CHIP = Chip(
    title="Arm neural GPU",
    name_of=lambda format, target, scheme: f"{scheme} .pte of VGF for {target.chip.options.get('tosa')}",
    lower=lower,
    run=run,
    formats=frozenset({Format.PTE}),
    placing=Placing(everywhere=True),
    check=_spec,
)
