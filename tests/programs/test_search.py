"""The search for layers in float: scores, candidates, measured points, and what is asked of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit import targets
from edgekit.base.cache import Cache
from edgekit.base.progress import Silent
from edgekit.cli import main
from edgekit.drift.metrics import Metrics
from edgekit.errors import OverBudgetError, ProjectError
from edgekit.model.capture import capture
from edgekit.model.curve import Curve, Point, at, condition, front
from edgekit.model.layers import Layer
from edgekit.pipeline.search import search
from edgekit.quantization.candidates import candidates, predicted_db
from edgekit.quantization.scores import scores
from edgekit.quantization.sensitivity import sensitivities
from edgekit.quantization.simulate import simulate
from edgekit.render.search import drawn
from edgekit.spec import Format, QuantSpec, Scheme
from tests.programs.networks import faulty_job, faulty_source, images

# No step hides the fault that the network has.
PLAIN = QuantSpec(bias_correction=False)


def point(size: int, sqnr: float, format: Format = Format.PTE, accuracy: float | None = None) -> Point:
    """Return a point of one output."""
    metrics = Metrics(
        sqnr_db=sqnr,
        max_abs_error=0.1,
        mean_abs_error=0.1,
        cosine=1.0,
        non_finite=0,
        reference_accuracy=0.9,
        accuracy=accuracy,
    )
    return Point(
        format=format, scheme=Scheme.INT8, float_layers=(), bytes=size, predicted_db=None, metrics={"logits": metrics}
    )


def test_the_front_holds_what_nothing_beats() -> None:
    """Larger and worse goes, equal goes, and formats do not beat each other."""
    good, better = point(100, 30.0), point(200, 40.0)
    beaten, equal, other = point(150, 29.0), point(200, 40.0), point(300, 10.0, Format.ONNX)
    assert front([beaten, better, other, good, equal]) == (good, better, other)


def test_conditions_choose_a_point() -> None:
    """A limit of drift takes the smallest, a limit of bytes the nearest to the float model."""
    small, middle, large = (
        point(size, sqnr, accuracy=accuracy)
        for size, sqnr, accuracy in ((100, 20.0, 0.8), (200, 30.0, 0.896), (2_000_000, 40.0, 0.9))
    )
    points = (small, middle, large)
    assert at(points, [condition("accuracy_drop<=0.005")]) == middle
    assert at(points, [condition("bytes <= 1MB")]) == middle
    assert at(points, [condition("bytes<=3MB")]) == large
    assert at(points, [condition("sqnr_db>=10"), condition("bytes<=150")]) == small
    with pytest.raises(OverBudgetError, match="No point"):
        at(points, [condition("latency_ms<=1")])
    for wrong in ("bytes>=2", "weight<=2", "bytes", "sqnr_db>=high"):
        with pytest.raises(ProjectError, match=wrong[:5]):
            condition(wrong)


def test_candidates_buy_most_for_their_bytes() -> None:
    """What costs nothing goes first, then what buys most for a byte; each set holds the one before."""
    layers = {
        name: Layer(path=name, kind="conv2d", weights=size, int8_bytes=size, float_bytes=4 * size)
        for name, size in (("cheap", 10), ("dear", 1000), ("sum", 0), ("idle", 10))
    }
    costs = {"cheap": 0.3, "dear": 0.4, "sum": 0.3, "idle": 0.0}
    found = candidates(layers, costs, 8)
    assert found == [(), ("cheap", "sum"), ("cheap", "dear", "sum")]
    assert candidates(layers, costs, 2) == [(), ("cheap", "sum")]
    assert predicted_db(costs, ()) == pytest.approx(0.0, abs=1e-9)
    assert predicted_db(costs, ("cheap", "dear", "sum")) is None


@pytest.mark.slow
def test_scores_rank_layers_as_a_sweep_does() -> None:
    """One pass finds the layer that the sweep over all layers finds, at its cost; a healthy twin has none."""
    samples = images(64, seed=1)
    for outlier, faulty in ((100, True), (1, False)):
        simulation = simulate(capture(faulty_source(outlier), samples), PLAIN, samples)
        found = scores(simulation, samples)
        swept = sensitivities(simulation, samples).ranking
        order = sorted(found, key=lambda path: -found[path])
        worst = swept[0]
        assert worst.only_sqnr_db is not None
        assert (order[0] == "middle" and found["middle"] > 5 * found[order[1]]) == faulty
        assert -10 * np.log10(found[worst.layer.path]) == pytest.approx(worst.only_sqnr_db, abs=3)


@pytest.mark.slow
def test_a_search_measures_its_points_and_goes_on(tmp_path: Path) -> None:
    """Keeping the faulty layer in float is on the curve; a second search takes every point from the cache."""
    job = replace(faulty_job(PLAIN, 10.0), evaluation=images(64, seed=2))
    cache, target = Cache(folder=tmp_path), targets.load("linux-x86_64").model_copy(update={"formats": (Format.ONNX,)})
    curve = search(job, target, Silent(), cache=cache, most=3)
    assert all(one.metrics["logits"].non_finite == 0 for one in curve.points)
    assert [one.bytes for one in curve.points] == sorted(one.bytes for one in curve.points)
    assert [one.sqnr_db for one in curve.points] == sorted(one.sqnr_db for one in curve.points)
    assert any("middle" in one.float_layers for one in curve.points)
    assert 'scheme = "int8-mixed"' in next(one for one in curve.points if one.float_layers).paste
    assert search(job, target, Untold(), cache=cache, most=3) == curve
    assert Curve.model_validate_json(curve.model_dump_json()) == curve
    assert drawn(curve, curve.points[0]).count("<circle") == len(curve.points)


class Untold(Silent):
    """Fails where a point is made again."""

    def start(self, stage: str, left: float | None = None) -> None:
        """Refuse the stages of an attempt."""
        assert not stage.startswith(("quantize", "lower", "verify")), stage


@pytest.mark.slow
def test_the_curve_is_shown_where_no_point_keeps_what_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was measured is not lost: the table and the files are there, and the exit code says that none fits."""
    curve = Curve(
        model="digits", target="linux-x86_64", samples=8, tried=1, points=(point(100, 30.0),), dropped=(), scores={}
    )
    monkeypatch.setattr("edgekit.pipeline.search.search", lambda *_, **__: curve)
    asked = ["search", "--sample", "-t", "linux-x86_64", "-o", str(tmp_path / "found"), "--at"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "bytes<=10"])
    assert ended.value.code == OverBudgetError.exit_code
    assert "30.00" in capfd.readouterr().out
    assert Curve.model_validate_json((tmp_path / "found" / "curve.json").read_text()) == curve
    assert (tmp_path / "found" / "curve.svg").is_file()
    with pytest.raises(SystemExit) as ended:
        main([*asked, "bytes<=100", "--json"])
    assert not ended.value.code
    assert json.loads(capfd.readouterr().out)["chosen"] == 0
