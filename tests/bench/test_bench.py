"""The benchmark: its ratios, verdicts and page from numbers made up here, and one small run for real."""

from pathlib import Path

import pytest

from bench import compare
from bench.measure import Runs, summary
from bench.networks import NETWORKS
from bench.page import render
from bench.results import ArtifactResult, BuildReport, Drift, Latency, Machine, NetworkResult, Results
from bench.routes import ROUTES
from bench.run import Plan, run

_MACHINE = Machine(cpu="Some CPU", cores=2, int8=("avx2",), system="Linux x86_64", python="3.12.0")


def artifact(route: str, file: str, sqnr_db: float, *, ms: float = 1, size: int = 1000) -> ArtifactResult:
    """Return an artifact with some numbers."""
    return ArtifactResult(
        route=route,
        file=file,
        bytes=size,
        drift=Drift(sqnr_db=sqnr_db, accuracy=0.99, top1_agreement=1.0),
        latency=Latency(median_ms=ms, p95_ms=ms * 2),
    )


def report(error: str = "", **seconds: float) -> BuildReport:
    """Return what a worker could say."""
    return BuildReport(seconds=seconds, peak_mb=500, imported_mb=400, versions={"torch": "2"}, error=error)


def network(rebuild_s: float | None = None) -> NetworkResult:
    """Return EdgeKit, both stock routes and a better peer on one network."""
    return NetworkResult(
        name="signal-cnn",
        family="a family",
        parameters=1234,
        float_accuracy=0.995,
        builds={
            "edgekit": report(capture=1, calibrate=0.5, quantize=2),
            "executorch": report(calibrate=20, lower=10),
            "onnxruntime-per-channel": report(quantize_static=5),
            "nncf-pt2e": report(error="ValueError: it does not work"),
        },
        artifacts=(
            artifact("edgekit", "model.pte", 35, ms=1.0, size=1000),
            artifact("edgekit", "model.onnx", 33, ms=1.2, size=900),
            artifact("executorch", "model.pte", 30, ms=1.0, size=1000),
            artifact("onnxruntime", "model.onnx", 29, ms=1.0, size=1000),
            artifact("onnxruntime-per-channel", "model.onnx", 32.5, ms=1.1, size=1100),
        ),
        rebuild_s=rebuild_s,
    )


def results(*networks: NetworkResult) -> Results:
    """Return a run over networks, with LiteRT missing."""
    return Results(
        machine=_MACHINE,
        kernels={"pte": "some kernels", "onnx": "other kernels"},
        calibration=256,
        evaluation=597,
        warmup=50,
        timed=500,
        networks=networks,
        missing={"litert": "could not be installed: ERROR: no such wheel"},
    )


def verdict(title: str, of: NetworkResult) -> compare.Verdict:
    """Return the verdict on the demand whose title begins so."""
    (demand,) = [demand for demand in compare.DEMANDS if demand.title.startswith(title)]
    return demand.judge(of)


def test_a_ratio_is_to_the_best_peer_of_the_same_format() -> None:
    """EdgeKit is no peer of itself, and a .pte is not held against an .onnx."""
    found = network()
    ours = found.artifact("edgekit", "onnx")
    assert ours is not None
    assert compare.ratio_to_best(found, ours, compare.median) == pytest.approx(1.2)
    assert compare.ratio_to_best(found, ours, compare.size) == pytest.approx(0.9)


def test_a_demand_is_met_or_missed_by_its_number() -> None:
    """Each with the peer that it was held against."""
    found = network()
    gain = verdict(".pte: SQNR 3 dB", found)
    assert (gain.met, gain.value, gain.against) == (True, 5, "executorch")
    gain = verdict(".onnx: SQNR 1 dB", found)
    assert (gain.met, gain.value, gain.against) == (False, 0.5, "onnxruntime-per-channel")
    build = verdict("cold build", found)
    assert build.met
    assert build.value == pytest.approx(3.5 / 35)
    assert verdict("calibration", found).value == pytest.approx(40)
    assert not verdict(".onnx: latency", found).met
    assert verdict(".pte: latency", found).met


def test_what_was_not_measured_is_neither_met_nor_a_number() -> None:
    """A rebuild without a cache, a calibration that is no stage of its own, a route that failed."""
    found = network()
    assert verdict("unchanged rebuild", found) == compare.Verdict(network="signal-cnn", value=None, met=False)
    assert verdict("unchanged rebuild", network(rebuild_s=0.5)).met
    without = found.model_copy(update={"builds": {**found.builds, "executorch": report(error="no")}})
    assert verdict("calibration", without).value is None
    assert verdict("cold build", without).value is None


def test_identical_outputs_are_infinitely_good() -> None:
    """No noise is more than any number of decibels."""
    exact = artifact("edgekit", "model.pte", 1).model_copy(
        update={"drift": Drift(sqnr_db=None, accuracy=1.0, top1_agreement=1.0)}
    )
    assert compare.sqnr(exact) == float("inf")


def test_the_page_names_what_is_missing_and_what_failed() -> None:
    """And prints no figure that was not measured."""
    page = render(results(network()))
    assert "LiteRT with AI Edge Quantizer: it could not be installed: ERROR: no such wheel" in page
    assert "nncf-pt2e: `ValueError: it does not work`" in page
    assert "| unchanged rebuild under 1 s beyond imports | 0 of 1 | not measured |" in page
    assert "**+0.5 dB** ✗" in page
    assert "None" not in page
    assert "nan" not in page


def test_tables_have_as_many_cells_in_every_line() -> None:
    """A table that is broken is shown as text."""
    widths: dict[int, set[int]] = {}
    number = 0
    for line in render(results(network(), network(0.4))).splitlines():
        number += not line.startswith("|")
        if line.startswith("|"):
            widths.setdefault(number, set()).add(line.count("|"))
    assert widths
    assert all(len(found) == 1 for found in widths.values())


def test_results_come_back_from_json() -> None:
    """The page can be written again from the file beside it."""
    found = results(network(0.4))
    assert Results.model_validate_json(found.model_dump_json()) == found


def test_latency_is_median_and_95th_percentile() -> None:
    """In milliseconds."""
    found = summary([seconds / 1000 for seconds in range(1, 101)])
    assert found.median_ms == pytest.approx(50.5)
    assert found.p95_ms == pytest.approx(95.05)


def test_every_network_has_weights_and_the_size_it_should() -> None:
    """From 30,000 to 400,000 parameters, all weights together below 4 MB."""
    for one in NETWORKS.values():
        assert 30_000 <= sum(parameter.numel() for parameter in one.load().parameters()) <= 400_000
    assert sum(one.weights.stat().st_size for one in NETWORKS.values()) < 4_000_000


@pytest.mark.slow
def test_two_routes_on_one_network(tmp_path: Path) -> None:
    """Build with EdgeKit and with ONNX Runtime, measure all three artifacts, and write the page."""
    routes = [ROUTES["edgekit"], ROUTES["onnxruntime"]]
    plan = Plan(calibration=16, evaluation=32, runs=Runs(warmup=2, timed=30), rebuild=False)
    found = run([NETWORKS["signal-cnn"]], routes, plan, tmp_path, lambda _: None)
    (of_network,) = found.networks
    assert {(one.route, one.format) for one in of_network.artifacts} == {
        ("edgekit", "pte"),
        ("edgekit", "onnx"),
        ("onnxruntime", "onnx"),
    }
    for one in of_network.artifacts:
        assert one.latency is not None
        assert one.latency.median_ms > 0
        ratio = compare.sqnr(one)
        assert ratio is not None
        assert ratio > 15
    assert of_network.builds["edgekit"].total > 0
    assert "signal-cnn" in render(found)
