"""Text of a bundle or a person never becomes code in another language: a grammar where read, escapes where written."""

import ast
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from edgekit.apps import pins
from edgekit.apps.drop import drop
from edgekit.base import text
from edgekit.bundles.changes import BundleComparison
from edgekit.bundles.compare import compare_builds, read_side
from edgekit.bundles.manifest import Manifest, parse
from edgekit.cli.shell import say
from edgekit.drift.report import DriftReport
from edgekit.errors import AppError, BundleError, TargetError
from edgekit.pipeline import reproduce
from edgekit.render import cases, junit, markdown, summary, tables
from edgekit.render import changes as shown
from edgekit.render.next_step import next_step
from edgekit.render.page import build as page
from edgekit.render.page import changes as changes_page
from edgekit.render.terminal import console
from edgekit.targets import profiles
from tests.unit import examples
from tests.unit.test_drop import PACKAGE, ios_app

CODE = (
    'x"; import Foundation; let z = Process.run("/bin/sh") //',
    '1.0"\n[plugins]\nevil = "1',
    "1.0') ; exec('id",
    "1.0\\(exit(1))",
    "$(id)",
    "1.0`id`",
    "../../etc",
    "",
    "1 0",
    "1.0\n",
    "\u202e0.1",
    "9" * 201,
)
NASTY = (
    "\x1b]0;gotcha\x07\x1b[31m[red]a[/red] |b| ]]> <script>alert(1)</script> [x](javascript:y) ![i](http://a.b/c) "
    "\0\x85\u202e`**_z_** www.evil.example @everyone {{ 7*7 }}"
)


def manifest_with(change: Callable[[Any], None]) -> str:
    """The text of a manifest that was changed by hand."""
    data = json.loads(examples.manifest().to_json())
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize("version", CODE)
@pytest.mark.parametrize("package", ["executorch", "onnxruntime-objc", "org.pytorch:executorch-android"])
def test_versions_have_a_grammar(version: str, package: str) -> None:
    """What is no version is refused where a manifest is read."""
    with pytest.raises(BundleError, match="runtimes"):
        parse(manifest_with(lambda data: data["target"].update(runtimes={package: version})), where="m")


@pytest.mark.parametrize("package", [*CODE, "a:b:c", ":b", "a:"])
def test_package_names_have_a_grammar(package: str) -> None:
    """What is no coordinate is refused, too."""
    with pytest.raises(BundleError, match="runtimes"):
        parse(manifest_with(lambda data: data["target"].update(runtimes={package: "1.0"})), where="m")


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "x" * 101, ".hidden", "a\n", "$(id)", "a;b", 'a"b'])
@pytest.mark.parametrize("place", ["model", "target"])
def test_names_have_a_grammar(place: str, name: str) -> None:
    """Names of models and targets become folders and commands."""
    with pytest.raises(BundleError, match="name"):
        parse(manifest_with(lambda data: data[place].update(name=name)), where="m")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b", ".x", "a//b", "a\0b", "x" * 2000]
)
def test_paths_stay_inside(path: str) -> None:
    """No file of a bundle lies outside of it."""
    with pytest.raises(BundleError, match="file"):
        parse(manifest_with(lambda data: data["artifacts"][0].update(file=path)), where="m")


def test_a_version_in_package_swift_is_read_back() -> None:
    """Even a version that no grammar has seen stays between its quotes."""
    for version in CODE:
        try:
            written, _ = pins.into_package(PACKAGE, {"executorch": version})
        except AppError:
            continue
        line = next(line for line in written.split("\n") if "executorchBranch" in line)
        quoted = re.search(r'= "((?:[^"\\]|\\.)*)" // written by edgekit drop$', line)
        assert quoted is not None, line
        assert "\\(" not in quoted[1].replace("\\\\", "")
        assert len(written.split("\n")) == len(PACKAGE.split("\n"))


def test_a_bundle_that_would_write_code_is_refused(tmp_path: Path) -> None:
    """Before the app is touched."""
    app = ios_app(tmp_path / "app")
    before = {path: path.read_bytes() for path in app.rglob("*") if path.is_file()}
    source = examples.write_bundle(tmp_path / "bundle")
    change = {"name": "ios-arm64", "platform": "ios", "runtimes": {"executorch": CODE[0]}}
    (source / "manifest.json").write_text(manifest_with(lambda data: data["target"].update(change)))
    with pytest.raises(BundleError, match="runtimes"):
        drop(app, bundle=source)
    assert before == {path: path.read_bytes() for path in app.rglob("*") if path.is_file()}


def test_a_targets_versions_have_the_same_grammar(tmp_path: Path) -> None:
    """They become those of a bundle."""
    shipped = profiles.folder() / "ios-arm64.toml"
    own = tmp_path / "ios-arm64.toml"
    own.write_text(shipped.read_text(encoding="utf-8") + "\n[runtimes]\nexecutorch = '''" + CODE[0] + "'''\n")
    with pytest.raises(TargetError, match="runtimes"):
        profiles.load(own)


@pytest.mark.parametrize("error", [*CODE, '"""', 'a"', "a\\", '""\\"', '"""\nimport os\n"""', NASTY])
def test_a_reproducing_script_is_its_script(error: str) -> None:
    """Whatever the error said, it is the docstring, and what follows is what EdgeKit wrote."""
    tree = ast.parse(reproduce.text_of("print(1)\n", error))
    assert len(tree.body) == 2
    assert ast.get_docstring(tree)


def hostile(manifest: Manifest | None = None) -> Manifest:
    """A manifest all of whose free text is hostile."""
    one = manifest or examples.manifest(breach=True)
    drift = one.drift.model_copy(
        update={
            "notes": (NASTY,),
            "legs": tuple(
                leg.model_copy(
                    update={
                        "output": NASTY,
                        "reference": NASTY,
                        "candidate": NASTY,
                        "checks": tuple(check.model_copy(update={"metric": NASTY}) for check in leg.checks),
                        "metrics": leg.metrics.model_copy(update={"custom": {NASTY: 1.0}}),
                    }
                )
                for leg in one.drift.legs
            ),
        }
    )
    return one.model_copy(update={"drift": drift, "labels": (NASTY,) * 10, "baseline": NASTY})


def comparison() -> BundleComparison:
    """Two builds with hostile text on both sides."""
    side = read_side_of(hostile())
    return compare_builds(side, side.model_copy(update={"path": NASTY}))


def read_side_of(manifest: Manifest) -> Any:
    """A side without a folder."""
    from edgekit.bundles.changes import Side
    from edgekit.bundles.manifest import report

    found = report(manifest)
    return Side(path=NASTY, report=found, drift=found.drift)


def rendered() -> dict[str, str]:
    """Everything that shows text to people, by writer."""
    manifest = hostile()
    drift: DriftReport = manifest.drift
    suite, found = cases.of_manifest(manifest), comparison()
    out = io.StringIO()
    target = console(out)
    built = examples.built()
    result = replace(built, bundles=(replace(built.bundles[0], manifest=manifest),))
    for show in (summary.show_summary, tables.show_build, tables.show_details):
        show(target, result)
    say(out, f"hint: {next_step(manifest, Path('x'))}")
    shown.show_changes(target, found)
    say(out, f"error: {NASTY}")
    return {
        "terminal": out.getvalue(),
        "junit": junit.text((suite,)),
        "markdown": markdown.of_build([(suite, drift)]) + markdown.of_changes(suite, found),
        "page": page.of_bundle(manifest) + changes_page.of_changes(found),
    }


@pytest.fixture(scope="module")
def outputs() -> dict[str, str]:
    """What the writers make of hostile text."""
    return rendered()


@pytest.mark.parametrize("writer", ["terminal", "junit", "markdown", "page"])
def test_no_control_character_comes_out(outputs: dict[str, str], writer: str) -> None:
    """Nothing that a terminal or a reader obeys; what was there is shown written out."""
    left = set(outputs[writer]) & set("\x00\x07\x1b\x85\x9b\u202e\u2066\u2028")
    assert not left
    assert "x1b" in outputs[writer]


def test_rich_markup_is_text(outputs: dict[str, str]) -> None:
    """Brackets are brackets."""
    assert "[red]a[/red]" in re.sub(r"\s", "", outputs["terminal"].replace("\n", ""))


def test_junit_is_xml(outputs: dict[str, str]) -> None:
    """Any parser reads it, and no element comes from a name."""
    root = ElementTree.fromstring(outputs["junit"])  # noqa: S314 - our own text
    assert {element.tag for element in root.iter()} <= {"testsuites", "testsuite", "testcase", "failure", "system-out"}


def test_markdown_shows_names_as_text(outputs: dict[str, str]) -> None:
    """No link, picture, emphasis or element of a name is left once Markdown is read; tables keep their columns."""
    reader = MarkdownIt("gfm-like", {"linkify": False, "html": False})
    written = re.sub("<details><summary>All metrics</summary>|</details>", "", outputs["markdown"])
    html = reader.render(written)
    for forbidden in ("<a ", "<img", "<script", "<em>", "<code>", "<del>"):
        assert forbidden not in html, forbidden
    assert not re.search(r"(?<!&)@everyone|https?://a|www\.evil", outputs["markdown"])


def test_pages_show_names_as_text(outputs: dict[str, str]) -> None:
    """No element or attribute of a name is in a page."""
    own = re.sub(r"<script\b.*?</script>|<style\b.*?</style>", "", outputs["page"], flags=re.DOTALL)
    assert "<script" not in own
    assert "alert(1)" in own
    assert not re.search(r"""<[a-z]+\b(?:[^>"']|"[^"]*"|'[^']*')*\s(?:href|src|on\w+)=["']?(?:java|http)""", own)


def test_json_is_ascii() -> None:
    """What --json prints has no control character at all."""
    from edgekit.render import json as render_json

    printed = render_json.text({"label": NASTY})
    assert printed.isascii()
    assert not set(printed) & set("\x00\x07\x1b")
    assert json.loads(printed)["label"] == NASTY


def test_lines_stay_where_they_may() -> None:
    """An error may have several lines; a name has one."""
    assert text.plain("a\n\tb\r\x1b") == "a\n\tb\\x0d\\x1b"
    assert text.line("a\nb\ud800") == "a\\x0ab\\ud800"
    joined = "grün 猫 e\u0301 \U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e\u0648"
    assert text.plain(joined) == joined


def test_reading_a_side_keeps_the_path(tmp_path: Path) -> None:
    """A path is a value like others."""
    folder = examples.write_bundle(tmp_path / "bundle")
    assert read_side(folder).path == str(folder)
