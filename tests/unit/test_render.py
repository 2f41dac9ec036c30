"""How results look, at the width of a terminal and in a log."""

import io
import json
import os
import pty
import re
import select

import pytest
from rich.console import Console

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.profile import Profile
from edgekit.bundles.result import BuildResult
from edgekit.drift.report import DriftReport
from edgekit.render import json as render_json
from edgekit.render import summary, tables
from edgekit.render.drift import COLUMNS, columns_of, show_drift
from edgekit.render.layout import simple_table
from edgekit.render.profile import show_profile
from edgekit.render.terminal import TerminalProgress, console
from edgekit.spec.limits import RULES
from tests.unit import examples, profiles


def shown(width: int, encoding: str = "utf-8", *, breach: bool = False, large: bool = False) -> str:
    """Render the example of a build at a width."""
    return rendered(width, examples.built(breach=breach, large=large), encoding)


def rendered(width: int, result: BuildResult, encoding: str = "utf-8") -> str:
    """Render a build at a width."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, write_through=True) as stream:
        target = Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
        summary.show_summary(target, result)
        tables.show_build(target, result)
        tables.show_details(target, result)
        return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_a_build_fits_the_width(width: int) -> None:
    """No line of a table is broken or cut off, and what matters most is always there."""
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for needed in ("PASSED", "SQNR dB", "total pte", "lowering onnx", "360", "note: The evaluation set"):
        assert needed in text


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 120])
def test_no_word_and_no_number_is_broken(width: int) -> None:
    """Where rows have no room they are turned, or listed one by one."""
    text = shown(width)
    for whole in ("model.onnx", "80.0 ✓", "27.3 %", "1, 16, 64", "top1_agreement", "total onnx", "0.9817 to 1.002"):
        assert whole in text
    for title in ("artifact", "limit kB", "delegated", "plans kB", "allowed", "measured"):
        assert re.search(rf"(^| ){title}( |$)", text, re.MULTILINE)


@pytest.mark.parametrize("width", range(24, 60, 3))
def test_texts_are_wrapped_between_words_as_long_as_there_is_room(width: int) -> None:
    """Of a table with a short and a long text; all of it stands there at any width."""
    stream = io.StringIO()
    table = simple_table(("name", "left"), ("count", "right"), ("what it says", "left"))
    table.add_row("one", "1,234.5", "a sentence of some length")
    table.add_row("another", "7", "short")
    Console(file=stream, width=width).print(table)
    words = stream.getvalue().split()
    assert {"name", "one", "another", "count", "1,234.5", "7", "sentence", "length", "short"} <= set(words)
    assert max(map(len, stream.getvalue().splitlines())) <= width


def test_at_80_columns_accuracy_and_agreement_are_there() -> None:
    """Less important columns give way, and it is said which."""
    text = shown(80)
    for needed in ("98.89→98.61", "top-1 %", "identical", "max abs", "27.3 %", "No room for: mean abs, top-5"):
        assert needed in text


def test_at_120_columns_everything_is_there() -> None:
    """A wide terminal shows all metrics."""
    text = shown(120)
    assert "No room for" not in text
    titles = [column.title for column in columns_of(examples.report())]
    assert len(titles) == 8
    assert all(title in text for title in titles)


def test_failures_are_named() -> None:
    """The error says leg, artifact, metric, value and limit; the table marks the same numbers."""
    told = list(verdict.of_manifest(examples.manifest(breach=True, large=True)))
    for start in ("total model.pte: sqnr_db 11.25 against a limit of 25",
                  "total model.pte: top1_agreement 0.9125 against a limit of 0.98",
                  "model.onnx: size 90.0 kB against a limit of 80.0 kB"):  # fmt: skip
        assert any(line.startswith(start) for line in told)
    text = shown(80, breach=True, large=True)
    assert "FAILED" in text
    assert "11.25!" in text
    assert "91.25!" in text
    assert "PASSED" not in text


def test_limits_stand_with_their_intervals() -> None:
    """Measured value, interval and its result, for limits that are kept as well."""
    assert re.search(r"top1_agreement\s+total onnx\s+>= 0.98\s+0.9917\s+0.9817 to 1.002\s+kept", shown(120))
    assert re.search(r"sqnr_db\s+total pte\s+>= 25\s+11.25\s+10.75 to 11.75\s+broken", shown(120, breach=True))


def test_noise_is_no_failure() -> None:
    """A break that may be noise is told with the number of samples, and the verdict is PASSED."""
    stream = io.StringIO()
    target = Console(file=stream, width=120)
    summary.show_drift_summary(target, examples.report(doubt=True), "model.onnx")
    tables.show_comparison(target, examples.report(doubt=True))
    text = stream.getvalue()
    assert "noise: total model.onnx: top1_agreement 0.975 against a limit of 0.98 (95 %: 0.965 to 0.985)" in text
    assert "not told apart from noise with 360 samples" in text
    assert "PASSED" in text
    assert "FAILED" not in text


def test_a_passed_build_names_no_failure() -> None:
    """The negative twin."""
    assert list(verdict.of_manifest(examples.manifest())) == []
    assert "!" not in shown(120)


@pytest.mark.parametrize("width", [60, 120])
def test_layers_kept_in_float_are_told_with_the_lines_to_paste(width: int) -> None:
    """What each cost and bought, and a line that is whole at any width."""
    made = examples.built(fallback=True)
    text = rendered(width, made)
    line = 'float_layers = ["head.0", "features.3.se.fc1", "features.3.se.fc2", "features.4.se.fc1"]'
    assert f"    {line}\n" in text
    assert '    scheme = "int8-mixed"\n' in text
    for needed in ("features.3.se.fc1", "3.25", "36.50", "The budget is met.", "9.1 % of the weights", "2 attempts"):
        assert needed in " ".join(text.split())
    kept = render_json.build_result(made)["bundles"][0]["manifest"]["fallback"]
    assert line in kept["paste"]
    assert kept["kept"][0]["gain_db"] == 3.25
    assert "fallback" not in shown(width)


def test_every_budget_metric_marks_a_column() -> None:
    """Whatever limit the budget knows, the table can mark what broke it."""
    marked = {metric for column in COLUMNS for metric in column.of}
    assert {rule.metric for rule in RULES} | {"non_finite"} == marked


def test_a_long_list_is_not_cut_in_a_log() -> None:
    """What is not delegated is shortened in words, never by the width."""
    assert "and 3 more (--json lists all)" in " ".join(shown(80).split())


def test_what_computes_in_float_is_told_by_its_reason() -> None:
    """How many operations of each kind and what they cost, one line a reason; nothing where there is none."""
    no_kernel = "there is no int8 kernel for it"
    left = (
        examples.left_out("hardswish", "stem.2", reason=no_kernel, time_share=0.05),
        examples.left_out("mean", "head", reason="it reads float from hardswish", time_share=0.001),
        examples.left_out("hardswish", "head.2", reason=no_kernel, time_share=0.052),
        examples.left_out("conv2d", "last", reason="the settings or fallback keep it in float", float_bytes=4_000),
        examples.left_out("cumsum", outside=True, in_float=False, reason="the delegate has no such operation"),
    )
    made = examples.manifest()
    told = made.model_copy(update={"artifacts": (made.artifacts[0].model_copy(update={"left_out": left}),)})
    first, second = io.StringIO(), io.StringIO()
    tables.show_left_out(Console(file=first, width=120), told)
    text = " ".join(first.getvalue().split())
    for line in (
        f"model.pte in float: 2 hardswish: {no_kernel}; about 10.2 % of the time (estimated)",
        "model.pte in float: 1 mean: it reads float from hardswish; about 0.1 % of the time (estimated)",
        "keep it in float; about 2.0 % of the time (estimated), 4.0 kB of weights that are 1.0 kB in int8",
        "model.pte outside the delegate: 1 cumsum: the delegate has no such operation; about 2.0 % of the time",
    ):
        assert line in text
    tables.show_left_out(Console(file=second, width=120), made)
    assert "in float" not in second.getvalue()


def test_values_that_are_not_numbers_are_shown() -> None:
    """A column of its own appears only when there are some."""
    legs = (examples.leg("total", "model.pte", non_finite=7),)
    stream = io.StringIO()
    show_drift(Console(file=stream, width=80), DriftReport(samples=4, legs=legs))
    assert "NaN/inf" in stream.getvalue()
    assert "NaN/inf" not in shown(200)


def test_several_outputs_have_a_column() -> None:
    """Legs of two outputs can be told apart."""
    legs = (examples.leg("total", "model.pte"), examples.leg("total", "model.pte", output="boxes"))
    stream = io.StringIO()
    show_drift(Console(file=stream, width=120), DriftReport(samples=4, legs=legs))
    assert "boxes" in stream.getvalue()


def test_ascii_terminals_get_ascii() -> None:
    """A terminal that cannot show an arrow gets another one, not an error."""
    text = shown(120, encoding="ascii")
    assert "98.89>98.61" in text
    assert "?" not in text


def test_json_embeds_the_manifest() -> None:
    """Names are the manifest's; the stages' seconds are there, and the verdict."""
    data = json.loads(render_json.text(render_json.build_result(examples.built(breach=True))))
    assert data["passed"] is False
    assert data["seconds"][1] == {"stage": "quantize int8", "seconds": 12.5, "cached": False}
    assert data["bundles"][0]["folder"] == "artifacts/digits/android-arm64"
    assert data["bundles"][0]["manifest"] == json.loads(examples.manifest(breach=True).to_json())


def test_json_has_null_for_what_is_no_number() -> None:
    """JSON knows neither NaN nor infinity."""
    assert json.loads(render_json.text({"a": [float("nan"), (1.0, float("inf"))]})) == {"a": [None, [1.0, None]]}


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100.00"), (0.999999, "99.99"), (0.98889, "98.89"), (0.0, "0.00"), (1.25, "125.00")]
)
def test_only_a_whole_is_100_percent(share: float, text: str) -> None:
    """One wrong sample in a million is not hidden by rounding."""
    assert numbers.percent(share, 2) == text


def test_progress_in_a_log() -> None:
    """Plain lines without colours or animation."""
    stream = io.StringIO()
    with TerminalProgress(stream) as progress:
        progress.start("capture")
        progress.done("capture", 1.25, "digits")
        progress.start("lower")
        progress.done("lower", 61.0, "")
    assert stream.getvalue() == "[   1.2 s] capture: digits\n[  61.0 s] lower\n"


def test_quiet_progress_tells_no_stages() -> None:
    """Notes alone: what a person must know."""
    stream = io.StringIO()
    with TerminalProgress(stream, quiet=True) as progress:
        progress.note("this is the sample")
        progress.start("capture")
        progress.done("capture", 1.25, "digits")
    assert stream.getvalue() == "this is the sample\n"


@pytest.mark.parametrize("colour", [True, False])
def test_progress_on_a_terminal(colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished stages stay, NO_COLOR is honoured, and the cursor comes back even after an error."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    text = on_terminal()
    assert "✓" in text
    assert strip(text).index("preparing") < strip(text).index("capture")  # a sign of life before the first stage
    assert "capture  1.2 s  digits" in strip(text)
    assert ("\x1b[32m" in text) == colour
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def on_terminal() -> str:
    """Return what progress writes to a terminal."""
    ours, theirs = pty.openpty()

    def work(progress: TerminalProgress) -> None:
        progress.start("capture")
        progress.done("capture", 1.25, "digits")
        progress.start("lower")
        raise ValueError("on purpose")

    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        with pytest.raises(ValueError, match="on purpose"), TerminalProgress(stream) as progress:
            work(progress)
        text = b""
        while select.select([ours], [], [], 0.5)[0]:  # all is written, but a terminal hands it over in pieces
            text += os.read(ours, 65536)
    os.close(ours)
    return text.decode()


def strip(text: str) -> str:
    """Remove colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_consoles_measure_their_own_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS goes first; a log has a width of its own."""
    monkeypatch.setenv("COLUMNS", "66")
    assert console(io.StringIO()).width == 66
    monkeypatch.delenv("COLUMNS")
    assert console(io.StringIO()).width == 100


def shown_profile(profile: Profile) -> str:
    """Render a profile at the width of a log."""
    stream = io.StringIO()
    show_profile(console(stream), profile, "profile.json")
    return stream.getvalue()


def test_a_profile_tells_the_worst_of_it() -> None:
    """Layers unbroken, the most harmful first; where an artifact departs, costs, noise, and the lines to paste."""
    profile = profiles.profile()
    assert profile.sensitivities is not None
    text = shown_profile(profile)
    places = [text.index(f"  {one.layer.path} ") for one in profile.sensitivities.ranking[:12]]
    assert places == sorted(places)
    assert all(f"  {one.artifact} " in text for one in profile.costs)
    assert all(one.precision in text for one in profile.noise)
    gains = ("equalization", "+2.62"), ("smooth_quant", "+0.00"), ("ranges", "-0.90")
    lines = [next(line for line in text.splitlines() if step in line.split()) for step, _ in gains]
    assert all(line.rstrip().endswith(gain) for line, (_, gain) in zip(lines, gains, strict=True))
    assert sorted(lines, key=text.index) == lines, "what gives most stands first"
    assert all(f"warning: {line}" in text for line in profile.warnings)
    assert all(f"\n  {line}\n" in text for line in profile.paste)
    (faulty,) = [leg for leg in profile.lowering if leg.first is not None]
    assert f"{faulty.artifact}  departs at {faulty.first}" in text
    assert text.endswith("PASSED  profile.json\n")


def test_layers_are_shown_with_the_metric_of_their_task() -> None:
    """Mean IoU for a segmentation; nothing beside the SQNR where the task has none."""
    found = profiles.profile()
    assert found.sensitivities is not None
    assert "accuracy %" in shown_profile(found)
    none = {"accuracy": None, "top1_agreement": None}
    for metrics, title in (({"mean_iou": 0.8125}, "mean IoU %"), ({"iou_agreement": 0.8125}, "IoU agr. %"), ({}, "")):
        ranking = tuple(
            one.model_copy(update={"only": {"mask": examples.metrics(**{**none, **metrics})}})
            for one in found.sensitivities.ranking
        )
        changed = found.sensitivities.model_copy(update={"ranking": ranking})
        text = shown_profile(found.model_copy(update={"sensitivities": changed}))
        assert title in text
        assert ("81.25" in text) == bool(title)
        assert "accuracy %" not in text.partition("lowering")[0].partition("layers")[2]


def test_a_profile_without_a_ranking_has_no_table_of_layers() -> None:
    """Nor lines to paste, nor noise that nobody recorded, nor a fault where none was found."""
    found = profiles.profile()
    legs = tuple(leg.model_copy(update={"first": None}) for leg in found.lowering)
    empty = {"sensitivities": None, "paste": (), "steps": (), "noise": (), "warnings": (), "lowering": legs}
    text = shown_profile(found.model_copy(update=empty))
    absent = ("alone dB", "[quantize]", "own noise", "steps of", "warning", "departs")
    assert not [word for word in absent if word in text]
