"""Results in a notebook and at a prompt: one line, and a small table whose text becomes no markup."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from edgekit.base.progress import Silent
from edgekit.bundles.result import BuildResult, NotBuilt
from edgekit.errors import ProjectError, TargetError
from edgekit.inspection.predict import Prediction
from edgekit.render.telling import telling
from edgekit.render.terminal import TerminalProgress
from edgekit.spec import Budget, Format, QuantSpec, Scheme, arguments
from tests.unit import examples, profiles
from tests.unit.test_page import comparison


def test_results_are_one_line() -> None:
    """Whatever is in them."""
    built = examples.built()
    for value in (built, built.bundles[0], examples.report(), profiles.profile(), comparison()):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 200
    assert repr(built.bundles[0]) == "<digits for android-arm64: passed, model.pte 63.4 kB, model.onnx 71.2 kB>"
    assert built.failures == built.bundles[0].failures == ()
    failed = examples.built(breach=True, large=True)
    (over,) = failed.bundles
    assert repr(over).startswith("<digits for android-arm64: failed (")
    assert len(repr(over)) < 300
    assert any("model.onnx: size 90.0 kB" in line for line in over.failures)
    assert failed.failures
    assert all(line.startswith("android-arm64: ") and line[15:] in over.failures for line in failed.failures)
    assert failed._repr_html_().count("<li>") == len(failed.failures)
    assert "over the budget" in repr(examples.report(breach=True))
    assert "0.410 ms" in repr(profiles.profile())
    one = Prediction(artifact="model.pte", outputs={"logits": np.zeros((1, 2))}, classes=(("seven", 0.97),))
    assert repr(one) == "<model.pte: seven 97 %>"
    assert repr(Prediction(artifact="a.onnx", outputs={"x": np.zeros((1, 2))}, classes=())) == "<a.onnx: x 1x2>"


def test_a_notebook_shows_a_table() -> None:
    """With a row for each file, leg or layer."""
    built = examples.built()
    for value, words in (
        (built, ("model.pte", "71.2 kB", "report.html")),
        (built.bundles[0], ("model.pte",)),
        (examples.report(breach=True), ("11.25", "broken")),
        (profiles.profile(), ("features.0", "gain")),
    ):
        text = value._repr_html_()
        assert text.count("<table>") == 1
        assert all(word in text for word in words)
    lacking = NotBuilt(target="<b>web</b>", error=TargetError("no"), failed=True)
    text = BuildResult(bundles=(), seconds=(), not_built=(lacking,))._repr_html_()
    assert "&lt;b&gt;web&lt;/b&gt;" in text
    assert "<b>" not in text


def test_mappings_are_settings() -> None:
    """With the keys of a project file; every fault of one is named."""
    assert arguments.spec("quantization", {"scheme": "w8a16"}, QuantSpec, "a QuantSpec") == QuantSpec(
        scheme=Scheme.W8A16
    )
    spec = Budget()
    assert arguments.spec("budget", spec, Budget, "a Budget") is spec
    assert arguments.spec("budget", None, Budget, "a Budget") is None
    with pytest.raises(ProjectError, match="bias_corection: unknown key; did you mean bias_correction"):
        arguments.spec("quantization", {"bias_corection": True}, QuantSpec, "a QuantSpec")
    with pytest.raises(ProjectError, match="budget is a int"):
        arguments.spec("budget", 3, Budget, "a Budget")


def test_one_format_is_a_text() -> None:
    """And its letters are no formats."""
    assert arguments.formats_of("onnx") == arguments.formats_of(["onnx"]) == (Format.ONNX,)
    with pytest.raises(ProjectError, match="no format onx"):
        arguments.formats_of("onx")


def test_a_pipe_is_told_nothing_and_a_notebook_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody is named."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with telling(None) as told:
        assert isinstance(told, Silent)
    mine = Silent()
    with telling(mine) as told:
        assert told is mine
    app = SimpleNamespace(initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", SimpleNamespace(IPKernelApp=app))  # imported, and not run
    with telling(None) as told:
        assert isinstance(told, Silent)
    app.initialized = lambda: True
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with telling(None) as told:
        assert isinstance(told, TerminalProgress)
        told.done("capture", 1.0, "digits")
    assert stream.getvalue() == "[   1.0 s] capture: digits\n"
