"""What a person reads first: three lines, a failure said once, and the step that would most likely help."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edgekit.bundles.manifest import Manifest, Refusal
from edgekit.bundles.result import BuildResult
from edgekit.drift.blame import blamed
from edgekit.drift.report import DriftReport, LegName, LimitResult
from edgekit.drift.statistics import Interval
from edgekit.model.layers import Layer, Sensitivities, Sensitivity
from edgekit.render import summary, tables
from edgekit.render.next_step import next_step
from edgekit.spec import Format, Scheme
from tests.unit import examples

FOLDER = Path("artifacts/digits/android-arm64")


def shown(result: BuildResult, width: int = 80) -> str:
    """Render the summary of a build."""
    stream = io.StringIO()
    summary.show_summary(Console(file=stream, width=width), result)
    return stream.getvalue()


def with_metrics(**changes: Any) -> DriftReport:
    """A drift report whose totals have other metrics."""
    return DriftReport(samples=360, legs=(examples.leg("total", "model.pte", **changes),))


def failing(server: float, quantization: float, lowering: float, total: float) -> Manifest:
    """A manifest whose total is over its limit, with the given SQNR of each leg in dB."""
    broken = (examples.check("min_sqnr_db", 25.0, total, LimitResult.BROKEN),)
    legs = (
        examples.leg("server", sqnr_db=server),
        examples.leg("quantization", sqnr_db=quantization),
        examples.leg("lowering", "model.pte", sqnr_db=lowering),
        examples.leg("total", "model.pte", sqnr_db=total, checks=broken),
    )
    return examples.manifest().model_copy(
        update={"drift": DriftReport(samples=360, legs=legs), "verdict": "failed", "artifacts": (examples.artifact(),)}
    )


def ranking(*gains: float) -> Sensitivities:
    """What layers cost, of which each gains so much by staying float."""
    layers = tuple(
        Sensitivity(
            layer=Layer(path=f"features.{number}", kind="conv2d", weights=100, int8_bytes=104, float_bytes=400),
            only={}, all_but={}, only_sqnr_db=20.0, all_but_sqnr_db=20.0 + gain, gain_db=gain, measured=True,
        )
        for number, gain in enumerate(gains)
    )  # fmt: skip
    return Sensitivities(samples=64, compared=64, all_int8={}, all_int8_sqnr_db=20.0, ranking=layers)


def test_a_build_is_told_in_three_sentences() -> None:
    """How much smaller, how good and its change, where it runs; what it was held against; verdict and page."""
    lines = " ".join(shown(examples.built()).split())
    assert lines.startswith(
        "digits for android-arm64: int8 is 3.3x to 3.7x smaller than float, accuracy 98.61 % (-0.28 points), "
        "91 % runs in the delegate. Held against float on NVIDIA H200 (cuda, float32), 360 samples."
    )
    assert lines.endswith("Latency not measured. PASSED Report: artifacts/digits/android-arm64/report.html")
    assert "FAILED" in shown(examples.built(breach=True))


def test_no_decibels_before_they_are_asked_for() -> None:
    """Neither in the summary nor in the table; in the details."""
    stream = io.StringIO()
    target = Console(file=stream, width=100)
    summary.show_summary(target, examples.built())
    tables.show_build(target, examples.built())
    assert "dB" not in stream.getvalue()
    assert "interval" not in stream.getvalue()
    tables.show_details(target, examples.built())
    assert "SQNR dB" in stream.getvalue()
    assert "95 % interval" in stream.getvalue()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"accuracy": 0.98889}, "accuracy 98.89 % (no change)"),
        ({"accuracy": 0.97889}, "accuracy 97.89 % (-1.00 points)"),
        ({"accuracy": 0.99, "reference_accuracy": 0.98}, "accuracy 99.00 % (+1.00 points)"),
        ({"accuracy": None, "reference_accuracy": None}, "the same answer as float in 99.17 %"),
    ],
)
def test_the_task_decides_what_is_told(changes: dict[str, Any], told: str) -> None:
    """Accuracy with its change where there are labels, else how often the answer is float's."""
    assert str(summary.quality(with_metrics(**changes))) == told


def test_other_tasks() -> None:
    """Mean IoU, R2 against the truth, equal integers, and decibels where a task has nothing else."""
    none = {"accuracy": None, "reference_accuracy": None, "top1_agreement": None}
    for changes, told in (
        ({"mean_iou": 0.75, "reference_mean_iou": 0.76}, "mean IoU 75.00 % (-1.00 points)"),
        ({"r2": 0.5, "reference_r2": 0.625}, "R2 0.5 (-0.125)"),
        ({"agreement": 0.5}, "equal to float in 50.00 %"),
        ({}, "signal to noise against float 32.1 dB"),
        ({"sqnr_db": None}, "outputs identical to float's"),
    ):
        assert str(summary.quality(with_metrics(**(none | changes)))) == told


def test_a_change_within_noise_is_said_to_be() -> None:
    """Where the interval of the loss holds zero, and not where it does not."""
    for low, told in (
        (-0.001, "accuracy 98.61 % (-0.28 points, within noise)"),
        (0.001, "accuracy 98.61 % (-0.28 points)"),
    ):
        found = with_metrics()
        leg = found.legs[0].model_copy(update={"intervals": {"accuracy_drop": Interval(low=low, high=0.006)}})
        assert str(summary.quality(found.model_copy(update={"legs": (leg,)}))) == told


@pytest.mark.parametrize(
    ("sizes", "told"),
    [((100_000, 100_000), "2.3x smaller than float"), ((232_492,), "about as large as float"),
     ((464_984,), "2.0x larger than float"), ((58_123, 116_246), "2.0x to 4.0x smaller than float")],
)  # fmt: skip
def test_sizes_in_words(sizes: tuple[int, ...], told: str) -> None:
    """Smaller, as large, larger, and a span where files differ."""
    files = tuple(examples.artifact(bytes=size) for size in sizes)
    found = summary.size(examples.manifest().model_copy(update={"artifacts": files}))
    assert found is not None
    assert found.change == told


def test_float_says_nothing_of_a_delegate_that_it_has_not() -> None:
    """A share of nothing is no figure."""
    plain = examples.artifact(quantization=Scheme.FLOAT, delegates=())
    assert summary.delegated((plain,)) is None
    assert summary.delegated((examples.artifact(),)) == "100 % runs in the delegate"


@pytest.mark.parametrize(
    ("noise", "leg"),
    [((120.0, 11.5, 30.0, 11.4), "quantization"), ((120.0, 38.0, 11.5, 11.4), "lowering"),
     ((11.3, 38.0, 39.0, 11.3), "server")],
)  # fmt: skip
def test_the_step_that_makes_the_error_is_blamed(noise: tuple[float, float, float, float], leg: LegName) -> None:
    """Of a total that is over its limit, by what each step was measured to do."""
    found = blamed(failing(*noise).drift)
    assert found is not None
    assert (found.leg.name, found.broken.name) == (leg, "total")


def test_nothing_is_blamed_where_nothing_is_broken() -> None:
    """The negative twin; nor is there a next step."""
    assert blamed(examples.report()) is None
    assert next_step(examples.manifest(), FOLDER) == ""


def test_the_next_step_names_the_layer_that_was_measured() -> None:
    """With what it buys, and the setting; where no layer stands out, that; unmeasured, how to measure it."""
    manifest = failing(120.0, 11.5, 30.0, 11.4)
    told = next_step(manifest, FOLDER, ranking(0.1, 6.25, 3.0))
    assert "quantization makes most of the error (11.5 dB)" in told
    assert "features.1 costs most: kept in float it alone buys 6.2 dB" in told
    assert 'float_layers = ["features.1", "features.2"]' in told
    assert "features.0" not in told
    assert "No single layer stands out" in next_step(manifest, FOLDER, ranking(0.1, 0.2))
    assert f"edgekit profile {FOLDER}" in next_step(manifest, FOLDER)


def test_the_next_step_of_other_faults() -> None:
    """Lowering: bisect; the server: another baseline; a size: what stays float; a refused format: its own way out."""
    assert f"edgekit bisect {FOLDER}" in next_step(failing(120.0, 38.0, 11.5, 11.4), FOLDER)
    assert "edgekit baseline record" in next_step(failing(11.3, 38.0, 39.0, 11.3), FOLDER)
    wide = examples.left_out("linear", "head.3", float_bytes=40_000, reason="its weights stay float")
    large = examples.artifact(bytes=90_000, within_size=False, left_out=(wide,))
    told = next_step(examples.manifest().model_copy(update={"artifacts": (large,)}), FOLDER)
    assert "10.0 kB over its limit" in told
    assert "30.0 kB more than in int8, most of it linear (head.3)" in told
    refused = Refusal(format=Format.PTE, reason="no kernel", hint="Leave the format out.")
    assert next_step(examples.manifest().model_copy(update={"refused": (refused,)}), FOLDER) == "Leave the format out."
