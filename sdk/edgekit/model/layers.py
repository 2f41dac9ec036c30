"""Layers as a person knows them, what quantization costs each, and which of them stay float. Values only."""

import json
from typing import Literal

from edgekit.drift.metrics import Metrics
from edgekit.spec import Scheme, Spec

Outcome = Literal["met", "limit", "no gain", "not int8"]


class Layer(Spec):
    """Operations that are quantized together: a weighted one with the activation fused behind it, or a sum, say."""

    path: str
    """The module's path, for instance ``features.3.se.fc1``. Operations of a module that has layers below it add their
    own name: ``features.3.add``."""
    kind: str
    """The operation, for instance ``conv2d``."""
    weights: int
    """Number of weights."""
    int8_bytes: int
    """Bytes of the weights and their scales in int8."""
    float_bytes: int
    """Bytes of the weights in float."""

    @property
    def extra_bytes(self) -> int:
        """What the layer adds to an artifact when it stays float."""
        return self.float_bytes - self.int8_bytes


class Sensitivity(Spec):
    """What quantization costs one layer, by output, measured in simulation against the float program."""

    layer: Layer
    """The layer."""
    only: dict[str, Metrics]
    """Drift with this layer alone quantized."""
    all_but: dict[str, Metrics]
    """Drift with all but this layer quantized; empty if it was not measured."""
    only_sqnr_db: float | None
    """SQNR with this layer alone quantized, the least over the outputs; null: no difference."""
    all_but_sqnr_db: float | None
    """SQNR with all but this layer quantized: that of all layers and the gain; null: no difference."""
    gain_db: float | None
    """What keeping this layer alone in float buys; null: all there is to buy."""
    measured: bool
    """Whether the gain was measured, as it is for those that cost most alone, or predicted from what this layer costs
    alone, as if errors were independent."""


class Sensitivities(Spec):
    """Both sweeps over all layers, the layer that costs most first."""

    samples: int
    """Samples that all layers together were measured on."""
    compared: int
    """Samples of these that the layers were compared on."""
    all_int8: dict[str, Metrics]
    """Drift with all layers quantized, by output."""
    all_int8_sqnr_db: float | None
    """The same as SQNR, the least over the outputs."""
    ranking: tuple[Sensitivity, ...]
    """By the SQNR with the layer alone quantized, least first: that blames both layers that round a value which int8
    does not hold, although neither of them would gain from staying float alone."""


class Kept(Spec):
    """A layer that fallback kept in float."""

    layer: Layer
    """The layer."""
    sqnr_db: float | None
    """SQNR in simulation, with this layer and those kept before it in float."""
    gain_db: float | None
    """What it bought: the difference to the SQNR before."""


class FallbackReport(Spec):
    """What fallback did, and what to write into the project file so that the next build needs no search."""

    outcome: Outcome
    """``met``: within budget; ``limit``: more layers would take more bytes than are allowed; ``no gain``: none of the
    layers left helps; ``not int8``: what is over the budget is not the quantizer's."""
    attempts: int
    """How often the model was quantized, lowered and verified."""
    all_int8_sqnr_db: float | None
    """SQNR in simulation before any layer was kept; null where nothing was simulated."""
    kept: tuple[Kept, ...]
    """The layers, in the order of the choice."""
    float_share: float
    """Share of the weights' bytes that the settings keep in float."""
    float_limit: float
    """The largest allowed."""
    float_layers: tuple[str, ...]
    """The setting that gives this result without a search."""
    paste: tuple[str, ...]
    """The lines for ``[quantize]`` in the project file; none if nothing was kept."""


def lines(float_layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines for ``[quantize]`` in the project file that keep layers in float without a search."""
    return (f'scheme = "{Scheme.INT8_MIXED}"', f"float_layers = {json.dumps(float_layers)}") if float_layers else ()
