"""Limits, presets, and what becomes of a limit. Every assertion has a twin that must fail."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift.compare import compare, leg_of
from edgekit.drift.custom import OwnMetric
from edgekit.drift.gate import checks
from edgekit.drift.meaning import quick_metrics
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import Check, LimitResult
from edgekit.drift.statistics import Interval
from edgekit.errors import DataError, ProjectError
from edgekit.spec import DEFAULT_BUDGET, Bootstrap, Budget, CustomLimit, LegBudgets, Limits, Meaning, Preset, TensorSpec
from edgekit.spec.limits import RULES, unanswered

GOOD: dict[str, float] = {
    "sqnr_db": float("inf"), "mean_abs_error": 0, "cosine": 1, "agreement": 1, "top1_agreement": 1, "top5_agreement": 1,
    "kl_divergence": 0, "accuracy_drop": 0, "accuracy_ratio": 1, "pixel_agreement": 1, "iou_agreement": 1,
    "mean_iou_drop": 0, "mean_iou_ratio": 1, "map_agreement": 1, "mean_ap_drop": 0, "mean_ap_ratio": 1,
    "neighbour_agreement": 1, "r2_agreement": 1, "r2_drop": 0, "r2_ratio": 1, "mae_ratio": 1,
    "psnr": 40.0, "delta": 1.0,
}  # fmt: skip
LIMITS: dict[str, float] = {
    "min_sqnr_db": 30, "max_abs_error": 0.01, "max_mean_abs_error": 0.001, "min_cosine": 0.9999,
    "min_agreement": 0.9, "min_top1_agreement": 0.9, "min_top5_agreement": 0.99, "max_kl_divergence": 0.01,
    "max_accuracy_drop": 0.1,
    "min_accuracy_ratio": 0.9, "min_pixel_agreement": 0.9, "min_iou_agreement": 0.9, "max_mean_iou_drop": 0.1,
    "min_mean_iou_ratio": 0.96, "min_map_agreement": 0.8, "max_mean_ap_drop": 0.1, "min_mean_ap_ratio": 0.95,
    "min_neighbour_agreement": 0.9, "min_r2_agreement": 0.98, "max_r2_drop": 0.1, "min_r2_ratio": 0.9,
    "max_mae_ratio": 1.5,
}  # fmt: skip


def judged(values: dict[str, float], limits: Limits, *, spread: float = 0.0, worst: float = 0.0) -> tuple[Check, ...]:
    """Hold values, each in the middle of an interval, against limits; leave the check of finite values out."""
    metrics = Metrics(sqnr_db=None, max_abs_error=worst, mean_abs_error=0, cosine=1, non_finite=0)
    intervals = {
        name: Interval(low=None if value == float("inf") else value - spread,
                       high=None if value == float("inf") else value + spread)
        for name, value in values.items()
    }  # fmt: skip
    return checks(metrics, values, intervals, limits)[1:]


def one_limit(name: str) -> Limits:
    """Return limits with one of them given."""
    return Limits.model_validate({name: LIMITS[name]})


def test_every_limit_has_a_rule_and_a_case() -> None:
    """A limit that is added must be added to the rules and to the tables of this test."""
    assert [rule.name for rule in RULES] == [name for name in Limits.model_fields if name != "custom"]
    assert [rule.name for rule in RULES] == list(LIMITS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_limit_is_checked(rule: Any) -> None:
    """Bad numbers break the limit, good ones keep it: a check that cannot fail is no check."""
    limit = LIMITS[rule.name]
    bad = limit - 0.05 if rule.better == "higher" else limit + 0.05
    (good,) = judged(GOOD, one_limit(rule.name))
    (broken,) = judged({**GOOD, rule.metric: bad}, one_limit(rule.name), worst=bad)
    assert (good.result, broken.result) == (LimitResult.KEPT, LimitResult.BROKEN)
    assert (broken.name, broken.metric, broken.limit) == (rule.name, rule.metric, limit)
    assert broken.value == pytest.approx(bad)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.metric != "max_abs_error"], ids=lambda rule: rule.name)
def test_a_break_within_the_interval_is_noise(rule: Any) -> None:
    """The favourable end decides; the other end alone changes nothing."""
    limit, sign = LIMITS[rule.name], 1 if rule.better == "higher" else -1
    values = {**GOOD, rule.metric: limit - sign * 0.05}
    assert judged(values, one_limit(rule.name), spread=0.06)[0].result is LimitResult.NOISE
    assert judged(values, one_limit(rule.name), spread=0.04)[0].result is LimitResult.BROKEN
    kept = {**GOOD, rule.metric: limit + sign * 0.01}
    assert judged(kept, one_limit(rule.name), spread=0.5)[0].result is LimitResult.KEPT


def test_a_limit_that_is_met_exactly_is_kept() -> None:
    """Rounding of the arithmetic breaks nothing; a real difference does."""
    limits = Limits(max_accuracy_drop=0.005)
    assert judged({**GOOD, "accuracy_drop": 1 - 0.995}, limits)[0].result is LimitResult.KEPT
    assert judged({**GOOD, "accuracy_drop": 0.0051}, limits)[0].result is LimitResult.BROKEN


def test_own_metrics_are_limited_at_either_end() -> None:
    """``min``: larger is better; ``max``: smaller is better."""
    limits = Limits(custom={"psnr": CustomLimit(min=30), "delta": CustomLimit(min=0.5, max=2)})
    assert [check.result for check in judged(GOOD, limits)] == [LimitResult.KEPT] * 3
    broken = judged({**GOOD, "psnr": 20, "delta": 3}, limits)
    assert [(check.name, check.result) for check in broken] == [
        ("min_psnr", LimitResult.BROKEN), ("min_delta", LimitResult.KEPT), ("max_delta", LimitResult.BROKEN),
    ]  # fmt: skip


def output(meaning: Meaning, *shape: int, name: str = "out") -> TensorSpec:
    """Declare an output."""
    return TensorSpec(name=name, shape=("batch", *shape), meaning=meaning)


def a_trace(outputs: dict[str, np.ndarray], **samples: Any) -> Trace:
    """Return a trace of what some program gave."""
    origin = Origin(program="float", device="cpu", device_name="somewhere", dtype="float32", kernels="k", versions={})
    count = len(next(iter(outputs.values())))
    images = np.zeros((count, 1), np.float32)
    return Trace(samples=Samples(inputs={"image": images}, **samples), outputs=outputs, origin=origin)


def agreeing(right: int, count: int) -> tuple[Trace, Trace]:
    """Return logits of which so many name the reference's class."""
    reference = np.eye(4, dtype=np.float32)[np.zeros(count, int)]
    candidate = np.eye(4, dtype=np.float32)[(np.arange(count) >= right).astype(int)]
    return a_trace({"out": reference}), a_trace({"out": candidate})


@pytest.mark.parametrize(
    ("right", "count", "result"),
    [
        (97, 100, LimitResult.NOISE),
        (9700, 10000, LimitResult.BROKEN),
        (80, 100, LimitResult.BROKEN),
        (99, 100, LimitResult.KEPT),
    ],
)
def test_noise_depends_on_the_number_of_samples(right: int, count: int, result: LimitResult) -> None:
    """97% of 100 may well be 98%, 97% of 10,000 is not, and nor is 80% of 100."""
    (leg,) = compare("total", *agreeing(right, count), (output("logits", 4),), Limits(min_top1_agreement=0.98))
    (check,) = [check for check in leg.checks if check.name == "min_top1_agreement"]
    assert check.result is result
    assert (len(leg.breaches), len(leg.doubts)) == (result is LimitResult.BROKEN, result is LimitResult.NOISE)


def test_the_confidence_level_is_the_budgets() -> None:
    """What is noise at 99% is a break at 50%."""
    found = {
        level: compare(
            "total", *agreeing(96, 100), (output("logits", 4),), Limits(min_top1_agreement=0.98),
            bootstrap=Bootstrap(confidence=level),
        )[0].checks[1].result
        for level in (0.5, 0.99)
    }  # fmt: skip
    assert found == {0.5: LimitResult.BROKEN, 0.99: LimitResult.NOISE}


def test_one_sample_is_too_few() -> None:
    """How sure a number is cannot be said of one sample; of two it can."""
    with pytest.raises(DataError, match="fewer than two"):
        compare("total", *agreeing(1, 1), (output("logits", 4),), Limits())
    assert compare("total", *agreeing(2, 2), (output("logits", 4),), Limits())


@pytest.mark.parametrize(
    ("preset", "meaning", "metric", "least"),
    [
        (Preset.CLASSIFICATION, "logits", "accuracy_ratio", 0.98),
        (Preset.SEGMENTATION, "segmentation", "mean_iou_ratio", 0.96),
        (Preset.DETECTION, "boxes", "mean_ap_ratio", 0.95),
        (Preset.EMBEDDING, "embedding", "neighbour_agreement", 0.93),
        (Preset.REGRESSION, "regression", "r2_agreement", 0.98),
    ],
)
def test_presets_by_task(preset: Preset, meaning: Meaning, metric: str, least: float) -> None:
    """Each limits its task's metric in total, and holds; a bit less breaks it."""
    total = Budget(preset=preset).resolved.total
    just, less = (judged({**GOOD, metric: least - gap}, total) for gap in (0, 0.001))
    assert {check.result for check in just} == {LimitResult.KEPT}
    assert [check.metric for check in less if check.result is LimitResult.BROKEN] == [metric]
    assert {rule.meaning for rule in RULES if getattr(total, rule.name) is not None} <= {meaning, None}


def test_a_preset_lies_between_the_targets_limits_and_the_projects() -> None:
    """What the project writes out goes before its preset, the preset before the target's own; the rest stays."""
    project = Budget(preset=Preset.EMBEDDING, total=Limits(min_cosine=0.9), bootstrap=Bootstrap(confidence=0.9))
    merged = Budget(total=Limits(min_neighbour_agreement=0.5, min_sqnr_db=20)).updated(project)
    assert merged.total == Limits(min_sqnr_db=20, min_cosine=0.9, min_neighbour_agreement=0.93)
    assert merged.bootstrap.confidence == 0.9
    assert merged.resolved.total == merged.total
    assert DEFAULT_BUDGET.updated(Budget()) == DEFAULT_BUDGET
    own = Budget(total=Limits(custom={"a": CustomLimit(min=1), "b": CustomLimit(min=1)}))
    over = own.updated(Budget(total=Limits(custom={"b": CustomLimit(max=2)})))
    assert over.total.custom == {"a": CustomLimit(min=1), "b": CustomLimit(max=2)}


def test_a_limit_that_nothing_answers_is_found() -> None:
    """A gate that checks nothing must not look as if it had passed."""
    logits = (output("logits", 4),)
    accuracy = Budget(preset=Preset.CLASSIFICATION)
    assert unanswered(accuracy, logits, None) == []
    assert unanswered(accuracy, logits, frozenset({"out"})) == []
    assert unanswered(accuracy, logits, frozenset()) == [
        'budget.preset = "classification": the evaluation data has no true values for out'
    ]
    assert unanswered(accuracy, (output("tensor", 4),), None) == [
        'budget.preset = "classification": no output has meaning = "logits" and shape [batch, classes]'
    ]
    assert unanswered(accuracy, (output("logits", 7, 4),), None)
    by_hand = Budget(preset=Preset.CLASSIFICATION, total=Limits(min_accuracy_ratio=0.9))
    assert unanswered(by_hand, logits, frozenset())[0].startswith("budget.total.min_accuracy_ratio: ")
    assert unanswered(Budget(lowering=Limits(min_sqnr_db=20)), (output("tensor", 4),), frozenset()) == []
    assert unanswered(Budget(lowering=Limits(min_r2_agreement=1)), logits, None) == [
        'budget.lowering.min_r2_agreement: no output has meaning = "regression"'
    ]


def test_several_outputs_have_metrics_of_their_own() -> None:
    """Each output is measured by what it means, with its own true values, and limits apply where they fit."""
    generator = np.random.default_rng(0)
    outputs = (
        output("logits", 4, name="kind"), output("regression", 2, name="size"), output("embedding", 8, name="code"),
        output("segmentation", 3, 5, 5, name="mask"), output("tensor", 8, name="rest"),
    )  # fmt: skip
    values = {
        spec.name: generator.normal(size=(20, *(s for s in spec.shape[1:] if isinstance(s, int)))) for spec in outputs
    }
    targets = {
        "size": values["size"] + 0.1,
        "mask": values["mask"].argmax(axis=1),
        "kind": values["kind"].argmax(axis=1),
    }
    wrong = {**values, "size": values["size"] + generator.normal(size=(20, 2))}
    limits = Limits(max_accuracy_drop=0.01, min_r2_agreement=0.9, min_neighbour_agreement=0.9, min_mean_iou_ratio=0.9)
    legs = compare("total", a_trace(values, targets=targets), a_trace(wrong, targets=targets), outputs, limits)
    rows = {leg.output: leg for leg in legs}
    assert rows["kind"].metrics.accuracy == 1
    assert rows["mask"].metrics.mean_iou == 1
    assert rows["code"].metrics.neighbour_agreement == 1
    assert rows["size"].metrics.reference_mae == pytest.approx(0.1)
    assert rows["rest"].metrics.r2_agreement is None
    assert {leg.output: [check.name for check in leg.checks[1:]] for leg in legs} == {
        "kind": ["max_accuracy_drop"], "size": ["min_r2_agreement", "varies"], "code": ["min_neighbour_agreement"],
        "mask": ["min_mean_iou_ratio"], "rest": [],
    }  # fmt: skip
    assert [leg.output for leg in legs if leg.breaches] == ["size"]


def test_outputs_have_limits_of_their_own() -> None:
    """Those of an output go before those for all, in its own row and in no other; twins are broken and kept."""
    generator = np.random.default_rng(0)
    outputs = (output("tensor", 8, name="fine"), output("tensor", 8, name="coarse"))
    values = {spec.name: generator.normal(size=(20, 8)) for spec in outputs}
    near = {name: array + 0.01 * generator.normal(size=array.shape) for name, array in values.items()}
    total = Limits(min_sqnr_db=60, min_cosine=0.5)

    def results(**own: LegBudgets) -> dict[str, dict[str, LimitResult]]:
        legs = leg_of(Budget(total=total, outputs=own), "total", a_trace(values), a_trace(near), outputs)
        return {leg.output: {check.name: check.result for check in leg.checks} for leg in legs}

    assert {found["min_sqnr_db"] for found in results().values()} == {LimitResult.BROKEN}
    found = results(coarse=LegBudgets(total=Limits(min_sqnr_db=30)))
    assert (found["fine"]["min_sqnr_db"], found["coarse"]["min_sqnr_db"]) == (LimitResult.BROKEN, LimitResult.KEPT)
    assert found["coarse"]["min_cosine"] is LimitResult.KEPT
    assert results(coarse=LegBudgets(lowering=Limits(min_sqnr_db=30))) == results()


def test_limits_of_outputs_are_merged_and_checked() -> None:
    """The project's go before the target's, limit by limit; an unknown name or a metric that it has not is told."""
    below = Budget(outputs={"a": LegBudgets(total=Limits(min_sqnr_db=20, min_cosine=0.9))})
    above = Budget(
        outputs={"a": LegBudgets(total=Limits(min_sqnr_db=30)), "b": LegBudgets(device=Limits(min_cosine=1))}
    )
    merged = below.updated(above)
    assert merged.outputs["a"].total == Limits(min_sqnr_db=30, min_cosine=0.9)
    assert merged.outputs["b"].device == Limits(min_cosine=1)
    outputs = (output("logits", 4, name="a"), output("tensor", 4, name="c"))
    assert unanswered(merged, outputs, None) == ["budget.outputs.b: there is no such output; there are a, c"]
    wrong = Budget(outputs={"c": LegBudgets(total=Limits(min_top1_agreement=1))})
    assert unanswered(wrong, outputs, None) == [
        'budget.outputs.c.total.min_top1_agreement: the output has not meaning = "logits" and shape [batch, classes]'
    ]
    truth = Budget(outputs={"a": LegBudgets(total=Limits(min_accuracy_ratio=1))})
    assert unanswered(truth, outputs, frozenset({"c"})) == [
        "budget.outputs.a.total.min_accuracy_ratio: the evaluation data has no true values for a"
    ]


def test_own_metrics_may_be_limited_for_one_output() -> None:
    """A name that the output's metric does not return is an error, though another output's does."""
    outputs = (output("tensor", 4, name="a"), output("tensor", 4, name="b"))
    values = {name: np.ones((9, 4)) for name in "ab"}
    own = {"a": OwnMetric(name="worst", file=Path("my.py"), function=lambda reference, candidate, targets: 1.0)}
    limits = LegBudgets(total=Limits(custom={"worst": CustomLimit(max=0.5)}))
    measured = functools.partial(leg_of, name="total", reference=a_trace(values), candidate=a_trace(values), own=own)
    legs = measured(Budget(outputs={"a": limits}), outputs=outputs)
    assert [leg.output for leg in legs if leg.breaches] == ["a"]
    with pytest.raises(ProjectError, match="worst"):
        measured(Budget(outputs={"b": limits}), outputs=outputs)


def test_quick_metrics_are_those_of_a_leg() -> None:
    """Each output by its meaning, against its true values; but for detections, which take long."""
    generator = np.random.default_rng(0)
    outputs = (
        output("logits", 4, name="kind"), output("segmentation", 3, 5, 5, name="mask"),
        output("boxes", 2, 4, name="boxes"), output("scores", 2, name="scores"), output("classes", 2, name="classes"),
    )  # fmt: skip
    values = {
        spec.name: generator.normal(size=(20, *(s for s in spec.shape[1:] if isinstance(s, int)))) for spec in outputs
    }
    values["classes"], values["scores"] = np.zeros((20, 2)), np.full((20, 2), 0.9)
    near = {name: array + 0.3 * generator.normal(size=array.shape) for name, array in values.items()}
    near["classes"] = values["classes"]
    targets = {"mask": values["mask"].argmax(axis=1)}
    traces = a_trace(values, targets=targets), a_trace(near, targets=targets)
    quick = quick_metrics(outputs, values, near, traces[0].samples)
    legs = {leg.output: leg.metrics for leg in compare("total", *traces, outputs, Limits())}
    assert {name: quick[name] for name in quick if name != "boxes"} == {n: legs[n] for n in legs if n != "boxes"}
    assert quick["mask"].mean_iou is not None
    assert quick["mask"].mean_iou < 1
    assert (quick["boxes"].map_agreement, legs["boxes"].map_agreement is None) == (None, False)
    assert quick["boxes"].sqnr_db == legs["boxes"].sqnr_db


def test_a_detector_is_measured_at_its_boxes() -> None:
    """The three outputs together make one number, which stands with the boxes."""
    boxes = np.tile(np.array([[[0, 0, 10, 10], [20, 20, 30, 30]]], np.float32), (4, 1, 1))
    values = {"boxes": boxes, "scores": np.full((4, 2), 0.9, np.float32), "classes": np.zeros((4, 2), np.float32)}
    outputs = (
        output("boxes", 2, 4, name="boxes"),
        output("scores", 2, name="scores"),
        output("classes", 2, name="classes"),
    )
    targets = {"boxes": boxes, "classes": np.zeros((4, 2), int)}
    limits = Limits(min_mean_ap_ratio=0.95, min_map_agreement=0.9)
    moved = {**values, "boxes": boxes + 4}
    good, bad = (
        compare("total", a_trace(values, targets=targets), a_trace(found, targets=targets), outputs, limits)
        for found in (values, moved)
    )
    assert good[0].metrics.mean_ap == good[0].metrics.map_agreement == 1
    assert [check.result for check in good[0].checks] == [LimitResult.KEPT] * 3
    assert good[1].metrics.mean_ap is None
    assert {check.metric for check in bad[0].breaches} == {"mean_ap_ratio", "map_agreement"}
    shy = {**values, "scores": np.full((4, 2), 0.2, np.float32)}
    with pytest.raises(DataError, match="nothing with confidence"):
        compare("total", a_trace(shy), a_trace(shy), outputs, limits)


def outputs_of(values: np.ndarray[tuple[int, ...], np.dtype[Any]]) -> Trace:
    """Return a trace of one output, ``result``."""
    samples = Samples(inputs={"x": np.zeros((len(values), 1), np.float32)})
    origin = Origin(program="float", device="cpu", device_name="somewhere", dtype="float32", kernels="k", versions={})
    return Trace(origin=origin, samples=samples, outputs={"result": values})


@pytest.mark.parametrize(("share", "kept"), [(1.0, True), (0.9, True), (0.1, False), (0.0, False)])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_an_output_that_does_not_follow_its_input_breaks_any_budget(share: float, kept: bool, scale: float) -> None:
    """Close on average, by 55 dB, is not enough: the part that varies is what the network says."""
    varying = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    reference, candidate = outputs_of((varying + 500) * scale), outputs_of((share * varying + 500) * scale)
    tensor = TensorSpec(name="result", shape=("batch", 5))
    (leg,) = compare("total", reference, candidate, (tensor,), Limits(min_sqnr_db=50))
    assert {check.name for check in leg.breaches} == (set() if kept else {"varies"})
    constant = outputs_of(np.full((40, 5), 500, np.float32))
    (same,) = compare("total", constant, constant, (tensor,), Limits())
    assert not same.breaches
