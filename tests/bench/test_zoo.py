"""The zoo: every entry is whole, its arithmetic is right, its page says what was measured, and a subset is built."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.zoo import baselines, carried, demands, page
from bench.zoo.catalog import ENTRIES
from bench.zoo.entry import Entry
from bench.zoo.measure import EQUAL_DB, of_model, ratios
from bench.zoo.pictures import Pictures
from bench.zoo.results import FileResult, NetworkResult, Recipe, Results
from bench.zoo.run import run
from bench.zoo.tasks import agreement

SMALL = [entry for entry in ENTRIES.values() if entry.small]


def network(name: str, pte_db: float, stock_db: float, *, ms: float = 1.0, refused: str = "") -> NetworkResult:
    """Return a network whose .pte was measured, beside stock's and the float file."""
    ours = Recipe(
        cpu_s=10,
        wall_s=11,
        peak_mb=500,
        seconds={"quantize": 6},
        refused={"onnx": refused} if refused else {},
        files={"pte": FileResult(bytes=1000, sqnr_db=pte_db, agreement=0.97, delegates=1, least_ms=ms, median_ms=ms)},
    )
    stock = Recipe(
        cpu_s=20, peak_mb=400, files={"pte": FileResult(bytes=1000, sqnr_db=stock_db, delegates=2, least_ms=1)}
    )
    plain = Recipe(files={"pte": FileResult(bytes=4000, sqnr_db=120, delegates=1, least_ms=1)})
    return NetworkResult(
        name=name,
        family="a family",
        source="a package",
        weights="real",
        task="top-1",
        scheme="int8",
        samples="pictures",
        shapes=((1, 3, 8, 8),),
        parameters=1000,
        calibration=4,
        evaluation=4,
        recipes={"edgekit": ours, "stock-pte": stock, "float": plain},
        off={"equalization": {"pte": pte_db - 1}},
    )


def test_the_zoo_is_as_large_as_it_says() -> None:
    """Forty architectures and more, eight of them for here, their names as folders can be."""
    assert len(ENTRIES) >= 40
    assert sum(entry.weights == "real" for entry in ENTRIES.values()) >= 12
    assert len(SMALL) == 8
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_has_samples_that_do_not_repeat(name: str) -> None:
    """Calibration and evaluation differ, have the same shapes, and come out equal a second time."""
    entry = replace(ENTRIES[name], calibration=3, evaluation=2)
    if entry.missing():
        pytest.skip(f"needs {', '.join(entry.missing())}")
    fit, held = entry.samples("calibration"), entry.samples("evaluation")
    assert [len(array) for array in (*fit, *held)] == [3] * len(fit) + [2] * len(held)
    assert [array.shape[1:] for array in fit] == [array.shape[1:] for array in held]
    assert not np.array_equal(fit[0][:2], held[0])
    assert all(np.array_equal(one, other) for one, other in zip(fit, entry.samples("calibration"), strict=True))


@pytest.mark.parametrize("entry", SMALL, ids=lambda entry: entry.name)
def test_a_small_network_needs_nothing_more_and_is_the_same_each_time(entry: Entry) -> None:
    """Its factory is seeded, and its outputs are those that it names."""
    assert not entry.missing()
    rows = tuple(array[:2] for array in entry.samples("evaluation"))
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        answers.append(of_model(entry.make(), rows))
    assert len(answers[0]) == len(entry.outputs)
    assert all(np.array_equal(first, second) for first, second in zip(*answers, strict=True))
    assert all(np.isfinite(array).all() and array.std() > 0 for array in answers[0])


def test_a_ratio_is_of_what_varies() -> None:
    """A large constant hides no error from the first figure, and does from the second; the worst output counts."""
    reference = np.array([[1001.0], [999.0]])
    varying, plain = ratios([reference], [reference + 0.1])
    assert varying == pytest.approx(20)
    assert plain == pytest.approx(80, abs=0.1)
    assert ratios([reference, reference], [reference, reference + 0.1])[0] == pytest.approx(20)
    assert ratios([reference], [reference]) == (EQUAL_DB, EQUAL_DB)
    assert ratios([reference], [reference * np.nan])[0] == -EQUAL_DB


def test_tasks_count_equal_decisions() -> None:
    """Each kind of answer, with one decision changed."""
    scores = np.array([[1.0, 2.0], [3.0, 0.0]])
    assert agreement("top-1", [scores], [scores[:, ::-1]]) == 0
    assert agreement("top-1", [scores], [scores * 2]) == 1
    assert agreement("frames", [np.array([[0.2, 0.8]])], [np.array([[0.2, 0.4]])]) == 0.5
    maps = np.arange(8.0).reshape(1, 2, 2, 2)
    assert agreement("pixels", [maps], [maps]) == 1
    assert agreement("pixels", [maps], [-maps]) == 0
    assert agreement("steps", [maps], [maps]) == 1
    assert agreement("steps", [maps], [-maps]) == 0
    assert agreement("cosine", [scores], [-scores]) == pytest.approx(-1)
    assert agreement("values", [scores], [scores]) is None


def test_boxes_agree_at_half_their_area_and_in_their_class() -> None:
    """A box that moved a little has its partner, one that moved far or changed its class has none."""
    boxes = np.array([[[10.0, 50.0], [10.0, 50.0], [8.0, 8.0], [8.0, 8.0]]])
    scores = np.array([[[0.9, 0.1], [0.2, 0.8]]])
    assert agreement("boxes", [boxes, scores], [boxes + 0.5, scores]) == 1
    far = boxes.copy()
    far[0, 0, 1] += 20
    assert agreement("boxes", [boxes, scores], [far, scores]) == 0.5
    assert agreement("boxes", [boxes, scores], [boxes, scores[:, ::-1]]) == 0


def test_demands_are_met_or_missed() -> None:
    """By the figures; what was not measured is neither."""
    good, bad = network("good", 30, 29, ms=1.0), network("bad", 28, 29, ms=1.2, refused="no kernel for x")
    verdicts = {
        title: ([one.name for one in met], [one.name for one in missed])
        for title, met, missed in demands.judged(Results(networks=(good, bad)))
    }
    assert verdicts[f".pte: SQNR no more than {demands.LOSS_DB} dB below stock"] == (["good"], ["bad"])
    assert verdicts[f".pte: latency at most {demands.LATENCY} x the float file's"] == (["good"], ["bad"])
    assert verdicts["real weights: agreement at least 98%"] == ([], ["good", "bad"])
    assert verdicts["no step of the quantizer 0.2 dB worse than without it"] == (["good", "bad"], [])
    assert f".onnx: SQNR no more than {demands.LOSS_DB} dB below stock" not in verdicts
    worse = good.model_copy(update={"off": {"equalization": {"pte": 31.0}}})
    assert demands.judged(Results(networks=(worse,)))[-1][2] == [worse]


def test_the_page_names_what_is_missed_and_prints_no_figure_that_was_not_measured() -> None:
    """And its tables have as many cells in every line."""
    bad = network("bad", 28, 29, ms=1.2, refused="no kernel for x")
    text = page.render(Results(networks=(network("good", 30, 29), bad)))
    assert "* **bad**: no .onnx: no kernel for x; .pte 1.0 dB below stock; .pte 1.20 x float's latency" in text
    assert "None" not in text
    assert "nan" not in text
    widths: dict[int, set[int]] = {}
    number = 0
    for line in text.splitlines():
        number += not line.startswith("|")
        if line.startswith("|"):
            widths.setdefault(number, set()).add(line.count("|"))
    assert widths
    assert all(len(found) == 1 for found in widths.values())


def test_results_are_merged_and_come_back() -> None:
    """A network that is measured again replaces itself, at its place."""
    first = Results().merged(network("b", 30, 29), ["a", "b"]).merged(network("a", 30, 29), ["a", "b"])
    again = first.merged(network("b", 31, 29), ["a", "b"])
    assert [one.name for one in again.networks] == ["a", "b"]
    ours = again.networks[1].file("edgekit", "pte")
    assert ours is not None
    assert ours.sqnr_db == 31
    assert Results.model_validate_json(again.model_dump_json(exclude_defaults=True)) == again


def test_samples_that_were_carried_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are, near those that would be drawn; what was not carried is drawn."""
    monkeypatch.setattr(carried, "_carried", {})
    here, other = Pictures(8, 8), Pictures(8, 9)
    carried.write([(here, "evaluation", 2), (here, "evaluation", 3)], tmp_path / "samples.npz")
    carried.read(tmp_path / "samples.npz")
    (drawn,), (taken,) = here.rows("evaluation", 5), carried.drawn(here, "evaluation", 5)
    assert taken.shape == (3, 3, 8, 8)
    assert taken.dtype == np.float32
    assert np.allclose(taken, drawn[:3], atol=2e-3)
    assert not np.array_equal(taken, drawn[:3])
    assert np.array_equal(carried.drawn(other, "evaluation", 2)[0], other.rows("evaluation", 2)[0])


def test_what_fails_on_a_server_is_written_down() -> None:
    """A network that cannot be made, and one that can: float32 on the same device is equal, bfloat16 is not."""
    entry = next(one for one in SMALL if one.task == "cosine")
    found = baselines.on_device(replace(entry, evaluation=4), "cpu")
    assert found["sqnr_db"]["float32"] == EQUAL_DB
    assert 20 < found["sqnr_db"]["bfloat16"] < 80
    broken = replace(entry, make=lambda: torch.nn.Linear(1, 1))
    assert "error" in baselines.on_device(broken, "cpu")
    lacking = replace(entry, needs=("no_such_package",))
    assert baselines.on_device(lacking, "cpu") == {"error": "missing: no_such_package"}


def test_figures_of_a_gpu_are_taken_in() -> None:
    """Beside the network of that name; a network that failed there stays as it was."""
    report = {
        "machine": {"device": "some GPU", "torch": "2"},
        "networks": {"a": {"sqnr_db": {"TF32": 60.5}}, "b": {"error": "x"}},
    }
    found = Results(networks=(network("a", 30, 29), network("b", 30, 29))).with_gpu(report)
    assert [one.gpu for one in found.networks] == [{"TF32": 60.5}, {}]
    assert "| a | 60.5 |" in page.render(found)
    assert "some GPU" in page.render(found)


def test_the_page_is_what_the_results_say() -> None:
    """docs/zoo.md is made from docs/zoo.json."""
    from bench.zoo import published

    assert published.PAGE.read_text(encoding="utf-8") == page.render(published.load())


@pytest.mark.slow
@pytest.mark.parametrize("entry", SMALL, ids=lambda entry: entry.name)
def test_a_small_network_is_built_and_measured(entry: Entry, tmp_path: Path) -> None:
    """Both formats, near the float model, by the runner itself.

    One photograph calibrates and another is measured, so outputs that go beyond the range that was seen are clipped.
    """
    short = replace(entry, calibration=16, evaluation=8)
    found = run(short, tmp_path, lambda _: None, beside=(), off=(), before=None)
    ours = found.recipes["edgekit"]
    assert not ours.refused
    assert demands.builds(found) == demands.FORMATS
    assert ours.cpu_s > 0
    assert ours.peak_mb > 100
    for format in demands.FORMATS:
        file = found.file("edgekit", format)
        assert file is not None
        assert file.sqnr_db is not None
        assert file.sqnr_db > 8
        assert file.median_ms
