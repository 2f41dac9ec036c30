"""A project's own metric: loaded from its file, measured with an interval, and every fault told."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.drift import custom
from edgekit.drift.compare import compare
from edgekit.drift.custom import OwnMetric
from edgekit.drift.report import LimitResult
from edgekit.errors import ProjectError
from edgekit.pipeline import job
from edgekit.spec import CustomLimit, Limits, TensorSpec, project, scaffold
from edgekit.spec.project import OpenProject
from tests.unit.test_gate import a_trace

OUT = (TensorSpec(name="out", shape=("batch", 3)),)
SOURCE = '''
import numpy as np
from helper import scale

def worst(reference, candidate, targets):
    """The worst sample's mean error."""
    return scale * np.abs(reference - candidate).mean(axis=1).max()

def several(reference, candidate, targets):
    right = 0.0 if targets is None else float((candidate.round() == targets).mean())
    return {"psnr": 30.0, "right": right}

def raising(reference, candidate, targets):
    raise ValueError("on purpose")

def nothing(reference, candidate, targets):
    return None

def taken(reference, candidate, targets):
    return {"cosine": 1.0}

def undefined(reference, candidate, targets):
    return float("nan")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of metrics and its neighbour."""
    (tmp_path / "my.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text("scale = 1.0\n")
    return tmp_path


def opened(folder: Path, function: str, *, budget: str = "") -> OpenProject:
    """Return the sample as a project whose output has a metric."""
    home = folder / "project"
    scaffold.init(home)
    for name in ("my.py", "helper.py"):
        (home / name).write_bytes((folder / name).read_bytes())
    file = home / "edgekit.toml"
    text = file.read_text().replace('meaning = "logits"', f'meaning = "logits"\nmetric = "my.py:{function}"')
    file.write_text(text + budget)
    return project.load(home)


def metric(folder: Path, function: str) -> OwnMetric:
    """Return a metric as a project would load it."""
    return custom.load(opened(folder, function))["logits"]


VALUES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def test_a_number_and_its_limits(folder: Path) -> None:
    """It is named after the function, gets an interval, and breaks or keeps its limit."""
    worst = {"out": metric(folder, "worst")}
    sides = a_trace({"out": VALUES}), a_trace({"out": VALUES + 1})
    for limit, result in ((1.5, LimitResult.KEPT), (0.5, LimitResult.BROKEN)):
        limits = Limits(custom={"worst": CustomLimit(max=limit)})
        (leg,) = compare("total", *sides, OUT, limits, own=worst)
        assert leg.metrics.custom["worst"] == pytest.approx(1, rel=1e-6)
        assert leg.intervals["worst"].high == pytest.approx(1, rel=1e-6)
        assert leg.checks[1].result is result
    (leg,) = compare("total", *sides, OUT, Limits(), own=worst)
    assert leg.metrics.custom == {"worst": pytest.approx(1, rel=1e-6)}
    assert "worst" not in leg.intervals


def test_numbers_by_name_and_true_values(folder: Path) -> None:
    """A dict gives several; the true values of the output are handed over."""
    own = {"out": metric(folder, "several")}
    targets = {"out": VALUES.round()}
    (leg,) = compare("total", *(a_trace({"out": VALUES}, targets=targets),) * 2, OUT, Limits(), own=own)
    assert leg.metrics.custom == {"psnr": 30, "right": 1}
    (leg,) = compare("total", *(a_trace({"out": VALUES}),) * 2, OUT, Limits(), own=own)
    assert leg.metrics.custom["right"] == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raising", r"my\.py:14 failed: ValueError: on purpose"),
        ("nothing", "returns 'nothing': None, which is no number"),
        ("taken", "returns cosine, which is the name of a built-in metric"),
        ("undefined", "returns nan for undefined"),
    ],
)
def test_a_metric_that_fails_is_told(folder: Path, function: str, message: str) -> None:
    """With file, line and reason; a number that is none is refused, too."""
    with pytest.raises(ProjectError, match=message) as caught:
        compare("total", *(a_trace({"out": VALUES}),) * 2, OUT, Limits(), own={"out": metric(folder, function)})
    assert caught.value.hint


def test_a_metric_of_a_broken_candidate_may_have_no_value(folder: Path) -> None:
    """NaN in, NaN out: the candidate is over budget for its NaN, and the metric is left out."""
    broken = VALUES.copy()
    broken[0, 0] = np.nan
    own = {"out": metric(folder, "worst")}
    (leg,) = compare("total", a_trace({"out": VALUES}), a_trace({"out": broken}), OUT, Limits(), own=own)
    assert leg.metrics.custom == {}
    assert [check.metric for check in leg.breaches] == ["non_finite"]


def test_a_limit_for_a_number_that_nothing_returns(folder: Path) -> None:
    """A slip of the pen must not pass the gate."""
    limits = Limits(custom={"worse": CustomLimit(max=1)})
    with pytest.raises(ProjectError, match=r"worse; did you mean worst\?"):
        compare("total", *(a_trace({"out": VALUES}),) * 2, OUT, limits, own={"out": metric(folder, "worst")})


def test_faults_that_show_before_the_work(folder: Path, tmp_path: Path) -> None:
    """A missing function, a file that fails, a limit without a metric: told before the model is loaded."""
    with pytest.raises(ProjectError, match=r"no function wurst; did you mean worst\?") as caught:
        job.check_gate(opened(folder, "wurst"))
    assert caught.value.hint == "Correct outputs[0].metric."
    (folder / "project" / "my.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(ProjectError, match=r"my\.py:1 failed: ModuleNotFoundError"):
        job.check_gate(project.load(folder / "project"))
    (folder / "project" / "my.py").unlink()
    with pytest.raises(ProjectError, match=r"outputs\[0\]\.metric: .*my\.py does not exist"):
        project.load(folder / "project")
    scaffold.init(tmp_path / "plain")
    file = tmp_path / "plain" / "edgekit.toml"
    file.write_text(file.read_text() + "\n[budget.total.custom]\npsnr = { min = 30 }\n")
    with pytest.raises(ProjectError, match="limits psnr, and no output has a metric"):
        job.check_gate(project.load(tmp_path / "plain"))
