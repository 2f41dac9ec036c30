"""VGF: graphs for the neural units of Arm's GPUs, which a driver of Vulkan compiles on the phone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.chips.arm import tosa
from edgekit.chips.arm.vgf_converter import VARIABLE, place


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


def _settings(tosa: str = "", **options: Any) -> Any:
    from executorch.backends.arm.vgf import VgfCompileSpec

    return VgfCompileSpec(tosa, **options)


def _partitioner(spec: Any) -> Any:
    from executorch.backends.arm.vgf import VgfPartitioner

    return VgfPartitioner(spec)


_CONVERTER = tosa.Compiler(
    title="Arm's model converter",
    package="ai-ml-sdk-model-converter",
    runner="edgekit.chips.arm.vgf_runner",
    settings=_settings,
    partitioner=_partitioner,
    like="arm-vgf",
    around=_converter,
)
CHIP = tosa.chip(
    _CONVERTER,
    "Arm neural GPU",
    lambda format, target, scheme: f"{scheme} .pte of VGF for {target.chip.options.get('tosa')}",
)
