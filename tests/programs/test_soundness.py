"""A float model that answers worse than it should is told, with where to look; one that answers well is not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.execution.eager import run_float
from edgekit.model.weights.accuracy import accuracy_in
from edgekit.pipeline import soundness
from edgekit.pipeline.job import Job, of_project
from edgekit.spec import project


def job(folder: Path, *changes: tuple[str, str]) -> Job:
    """Return the sample with other preprocessing."""
    shutil.copytree(project.SAMPLE, folder / "sample")
    (folder / "sample" / "baseline.npz").unlink(missing_ok=True)
    file = folder / "sample" / "edgekit.toml"
    for before, after in changes:
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
    return of_project(project.load(folder / "sample"))


def told(one: Job, stated: float | None = None) -> tuple[str, ...]:
    """Return what is doubted of the float model on the evaluation samples."""
    source = replace(one.source, stated_accuracy=stated)
    return soundness.doubts(source, run_float(source, one.evaluation, device="cpu", batch=64))


def test_a_model_that_is_fed_right(tmp_path: Path) -> None:
    """Nothing is said, whether its checkpoint states an accuracy or not."""
    one = job(tmp_path)
    assert not told(one)
    assert not told(one, 0.99)


def test_a_model_that_is_fed_wrong(tmp_path: Path) -> None:
    """No better than chance, or far below what its checkpoint says."""
    one = job(tmp_path, ("mean = [0.3]", "mean = [-90.0]"))
    (chance,) = told(one)
    assert "no better than chance among 10 classes: compare [preprocessing]" in chance
    (stated,) = told(one, 0.99)
    assert "and its checkpoint says 99.0 %" in stated


def test_without_true_classes_nothing_is_said(tmp_path: Path) -> None:
    """Nor of so few samples that chance may be all."""
    one = job(tmp_path, ("mean = [0.3]", "mean = [-90.0]"))
    assert not told(replace(one, evaluation=replace(one.evaluation, labels=None)))
    assert not told(replace(one, evaluation=one.evaluation.first(10)))


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"best_acc1": 93.5, "epoch_loss": 0.1}, 0.935),
        ({"val_accuracy": 0.81, "train_accuracy": 0.99}, 0.81),
        ({"acc5": 99.0, "top5": 0.99, "loss_acc": 1.0}, None),
        ({"accuracy": 812.0}, None),
        ({}, None),
    ],
)
def test_the_accuracy_that_a_checkpoint_states(metrics: dict[str, float], expected: float | None) -> None:
    """In percent or not; not that of the training set, nor of the five likeliest."""
    assert accuracy_in(metrics) == (None if expected is None else pytest.approx(expected))
