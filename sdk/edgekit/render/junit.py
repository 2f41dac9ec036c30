"""JUnit XML, as GitHub's reporters, GitLab and Jenkins read it: one test case for each limit."""

from xml.etree import ElementTree

from edgekit.base.text import line
from edgekit.drift.report import LimitResult
from edgekit.render.cases import Case, Suite


def text(suites: tuple[Suite, ...]) -> str:
    """Return the XML. A broken limit is a failure; one whose break may be noise passes, and says so in its output."""
    root = ElementTree.Element("testsuites", {"name": "edgekit", **_counts([case for s in suites for case in s.cases])})
    for suite in suites:
        element = ElementTree.SubElement(root, "testsuite", {"name": line(suite.name), **_counts(list(suite.cases))})
        for case in suite.cases:
            _case(element, suite, case)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(cases: list[Case]) -> dict[str, str]:
    # Some readers want every one of these.
    failures = sum(case.result is LimitResult.BROKEN for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0", "time": "0"}


def _case(suite: ElementTree.Element, named: Suite, case: Case) -> None:
    # XML 1.0 has no way to write most control characters, escaped or not.
    place, sentence = line(case.place), line(case.sentence)
    names = {"classname": f"{line(named.name)}.{place}", "name": line(case.name)}
    element = ElementTree.SubElement(suite, "testcase", {**names, "time": "0"})
    if case.result is LimitResult.BROKEN:
        failure = ElementTree.SubElement(element, "failure", type="OverBudget", message=sentence)
        failure.text = f"{place}: {sentence}"
    else:
        ElementTree.SubElement(element, "system-out").text = f"{case.result}: {sentence}"
