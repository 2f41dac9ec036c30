"""A profile: where the accuracy of a bundle goes, and what its artifacts cost. Values only, see ``profiling``.

``profile.json`` and the page ``report.html`` are made from these classes, with the same names.
"""

import json
import math
from html import escape
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from edgekit.bundles.cost import Cost, Histogram
from edgekit.drift.report import DriftReport
from edgekit.model.layers import Layer, Sensitivities
from edgekit.spec import Scheme, Spec

PROFILE_VERSION: Literal[2] = 2
PROFILE_FILE = "profile.json"
_SHOWN = 10


class ChannelRange(Spec):
    """One output channel of a weight."""

    channel: int
    """Its number."""
    lo: float
    """Its least weight."""
    hi: float
    """Its largest weight."""
    scale: float
    """Its step; the largest of them where groups of its weights have steps of their own."""


class ValueProfile(Spec):
    """What is rounded at one place: an activation or the weights of a layer, and the range chosen for it."""

    name: str
    """Name of the value in the graph, for instance ``hardswish_3``; for weights the parameter's name."""
    kind: Literal["activation", "weight"]
    """What it is."""
    histogram: Histogram
    """The values that calibration saw."""
    range_lo: float
    """Least value that the chosen range holds; for weights with a scale per channel, of the widest channel."""
    range_hi: float
    """Largest value that the chosen range holds."""
    scale: float
    """The step; for weights, that of the widest channel."""
    values: int
    """Number of values seen."""
    saturated: int
    """How many of them lie outside of the range and are clipped."""
    channels: tuple[ChannelRange, ...] = ()
    """Of weights with a step for each channel, the channels from the narrowest to the widest; of many, some of them,
    evenly spread in that order, both ends among them."""


class LayerValues(Spec):
    """The values of one layer that are rounded."""

    path: str
    """The layer, as in the sensitivities."""
    values: tuple[ValueProfile, ...]
    """What is rounded: inputs, weights and outputs, as far as they are."""


class Departure(Spec):
    """How far an artifact is from the quantized program, value by value in the order of the graph."""

    name: str
    """Name of the value in the quantized program."""
    path: str
    """The layer that computes it."""
    sqnr_db: float | None
    """SQNR against the quantized program; null: identical."""
    own_sqnr_db: float | None = None
    """The same where the program goes on from the artifact's own values before: what this place alone adds."""


class LoweringLeg(Spec):
    """Where an artifact first departs from the quantized program."""

    artifact: str
    """The artifact's file."""
    observed: tuple[Departure, ...]
    """What the runtime lets be seen, in order."""
    first: str | None
    """The layer of the first value that is not within rounding of the program's; null: none departs."""
    note: str
    """What was looked at, and what the runtime does not show."""


class StepGain(Spec):
    """What a step of the quantizer gives, on samples that quantization did not see."""

    step: str
    """The step, by the name of its setting in ``[quantize]``."""
    scheme: Scheme
    """The scheme of the programs."""
    samples: int
    """Samples that both programs were measured on."""
    sqnr_db: float | None
    """SQNR of what varies over the samples, of the quantized program against float, of the worst output; null:
    identical."""
    without_sqnr_db: float | None
    """The same with this one step left out."""

    @property
    def gain_db(self) -> float:
        """How much the step gives; infinite where the program is identical with it alone."""
        pair = [math.inf if one is None else one for one in (self.sqnr_db, self.without_sqnr_db)]
        return 0.0 if pair[0] == pair[1] else pair[0] - pair[1]


class Noise(Spec):
    """The server's own noise: the float model in another precision, against the baseline."""

    precision: str
    """For instance ``float32 with TF32``, ``bfloat16``."""
    place: str
    """Where it was computed."""
    output: str
    """The output."""
    sqnr_db: float | None
    """SQNR; null: identical."""
    top1_agreement: float | None
    """Share of samples with the same first class; null for other outputs than logits."""


class ChangedSample(Spec):
    """An evaluation sample whose answer quantization changed."""

    index: int
    """Its row in the evaluation data."""
    label: str | None
    """The true class, if known."""
    reference: str
    """The reference's class."""
    candidate: str
    """The artifact's class."""
    reference_share: float
    """The reference's probability of its class."""
    candidate_share: float
    """The artifact's probability of its class."""
    picture: str | None
    """The input as a PNG in base64, if it is a picture."""


class ClassProfile(Spec):
    """One class under quantization."""

    name: str
    """The class."""
    samples: int
    """Samples of the class: by label where there are labels, else by the reference's answer."""
    reference_accuracy: float | None
    """Share that the reference answers rightly; null without labels."""
    accuracy: float | None
    """Share that the artifact answers rightly; null without labels."""
    agreement: float
    """Share with the same answer from both."""


class Classes(Spec):
    """What quantization moved between classes, for one artifact."""

    artifact: str
    """The artifact's file."""
    output: str
    """The output with the logits."""
    classes: tuple[ClassProfile, ...]
    """The classes that there are samples of, in the order of the labels."""
    moved: tuple[tuple[str, str, int], ...]
    """Answers moved: the reference's class, the artifact's, how often; most often first."""
    changed: tuple[ChangedSample, ...]
    """The first of these samples, those that the reference was surest of first."""
    changed_count: int
    """How many samples have another answer."""


class Profile(Spec):
    """Where the accuracy of one bundle goes, and what its artifacts cost."""

    profile_version: Literal[2] = PROFILE_VERSION
    """Version of this format."""
    model: str
    """The model."""
    target: str
    """The target."""
    manifest_sha256: str
    """Digest of the bundle's manifest: the profile belongs to that build."""
    host: str
    """The machine that measured, and what that means for a phone."""
    kernels: Annotated[dict[str, str], Field(default_factory=dict)]
    """By artifact: which kernels gave the accuracy numbers."""
    seconds: float
    """How long profiling took."""
    drift: DriftReport
    """The legs, measured anew."""
    sensitivities: Sensitivities | None
    """Both sweeps; null for a scheme without static ranges."""
    layers: tuple[Layer, ...]
    """Bytes by layer."""
    values: tuple[LayerValues, ...]
    """Histograms and ranges by layer."""
    lowering: tuple[LoweringLeg, ...]
    """Where each artifact departs from the quantized program."""
    steps: tuple[StepGain, ...] = ()
    """What each step of the quantizer gives, where that was asked for."""
    noise: tuple[Noise, ...]
    """The server's own noise, if the baseline was recorded in several precisions."""
    classes: tuple[Classes, ...]
    """By artifact, if an output holds logits."""
    costs: tuple[Cost, ...]
    """By artifact, quantized and float32."""
    warnings: tuple[str, ...]
    """What a person should know first: int8 that is not faster, for instance."""
    paste: tuple[str, ...]
    """Lines for the project file that keep the layers that cost most in float."""
    notes: tuple[str, ...]
    """Where the numbers come from, and what a GPU or a phone would change."""

    def __repr__(self) -> str:
        """Return one line."""
        timed = ", ".join(f"{one.artifact} {one.latency.median_ms:.3f} ms" for one in self.costs)
        return f"<profile of {self.model} for {self.target}: {len(self.layers)} layers{', ' + timed if timed else ''}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the layers that cost most."""
        ranking = () if self.sensitivities is None else self.sensitivities.ranking[:_SHOWN]
        rows = "".join(
            f"<tr><td><code>{escape(one.layer.path)}</code></td><td>{escape(one.layer.kind)}</td>"
            f"<td>{'all' if one.gain_db is None else f'{one.gain_db:+.2f}'}</td></tr>"
            for one in ranking
        )
        head = "<th>layer</th><th>kind</th><th>gain in float, dB</th>"
        return f"<p>{escape(repr(self))}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def to_json(self) -> str:
        """Return the text of ``profile.json``."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"


def of_bundle(folder: Path, manifest_sha256: str) -> Profile | None:
    """Return the profile in a bundle; None if there is none, or it is of another build or version."""
    try:
        found = Profile.model_validate_json((folder / PROFILE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return found if found.manifest_sha256 == manifest_sha256 else None
