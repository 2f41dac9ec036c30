"""What a gate leaves for build servers and pull requests: JUnit XML and Markdown."""

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from edgekit.bundles.changes import Side
from edgekit.bundles.compare import compare_builds
from edgekit.bundles.manifest import report
from edgekit.drift.statistics import Interval
from edgekit.render import cases, junit, markdown
from edgekit.render import changes as render
from edgekit.render.cases import Case, Suite
from tests import pages
from tests.unit import examples
from tests.unit.test_cli import error_of, run


def suite(**flags: bool) -> Suite:
    """Return the cases of a bundle."""
    return cases.of_manifest(examples.manifest(**flags))


def parsed(*suites: Suite) -> ElementTree.Element:
    """Write the XML and read it again."""
    return ElementTree.fromstring(junit.text(suites))  # noqa: S314 - our own text


def test_junit_has_one_case_for_each_limit() -> None:
    """Counts are those of the elements, suites are named after model and target, and nothing fails here."""
    root = parsed(suite())
    assert root.tag == "testsuites"
    (group,) = root
    found = group.findall("testcase")
    assert group.attrib == root.attrib | {"name": "digits.android-arm64"}
    assert int(group.attrib["tests"]) == len(found) == 3
    assert {(case.attrib["classname"], case.attrib["name"]) for case in found} == {
        ("digits.android-arm64.total model.onnx logits", "min_top1_agreement"),
        ("digits.android-arm64.model.pte", "size"), ("digits.android-arm64.model.onnx", "size"),
    }  # fmt: skip
    assert not list(root.iter("failure"))


def test_junit_names_what_is_broken() -> None:
    """Value, limit and interval stand in the failure; the counts follow."""
    root = parsed(suite(breach=True, large=True))
    failures = list(root.iter("failure"))
    assert root.attrib["failures"] == "3" == str(len(failures))
    assert failures[0].attrib["message"] == "sqnr_db 11.25 against a limit of 25 (95 %: 10.75 to 11.75)"
    assert failures[0].text == "total model.pte logits: " + failures[0].attrib["message"]
    assert failures[2].attrib["message"] == "size 90.0 kB against a limit of 80.0 kB"


def test_noise_passes_and_says_so() -> None:
    """In the output of its case."""
    root = parsed(cases.of_drift("x/model.onnx", examples.report(doubt=True)))
    assert root.attrib["failures"] == "0"
    assert root[0].attrib["name"] == "model.onnx"
    (said,) = root.iter("system-out")
    assert said.text is not None
    assert said.text.startswith("noise: top1_agreement 0.975 against a limit of 0.98")
    assert "not told apart from noise with 360 samples" in said.text


def test_junit_escapes_what_people_name() -> None:
    """Names with XML's own characters come back as they were."""
    case = Case(place='a<b>&"c"', name="n", result=suite().cases[0].result, allowed="", measured="", interval="",
                sentence="x < y")  # fmt: skip
    (group,) = parsed(Suite(name="a&b", cases=(case,)))
    assert group[0].attrib["classname"] == 'a&b.a<b>&"c"'


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a Markdown text: rows of cells, the titles first; every row has as many cells."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        inside = line.startswith("|")
    for table in found:
        assert len({len(row) for row in table if "---" not in row[0]}) == 1, table
    return found


def test_a_summary_has_verdict_limits_and_metrics() -> None:
    """A broken limit is in bold, kept ones are there too, and every metric of every leg follows."""
    good, bad = (markdown.of_build([(suite(breach=flag), examples.report(breach=flag))]) for flag in (False, True))
    assert "### EdgeKit: digits.android-arm64 passed" in good
    assert "### EdgeKit: digits.android-arm64 **failed**" in bad
    assert "**broken**" not in good
    limits, metrics = tables(bad)
    assert ["total model.pte logits", "min_sqnr_db", "&#62;= 25", "11.25", "10.75 to 11.75", "**broken**"] in limits
    assert ["lowering model.pte", "logits", "sqnr_db", "identical", "31.5 to 32.75"] in metrics
    assert "Measured on 360 samples." in bad
    assert "* The evaluation set is small" in bad
    doubtful = markdown.of_build([(cases.of_drift("m", examples.report(doubt=True)), examples.report(doubt=True))])
    assert "* total model.onnx: top1_agreement 0.975" in doubtful


def side(path: str = "old", *, breach: bool = False, **drift: Any) -> Side:
    """Return a build; keywords are changes of its drift report."""
    manifest = examples.manifest(breach=breach)
    found = manifest.drift.model_copy(update={"samples_sha256": "s", **drift})
    return Side(path=path, report=report(manifest).model_copy(update={"drift": found}), drift=found)


def test_a_change_as_table_and_markdown() -> None:
    """Both say the same of files, versions and metrics, and both name the new build's failures."""
    legs = list(examples.report(breach=True).legs)
    legs[1] = examples.leg("quantization", sqnr_db=20.5).model_copy(
        update={"intervals": {"sqnr_db": Interval(low=20.25, high=20.75)}}
    )
    found = compare_builds(side("old"), side("new", breach=True, legs=tuple(legs)))
    stream = io.StringIO()
    render.show_changes(Console(file=stream, width=140), found)
    text = markdown.of_changes(cases.of_side(found.new), found)
    for words in ("32.12 (31.5 to 32.75)", "20.5 (20.25 to 20.75)", "worse", "metrics did not change", "71.2 kB"):
        assert words in stream.getvalue()
        assert words in text
    assert "FAILED" in stream.getvalue()
    assert any(line.startswith("total model.pte: sqnr_db 11.25") for line in render.failures(found))
    assert "The new build **failed**; the old one passed." in text
    assert tables(text)
    same = compare_builds(side("old"), side("new"))
    stream = io.StringIO()
    render.show_changes(Console(file=stream, width=140), same)
    assert "PASSED" in stream.getvalue()
    assert "sqnr_db" not in stream.getvalue()


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles on disk, the second over its budget."""
    good, bad = examples.write_bundle(tmp_path / "good"), examples.write_bundle(tmp_path / "bad")
    for folder, breach in ((good, False), (bad, True)):
        manifest = examples.manifest(breach=breach)
        (folder / "manifest.json").write_text(manifest.to_json())
        (folder / "report.json").write_text(report(manifest).to_json())
    return good, bad


def test_compare_two_builds(bundles: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code is the second one's; folders and reports can be mixed; nothing is run."""
    good, bad = bundles
    code, out, err = run(capfd, "compare", good, bad / "report.json", "--json", "--junit", tmp_path / "j.xml")
    assert code == 20
    answer = json.loads(out)
    assert answer["passed"] is False
    assert answer["error"]["class"] == "OverBudgetError"
    assert "total model.pte: sqnr_db 11.25" in err
    assert answer["comparison"]["old"]["path"] == str(good)
    assert ElementTree.parse(tmp_path / "j.xml").getroot().attrib["failures"] == "2"  # noqa: S314 - our own file
    code, out, _ = run(capfd, "compare", bad / "report.json", good)
    assert code == 0
    assert "PASSED" in out


def test_what_changed_as_a_page(bundles: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Written whatever the verdict, with the numbers of --json; for two paths alone, and to a place that is one."""
    good, bad = bundles
    file = tmp_path / "changes.html"
    code, out, _ = run(capfd, "compare", good, bad, "--page", file, "--json")
    assert code == 20
    page = pages.read(file.read_text("utf-8"))
    assert page.documents == {"comparison": json.loads(out)["comparison"]}
    assert pages.disagreements(page, page.documents) == []
    code, out, _ = run(capfd, "compare", good, "--page", file, "--json")
    assert (code, error_of(out)["class"]) == (2, "UsageError")
    assert run(capfd, "compare", good, bad, "--page", tmp_path / "no" / "p.html")[0] == 2
    assert run(capfd, "compare", good, bad, "--page", tmp_path)[0] == 2


def test_a_summary_is_appended(bundles: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What other steps wrote stays; a dash prints it in place of the table."""
    good, bad = bundles
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    assert run(capfd, "compare", good, bad, "--summary", file)[0] == 20
    first = file.read_text()
    assert first.startswith("before\n### EdgeKit: ")
    assert run(capfd, "compare", good, bad, "--summary", file)[0] == 20
    assert file.read_text().startswith(first)
    assert len(file.read_text()) == 2 * len(first) - len("before\n")
    code, out, _ = run(capfd, "compare", good, bad, "--summary", "-")
    assert code == 20
    assert out == first.removeprefix("before\n")


def test_wrong_files(bundles: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Told before the work; what is no report is a bundle error."""
    good, _ = bundles
    assert run(capfd, "compare", good, good, "--junit", tmp_path / "no" / "j.xml")[0] == 2
    assert run(capfd, "build", "--target", "android-arm64", "--summary", tmp_path / "no" / "s.md")[0] == 2
    assert run(capfd, "compare", good, good, "--summary", tmp_path)[0] == 2
    code, out, _ = run(capfd, "compare", good, good, "--summary", "-", "--json")
    assert (code, error_of(out)["class"]) == (2, "UsageError")
    (tmp_path / "other.json").write_text("{}")
    for wrong in (tmp_path / "other.json", tmp_path / "missing.json", tmp_path):
        code, out, _ = run(capfd, "compare", good, wrong, "--json")
        assert (code, error_of(out)["class"]) == (11, "BundleError")
