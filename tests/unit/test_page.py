"""The pages agree with the JSON, fetch nothing, and are the same for the same values. In a browser: test_browser."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from edgekit.bundles import manifest
from edgekit.bundles.changes import BundleComparison, Change, Side
from edgekit.bundles.compare import compare_builds
from edgekit.bundles.manifest import Manifest
from edgekit.bundles.profile import Profile
from edgekit.bundles.verified import Board, Verified, VerifiedRun
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import DriftReport, LimitResult
from edgekit.model.onchip import Compiled, Executed, OnChip
from edgekit.render.page import build
from edgekit.render.page.changes import of_changes
from edgekit.render.page.columns import COLUMNS, columns_of, computed_on
from edgekit.render.page.forms import FORMS, text_of, text_of_pair
from edgekit.render.page.strip import line_of, sqnr_strips
from edgekit.render.page.template import render
from edgekit.render.page.terms import TERMS, tip
from edgekit.render.page.traced import Traced
from tests import pages
from tests.unit import examples, profiles

LIMIT = 1_500_000


def documents_of(built: Manifest, profile: Profile | None = None) -> dict[str, Any]:
    """Return the JSON files of a bundle, read as anybody would."""
    files = {"report": json.loads(manifest.report(built).to_json()), "reader": pages.reader(built, profile)}
    return files if profile is None else {**files, "profile": json.loads(profile.to_json())}


def comparison(**new: Any) -> BundleComparison:
    """Return what changed from the example to one with changes; ``drift`` and fields of the report."""
    old = manifest.report(examples.manifest())
    after = old.model_copy(update=new)
    return compare_builds(
        Side(path="old", report=old, drift=old.drift), Side(path="new", report=after, drift=after.drift)
    )


def emulated(*, passed: bool = True, by: str = "QEMU 10.0.13") -> Verified:
    """What a processor's kernels computed, one file being skipped."""
    place = f"model.pte on cortex-a53 under {by}"
    broken = examples.check("min_sqnr_db", 40.0, 31.5, LimitResult.BROKEN)
    legs = (
        examples.leg("device", place, sqnr_db=None),
        examples.leg("total", place, sqnr_db=31.5, checks=() if passed else (broken,)),
    )
    return Verified(
        model="digits",
        target="linux-arm64",
        manifest_sha256="0" * 64,
        emulator=by,
        runs=(
            VerifiedRun(
                artifact="model.pte", cpu_model="cortex-a53" if by else "", identical=0.975, max_abs_error=0.25
            ),
            VerifiedRun(artifact="model.onnx", cpu_model="", skipped="There is no header."),
        ),
        drift=DriftReport(samples=360, legs=legs, notes=("This is for answers, never for time.",)),
        verdict="passed" if passed else "failed",
    )


@pytest.mark.parametrize(
    "found", [emulated(), emulated(passed=False), emulated(by="")], ids=["passed", "failed", "own"]
)
def test_what_a_processors_kernels_computed_is_shown_as_on_the_terminal(found: Verified) -> None:
    """Each run, what was skipped and why, both legs and the limits; every figure is that of emulated.json."""
    built = examples.manifest()
    text = build.of_bundle(built, verified={"emulated": found})
    page = pages.read(text)
    files = documents_of(built) | {"emulated": json.loads(found.to_json())}
    assert pages.disagreements(page, files) == []
    assert page.documents == files
    shown = {path["data-path"]: told for path, told in page.figures}
    assert shown["/emulated/runs/0/identical"] == "97.50 %"
    assert shown["/emulated/runs/1/skipped"] == "There is no header."
    assert shown["/emulated/drift/legs/0/metrics/sqnr_db"] == "identical"
    assert ("are over a limit" in text) == (found.verdict == "failed")
    assert ("On an emulated device" in text) == bool(found.emulator)


def test_a_board_has_a_section_of_its_own() -> None:
    """Beside that of the emulator, with what the board says of itself."""
    board = Board(
        host="pi", model="Raspberry Pi", machine="aarch64", cpu_models=("Cortex-A76",), features=(), cores=4,
        system="Debian", kernel="Linux",
    )  # fmt: skip
    both = {"emulated": emulated(), "board": emulated(by="").model_copy(update={"board": board})}
    built = examples.manifest()
    page = pages.read(build.of_bundle(built, verified=both))
    files = documents_of(built) | {name: json.loads(one.to_json()) for name, one in both.items()}
    assert pages.disagreements(page, files) == []
    shown = {path["data-path"]: told for path, told in page.figures}
    assert (shown["/board/board/host"], shown["/emulated/emulator"]) == ("pi", "QEMU 10.0.13")


def test_another_result_of_a_processor_is_found() -> None:
    """The negative twin: another share in the file than on the page; and without a result there is no section."""
    built = examples.manifest()
    page = pages.read(build.of_bundle(built, verified={"emulated": emulated()}))
    files = documents_of(built) | {"emulated": json.loads(emulated().to_json())}
    files["emulated"]["runs"][0]["identical"] = 1.0
    assert any("/emulated/runs/0/identical" in fault for fault in pages.disagreements(page, files))
    assert 'id="emulated"' not in build.of_bundle(built)


@pytest.mark.parametrize("profile", [None, profiles.profile()], ids=["build", "profile"])
@pytest.mark.parametrize(("breach", "large"), [(False, False), (True, True)])
def test_page_and_json_agree(profile: Profile | None, breach: bool, large: bool) -> None:
    """Every figure is what the file says at the path it names, and no digit stands outside of a figure."""
    built = examples.manifest(breach=breach, large=large)
    page = pages.read(build.of_bundle(built, profile))
    files = documents_of(built, profile)
    assert len(page.figures) > (500 if profile else 100)
    assert pages.disagreements(page, files) == []
    assert page.documents == files


def text_of_first(page: str) -> str:
    """Return the words before the sections."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<header>")[2].partition("<nav")[0]).split())


def test_the_first_screen_is_for_a_manager() -> None:
    """Verdict, a sentence, three numbers with their change from float, and what was held against what."""
    words = text_of_first(build.of_bundle(examples.manifest()))
    assert "Passed digits for android-arm64" in words
    assert "int8 is 3.3x smaller than float, accuracy 98.61 % ( -0.28 points ), 91.00 % runs in the delegate" in words
    assert "latency not measured" in words
    assert "Held against float on NVIDIA H200 (cuda, float32) , on 360 evaluation samples." in words
    assert "Next step" not in words


def test_the_first_screen_of_a_failure_names_the_next_step() -> None:
    """Once, with what is broken; and of a profiled bundle the latency beside float's."""
    failed = text_of_first(build.of_bundle(examples.manifest(breach=True)))
    assert "Failed" in failed
    assert failed.count("Next step") == 1
    profiled = text_of_first(build.of_bundle(examples.manifest(), profiles.profile()))
    assert "not measured" not in profiled
    assert "0.680 ms" in profiled
    assert "of float's 0.550 ms" in profiled


def test_a_task_without_true_values_and_a_file_larger_than_float() -> None:
    """What is not known is not said."""
    legs = (examples.leg("total", "model.pte", accuracy=None, reference_accuracy=None),)
    changes = {"drift": DriftReport(samples=10, legs=legs), "artifacts": (examples.artifact(bytes=464_984),)}
    words = text_of_first(build.of_bundle(examples.manifest().model_copy(update=changes)))
    assert "int8 is 2.0x larger than float, the same answer as float in 99.17 %" in words
    assert "no true values were given" in words


def test_terms_say_what_a_good_value_is() -> None:
    """At the head of a column and in a section; a plain word has none."""
    text = build.of_bundle(examples.manifest(), profiles.profile())
    assert 'title="Signal to quantization noise ratio' in text
    assert 'id="terms"' in text
    assert all(term.good and term.means for term in TERMS.values())
    assert tip("SQNR dB") == tip("SQNR") == TERMS["SQNR"].tip
    assert tip("file") == ""


def test_answers_that_changed_are_fixed_or_broken() -> None:
    """By whether float was right."""
    found = profiles.profile()
    changed = found.classes[0].changed
    label, others = changed[0].reference, changed[0].candidate
    for truth, title in ((label, "Broken: float was right"), (others, "Fixed: float was wrong")):
        one = found.classes[0].model_copy(update={"changed": (changed[0].model_copy(update={"label": truth}),)})
        text = build.of_bundle(examples.manifest(), found.model_copy(update={"classes": (one,)}))
        assert [name for name in ("Broken", "Fixed", "both wrong") if f"<h4>{name}" in text] == [
            title.partition(":")[0]
        ]


def test_the_network_is_in_the_page() -> None:
    """As it is in graph.json, with its number of operations; without it there is no section."""
    drawing, built = examples.drawing(), examples.manifest()
    text = build.of_bundle(built, drawing=drawing)
    page = pages.read(text)
    files = documents_of(built) | {"graph": json.loads(drawing.model_dump_json())}
    assert pages.disagreements(page, files) == []
    assert page.documents == files
    assert ("17", "/graph/operations") in [(told, given["data-path"]) for given, told in page.figures]
    assert 'id="network"' not in build.of_bundle(built)


def test_a_page_of_300_layers_is_small() -> None:
    """With the graph of 300 layers and their ranges, under two megabytes."""
    text = build.of_bundle(examples.manifest(), profiles.profile(layers=300), drawing=examples.drawing(60))
    assert len(examples.drawing(60).operations) > 300
    assert len(text.encode()) < 2_000_000


def test_a_wrong_figure_is_found() -> None:
    """The negative twin: another value in the file, a changed text, and a figure without a source."""
    built = examples.manifest()
    text = build.of_bundle(built)
    other = documents_of(built)
    other["report"]["artifacts"][0]["bytes"] += 1000
    assert any("/report/artifacts/0/bytes" in fault for fault in pages.disagreements(pages.read(text), other))
    assert "63.4 kB" in text
    forged = pages.read(text.replace("63.4 kB", "62.4 kB"))
    assert any("62.4 kB" in fault for fault in pages.disagreements(forged, documents_of(built)))
    bare = pages.read(text.replace("<main", "<p>27.3 %</p><main"))
    assert pages.disagreements(bare, documents_of(built)) == ["untraced: '27.3 %'"]


def test_the_page_of_a_comparison_agrees_with_its_json() -> None:
    """Better, worse, one side only, other files: the same proof as for a build."""
    legs = (*examples.report(breach=True).legs[1:], examples.leg("device", "model.pte"))
    artifacts = (examples.artifact(bytes=70_000, operators=("aten::mean.out",)),)
    found = comparison(
        drift=DriftReport(samples=350, legs=legs),
        artifacts=artifacts,
        producer={"edgekit": "0.2.0"},
        verdict="failed",
    )
    page = pages.read(of_changes(found))
    files = {"comparison": json.loads(found.model_dump_json())}
    assert pages.disagreements(page, files) == []
    assert page.documents == files
    words = " ".join(page.rest)
    for needed in ("Failed", "(removed)", "Operators added", "These of its limits are broken"):
        assert needed in words
    files["comparison"]["new"]["drift"]["samples"] = 7
    assert pages.disagreements(page, files) != []


def test_a_comparison_without_changes_says_so() -> None:
    """Nothing is better or worse."""
    text = of_changes(comparison())
    assert "No metric changed" in " ".join(pages.read(text).rest)
    assert not any(f'class="result {change}"' in text for change in Change if change is not Change.SAME)


def test_bare_artifacts_are_compared_on_a_page() -> None:
    """There is no report of either, only what was measured now."""
    sides = [Side(path=name, report=None, drift=examples.report(doubt=True)) for name in ("a.pte", "b.pte")]
    found = compare_builds(*sides)
    page = pages.read(of_changes(found))
    assert pages.disagreements(page, {"comparison": json.loads(found.model_dump_json())}) == []


def test_the_same_values_give_the_same_bytes_in_any_process() -> None:
    """No time, no random identifier, no order of a set."""
    program = (
        "import sys\n"
        "from edgekit.render.page import build\n"
        "from tests.unit import examples, profiles\n"
        "sys.stdout.write(build.of_bundle(examples.manifest(), profiles.profile()))"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for seed in ("1", "2")
    ]
    assert done[0].stdout == done[1].stdout == build.of_bundle(examples.manifest(), profiles.profile()).encode()


def test_pages_fetch_nothing_and_are_small() -> None:
    """Links lead within the page, a policy forbids the rest, and 60 layers fit the limit."""
    profiled = build.of_bundle(examples.manifest(), profiles.profile(layers=60))
    for text in (build.of_bundle(examples.manifest()), profiled, of_changes(comparison())):
        assert all(link.startswith("#") or link == "data:," for link in pages.read(text).links)
        assert "default-src 'none'" in text
        assert "@import" not in text
    assert len(profiled.encode()) < LIMIT
    assert len(build.of_bundle(examples.manifest()).encode()) < 100_000


def test_layers_that_stay_float_are_listed() -> None:
    """Those of fallback with what each bought, and the lines to paste; nothing where all is int8."""
    built = examples.built(fallback=True).bundles[0].manifest
    page = pages.read(build.of_bundle(built))
    assert pages.disagreements(page, documents_of(built)) == []
    assert "#kept" in page.links
    shown = [text for _, text in page.figures]
    for needed in ("features.3.se.fc1", "+3.25", 'scheme = "int8-mixed"'):
        assert needed in shown
    assert "The budget is met." in " ".join(page.rest)
    named = built.model_copy(update={"fallback": None})
    assert "head.0" in [text for _, text in pages.read(build.of_bundle(named)).figures]
    assert "#kept" not in pages.read(build.of_bundle(examples.manifest())).links


def test_names_are_text_and_never_markup() -> None:
    """A label can neither end a script nor start an element."""
    evil = "</script><img src=x onerror=alert()>"
    profile = profiles.profile(labels=(evil, *"123456789"))
    text = build.of_bundle(examples.manifest(), profile)
    assert "<img src=x" not in text
    assert "<\\/script><img" not in text
    page = pages.read(text)
    assert page.documents["profile"]["classes"][0]["classes"][0]["name"] == evil
    assert evil in [shown for _, shown in page.figures]


def test_a_profile_without_its_optional_parts_has_a_page() -> None:
    """A dynamic scheme has no ranges, a detector no classes, a small baseline no noise."""
    bare = profiles.profile().model_copy(
        update={"sensitivities": None, "values": (), "lowering": (), "noise": (), "classes": (), "costs": (),
                "warnings": (), "paste": ()}
    )  # fmt: skip
    page = pages.read(build.of_bundle(examples.manifest(), bare))
    assert pages.disagreements(page, documents_of(examples.manifest(), bare)) == []
    assert {"#layers"} == {
        link for link in page.links if link in ("#layers", "#lowering", "#noise", "#classes", "#cost")
    }


def test_the_verdict_and_what_is_wrong_come_first() -> None:
    """Before any table: the broken limits, the doubts and the profile's warnings; nothing of them if all is well."""
    head = " ".join("".join(pages.read(build.of_bundle(examples.manifest(breach=True, large=True))).rest).split())
    assert head.index("Failed") < head.index("These limits are broken") < head.index("The files that an app can load")
    text = build.of_bundle(examples.manifest())
    assert "Passed" in text
    assert 'class="broken"' not in text
    doubtful = examples.manifest().model_copy(update={"drift": examples.report(doubt=True)})
    assert "not told apart from noise" in build.of_bundle(doubtful)


def test_figures_of_a_cpu_say_so() -> None:
    """Beside each leg and each time; a place with a GPU is called so."""
    text = build.of_bundle(examples.manifest(), profiles.profile())
    assert ">GPU, CPU</abbr>" in text  # the server leg
    assert f'title="Measured on {profiles.HOST}">host</abbr>'.replace("'", "&#39;") in text
    assert computed_on("float32 on NVIDIA H200 (cuda, float32)") == "GPU"
    assert computed_on("a (cpu, float32)", "b (cuda)") == "GPU, CPU"


def test_every_metric_has_a_column() -> None:
    """A new field of `Metrics` is not forgotten; a reference's own value stands beside its metric."""
    fields = {name for name in Metrics.model_fields if not name.startswith("reference_")} - {"custom"}
    assert {column.name for column in COLUMNS} == fields
    assert {f"reference_{column.name}" for column in COLUMNS if column.reference} == {
        name for name in Metrics.model_fields if name.startswith("reference_")
    }
    plain = examples.metrics(accuracy=None, reference_accuracy=None)
    assert "accuracy" not in [column.name for column in columns_of([plain])]
    assert "non_finite" in [column.name for column in columns_of([examples.metrics(non_finite=3)])]


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("db", None, "identical"), ("db", 39.428, "39.43"), ("gain", None, "all"), ("gain", 0.5, "+0.50"),
        ("figure", 1e-5, "1e-05"), ("figure", 1.0234, "1.02"), ("figure", 58_123, "58,123"), ("figure", 2e-3, "0.002"),
        ("percent", 0.999999, "99.99 %"), ("bytes", 999, "999 B"), ("bytes", 71_234, "71.2 kB"),
        ("ms", 0.41, "0.410 ms"), ("ms", 1234.5, "1,234.5 ms"), ("whole", 58_123, "58,123"), ("many", ["a", "b"], "2"),
        ("text", None, "none"),
        ("digest", "a" * 64, "a" * 12), ("cosine", 0.9999999, "0.99999"), ("number", 0.98, "0.98"), ("small", 0, "0"),
        ("percent0", 0.95, "95 %"), ("seconds", 75.4, "75 s"), ("key", 1, "torch"), ("rank", 1, "4"),
    ],
)  # fmt: skip
def test_forms(form: Any, value: Any, text: str) -> None:
    """Each form, at the values where rounding or null matter."""
    assert text_of(form, value, "3" if form == "rank" else "torch") == text


def test_every_form_is_tested() -> None:
    """The list above knows all of them; a value that has not the form is refused."""
    marks = test_forms.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(FORMS)
    for form, value in (("db", "x"), ("whole", None), ("percent", True), ("many", 3)):
        with pytest.raises(TypeError):
            text_of(form, value)  # type: ignore[arg-type]
    assert text_of_pair("share", 1, 4) == "25.0 %"
    assert text_of_pair("change", 90, 100) == "-10.0 %"
    assert text_of_pair("share", 1, 49_152) == "under 0.1 %"
    assert text_of_pair("share", 0, 49_152) == "0.0 %"
    assert text_of_pair("share", 1, 0) == ""


def test_a_value_is_not_printed_without_a_form() -> None:
    """A template that forgets the form fails; one that asks for what is not there fails too."""
    value = Traced(raw={"a/b": [1, 2]}, pointer="/report")
    assert [one.pointer for one in value["a/b"]] == ["/report/a~1b/0", "/report/a~1b/1"]
    with pytest.raises(TypeError, match="without saying how"):
        value.__html__()
    with pytest.raises(TypeError, match="title"):
        render("build.html.jinja", {"report": {}}, title=Traced(raw="x", pointer="/title"))


def test_strips_lie_on_one_line() -> None:
    """Identical is at the end, a limit left of the value that keeps it, a broken one right of it."""
    strips = sqnr_strips(examples.report(breach=True).legs)
    assert strips[2].value == 100
    broken = strips[4]
    assert broken.limit is not None
    assert broken.value < broken.limit
    assert broken.low is not None
    assert broken.high is not None
    assert 0 < broken.low <= broken.high
    assert line_of([None]).place(None) == 100
    assert line_of([-5.0, 10.0]).place(-5.0) == 0


def on_chip(executed: Executed, samples: int) -> Manifest:
    """Return a manifest whose first file was made for a chip."""
    told = OnChip(
        chip="SM8650",
        executed=executed,
        library="QNN HTP" if samples else "the extra is missing",
        samples=samples,
        elsewhere=("conv2d (stem): its weights are float",) if samples else (),
        figures={"cycles": 8680.0},
        compiled=(Compiled(file="compiled/model.onnx", sha256="1" * 64, bytes=251_322, soc="SM8650"),),
    )
    built = examples.manifest()
    first, *others = built.artifacts
    return built.model_copy(update={"artifacts": (first.model_copy(update={"on_chip": told}), *others)})


@pytest.mark.parametrize(("executed", "samples"), [(Executed.SIMULATED, 597), (Executed.NOT_EXECUTED, 0)])
def test_where_a_chip_ran_stands_beside_the_file(executed: Executed, samples: int) -> None:
    """Simulated or not executed, by what, on how many samples, with what the chip's compiler says."""
    built = on_chip(executed, samples)
    page = pages.read(build.of_bundle(built))
    assert pages.disagreements(page, documents_of(built)) == []
    text = build.of_bundle(built)
    assert str(executed) in text
    assert ("Its program stands in" in text) == (samples == 0)
    assert ("its weights are float" in text) == (samples > 0)
    assert "compiled/model.onnx" in text
    assert "on-chip" not in build.of_bundle(examples.manifest())
