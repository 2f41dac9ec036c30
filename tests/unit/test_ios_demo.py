"""What of the iOS demo app can be checked without Swift."""

import re
from pathlib import Path

import yaml

from edgekit import targets
from edgekit.apps.find import find
from edgekit.apps.pins import into_package

APP = Path(__file__).resolve().parents[2] / "ios-demo"


def test_the_package_pins_the_runtimes_of_the_target() -> None:
    """``Package.swift`` holds the versions of the one place that has them, in the form that ``edgekit drop`` writes."""
    text = (APP / "Package.swift").read_text(encoding="utf-8")
    for name in ("ios-arm64", "ios-simulator-arm64"):
        fresh, pins = into_package(text, targets.load(name).runtimes)
        assert len(pins) == 2
        assert fresh == text


def test_a_bundle_goes_where_the_app_looks_for_it() -> None:
    """The folder that ``edgekit drop`` fills is the one that Xcode copies, under the name that the app opens."""
    place = find(APP).place
    assert place == APP / "EdgeKitDemo" / "Resources" / "edgekit"
    project = yaml.safe_load((APP / "EdgeKitDemo" / "project.yml").read_text(encoding="utf-8"))
    app = project["targets"]["EdgeKitDemo"]
    copied = [source for source in app["sources"] if isinstance(source, dict)]
    assert copied == [{"path": "Resources/edgekit", "type": "folder", "buildPhase": "resources"}]
    opened = (APP / "EdgeKitDemo" / "App" / "AppModel.swift").read_text(encoding="utf-8")
    assert 'Bundle.main.url(forResource: "edgekit", withExtension: nil)' in opened


def test_the_linker_keeps_what_registers_itself() -> None:
    """Without ``-all_load`` every .pte fails on the phone, with "backend not registered"."""
    project = yaml.safe_load((APP / "EdgeKitDemo" / "project.yml").read_text(encoding="utf-8"))
    assert "-all_load" in project["targets"]["EdgeKitDemo"]["settings"]["base"]["OTHER_LDFLAGS"].split()


def test_the_app_knows_nothing_of_a_model() -> None:
    """No label, size, mean or name of a file of the sample's bundle stands in the app."""
    sources = "".join(path.read_text(encoding="utf-8") for path in APP.glob("EdgeKitDemo/App/*.swift"))
    assert not re.findall(r"model\.(?:pte|onnx)\b|digits|\.mean\b|\.std\b", sources)
