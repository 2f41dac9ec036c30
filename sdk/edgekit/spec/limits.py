"""The limits that a budget knows: which metric each is for, and what a project must have for it to be measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgekit.spec.budget import Budget, LegBudgets, Limits
from edgekit.spec.tensors import Meaning, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One limit."""

    name: str
    """The field of `Limits`; ``min_``: larger is better, ``max_``: smaller is better."""
    metric: str
    """The metric that it is for: a field of `Metrics`, or its loss (``_drop``) or share (``_ratio``)."""
    meaning: Meaning | None = None
    """The meaning that an output must have; None: any."""
    values: Literal["any", "floats", "integers"] = "any"
    """The type that an output must have; ``integers`` are truth values, too, and no amounts: those count as floats."""
    truth: bool = False
    """Whether true values are needed."""

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which way is better."""
        return "higher" if self.name.startswith("min_") else "lower"


RULES = (
    Rule(name="min_sqnr_db", metric="sqnr_db", values="floats"),
    Rule(name="max_abs_error", metric="max_abs_error"),
    Rule(name="max_mean_abs_error", metric="mean_abs_error"),
    Rule(name="min_cosine", metric="cosine"),
    Rule(name="min_agreement", metric="agreement", values="integers"),
    Rule(name="min_top1_agreement", metric="top1_agreement", meaning="logits"),
    Rule(name="min_top5_agreement", metric="top5_agreement", meaning="logits"),
    Rule(name="max_kl_divergence", metric="kl_divergence", meaning="logits"),
    Rule(name="max_accuracy_drop", metric="accuracy_drop", meaning="logits", truth=True),
    Rule(name="min_accuracy_ratio", metric="accuracy_ratio", meaning="logits", truth=True),
    Rule(name="min_pixel_agreement", metric="pixel_agreement", meaning="segmentation"),
    Rule(name="min_iou_agreement", metric="iou_agreement", meaning="segmentation"),
    Rule(name="max_mean_iou_drop", metric="mean_iou_drop", meaning="segmentation", truth=True),
    Rule(name="min_mean_iou_ratio", metric="mean_iou_ratio", meaning="segmentation", truth=True),
    Rule(name="min_map_agreement", metric="map_agreement", meaning="boxes"),
    Rule(name="max_mean_ap_drop", metric="mean_ap_drop", meaning="boxes", truth=True),
    Rule(name="min_mean_ap_ratio", metric="mean_ap_ratio", meaning="boxes", truth=True),
    Rule(name="min_neighbour_agreement", metric="neighbour_agreement", meaning="embedding"),
    Rule(name="min_r2_agreement", metric="r2_agreement", meaning="regression"),
    Rule(name="max_r2_drop", metric="r2_drop", meaning="regression", truth=True),
    Rule(name="min_r2_ratio", metric="r2_ratio", meaning="regression", truth=True),
    Rule(name="max_mae_ratio", metric="mae_ratio", meaning="regression", truth=True),
)


def given(limits: Limits) -> Iterator[tuple[Rule, float]]:
    """Yield the rules that a leg's limits give a value for, with the value; the project's own last."""
    for rule in RULES:
        limit = getattr(limits, rule.name)
        if limit is not None:
            yield rule, limit
    for name, custom in limits.custom.items():
        for end in ("min", "max"):
            limit = getattr(custom, end)
            if limit is not None:
                yield Rule(name=f"{end}_{name}", metric=name), limit


def unanswered(budget: Budget, outputs: tuple[TensorSpec, ...], known: frozenset[str] | None) -> list[str]:
    """Return a line for each limit of a project's own budget that no output, or no true value, can answer.

    A gate that checks nothing must not look as if it had passed.

    Args:
        budget: What the project asks for; a target's limits are not asked for by anybody.
        outputs: The model's outputs.
        known: Names of the outputs with true values; None: not known yet, and not asked about.
    """
    faults = _of_outputs(budget.resolved, outputs, known, place="budget", preset=budget)
    for name, own in budget.outputs.items():
        spec = tuple(spec for spec in outputs if spec.name == name)
        if spec:
            faults += _of_outputs(own, spec, known, place=f"budget.outputs.{name}")
        else:
            names = ", ".join(spec.name for spec in outputs)
            faults.append(f"budget.outputs.{name}: there is no such output; there are {names}")
    return faults


def _of_outputs(
    budget: LegBudgets,
    outputs: tuple[TensorSpec, ...],
    known: frozenset[str] | None,
    *,
    place: str,
    preset: Budget | None = None,
) -> list[str]:
    faults = []
    for leg, limits in budget.legs.items():
        for rule, _ in given(limits):
            fitting = [spec.name for spec in outputs if _fits(rule, spec)]
            where = f"{place}.{leg}.{rule.name}"
            if preset is not None and preset.preset is not None and leg == "total":
                by_hand = getattr(preset.total, rule.name, None) is not None
                if not by_hand and getattr(limits, rule.name, None) is not None:
                    where = f'budget.preset = "{preset.preset}"'
            if not fitting:
                shape = " and shape [batch, classes]" if rule.meaning == "logits" else ""
                what = f'meaning = "{rule.meaning}"{shape}' if rule.meaning else f"a dtype of {rule.values}"
                who = "no output has" if place == "budget" else "the output has not"
                faults.append(f"{where}: {who} {what}")
            elif rule.truth and known is not None and not known & set(fitting):
                faults.append(f"{where}: the evaluation data has no true values for {', '.join(fitting)}")
    return faults


def _fits(rule: Rule, spec: TensorSpec) -> bool:
    """Whether an output has the metric of a rule; logits of a sequence have none."""
    typed = rule.values == "any" or (rule.values == "integers") == spec.is_counted
    return typed and rule.meaning in (None, spec.meaning) and (rule.meaning != "logits" or len(spec.shape) == 2)
