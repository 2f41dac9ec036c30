"""The terms of the pages: what each means, and what a good value is."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term."""

    means: str
    """What it is."""
    good: str
    """What a good value is."""

    @property
    def tip(self) -> str:
        """Both in one."""
        return f"{self.means} {self.good}"


TERMS: Mapping[str, Term] = {
    "SQNR": Term(
        means="Signal to quantization noise ratio, in decibels: how small the error is beside the output.",
        good="Good: 30 dB and more for int8; 20 dB is a tenth of the output; 3 dB less is half as much noise again.",
    ),
    "accuracy": Term(
        means="Share of the samples whose most likely class is the true one.",
        good="Good: within 1 % of float's, which is what MLPerf Mobile allows at most twice of.",
    ),
    "top-1 agreement": Term(
        means="Share of the samples with the same most likely class as float, right or wrong.",
        good="Good: 98 % and more.",
    ),
    "top-5 agreement": Term(
        means="How many of float's five likeliest classes are among the artifact's.", good="Good: 95 % and more."
    ),
    "equal": Term(means="Share of integers that are float's exactly.", good="Good: 99 % and more."),
    "mean IoU": Term(
        means="Mean overlap of predicted and true areas of each class.", good="Good: at least 96 % of float's."
    ),
    "IoU agreement": Term(means="Mean overlap with the areas that float predicts.", good="Good: 95 % and more."),
    "pixel agreement": Term(means="Share of pixels with float's class.", good="Good: 98 % and more."),
    "mean AP": Term(
        means="Mean average precision of detected boxes, at overlaps from 0.50 to 0.95.",
        good="Good: at least 95 % of float's.",
    ),
    "mAP agreement": Term(means="Mean average precision against float's boxes.", good="Good: 90 % and more."),
    "neighbours": Term(
        means="Share of float's ten nearest neighbours that are the artifact's, too.", good="Good: 93 % and more."
    ),
    "R2": Term(means="Share of the variance that is explained.", good="Good: within 0.01 of float's."),
    "R2 agreement": Term(means="R2 with float's outputs as the truth.", good="Good: 0.98 and more."),
    "MAE": Term(means="Mean absolute error from the true values, in their unit.", good="Good: near float's."),
    "KL nats": Term(means="Kullback-Leibler divergence of the class probabilities, in nats.", good="Good: below 0.01."),
    "cosine": Term(means="Cosine of the angle between both outputs, per sample.", good="Good: 0.999 and more."),
    "max abs error": Term(
        means="Largest difference of any output value.", good="Good: small beside the spread of the output."
    ),
    "mean abs error": Term(
        means="Mean difference of the output values.", good="Good: a hundredth of the spread of the output, or less."
    ),
    "NaN or infinite": Term(means="Values that are no numbers.", good="Good: none."),
    "delegated": Term(
        means="Share of the compute operations that the delegate, the fast kernels of the device, takes.",
        good="Good: 100 %; each one outside costs a copy of its inputs and outputs.",
    ),
    "int8 share": Term(
        means="Share of the compute operations that compute with integers.",
        good="Good: all of the convolutions and linear layers; hard-swish and the like have no int8 kernel.",
    ),
    "planned memory": Term(
        means="Memory that the file plans for inputs, outputs and what lies between its delegates.",
        good="Good: far below what the device has; a delegate's own memory comes on top.",
    ),
    "leg": Term(
        means="A step from the model on the server to the file: server, quantization, lowering; total is all of them.",
        good="Good: total near quantization, for then nothing else went wrong.",
    ),
    "confidence interval": Term(
        means="Where the value would lie with other samples of the same kind, 95 times of 100.",
        good="Good: wholly on the right side of the limit.",
    ),
    "median": Term(
        means="Half of the runs are faster.", good="Good: below the float model's, and below a frame's 16 or 33 ms."
    ),
    "p90": Term(means="Nine of ten runs are faster.", good="Good: within a fifth of the median."),
    "p99": Term(
        means="99 of 100 runs are faster.", good="Good: within twice the median; more is other work on the machine."
    ),
    "gain dB": Term(
        means="What the SQNR gains when this layer alone stays in float.",
        good="Worth it: 1 dB and more for few bytes.",
    ),
    "alone dB": Term(means="SQNR with this layer alone in int8.", good="Good: 10 dB above that of all layers."),
}
"""By the title that stands on a page."""

_OTHER_TITLES = {
    "SQNR dB": "SQNR",
    "SQNR in total": "SQNR",
    "agreement": "top-1 agreement",
    "float accuracy": "accuracy",
    "median latency": "median",
    "all but it dB": "gain dB",
}

AS_JSON: JsonValue = {title: {"means": term.means, "good": term.good} for title, term in TERMS.items()}
"""For the page, whose every figure stands in its JSON."""


def tip(title: str) -> str:
    """Return what a title means and what a good value is; nothing for one that says it itself."""
    term = TERMS.get(_OTHER_TITLES.get(title, title))
    return "" if term is None else term.tip
