"""Extras of chips: one table, and what pyproject.toml, the docs and the shipped profiles say is the same."""

import tomllib
from functools import partial
from pathlib import Path

import pytest

from edgekit import targets
from edgekit.errors import ProjectError, ToolchainError
from edgekit.spec import Format, QuantSpec, Scheme, schemes
from edgekit.targets import extras
from edgekit.targets.extras import Extra

ROOT = Path(__file__).parents[2]


def test_the_project_file_has_every_extra() -> None:
    """With the same requirements."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in extras.EXTRAS:
        assert tuple(declared[extra.name]) == extra.packages
    assert declared["chips"] == [f"edgekit[{','.join(sorted(extra.name for extra in extras.EXTRAS))}]"]


def test_every_extra_is_for_a_shipped_target() -> None:
    """An extra without a target would serve nobody."""
    named = {targets.load(name).chip.name for name in targets.names()}
    assert {extra.chip for extra in extras.EXTRAS} <= named


def test_what_is_missing_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is named and cannot be made is an error at once; among all of them it is left out."""
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {})
    extra = Extra(name="toy", chip="hexagon", packages=("toy>=1",), lowers=True)
    monkeypatch.setattr(extras, "EXTRAS", (extra,))
    with pytest.raises(ToolchainError, match="needs toy>=1") as caught:
        targets.asked(["snapdragon-8-gen-3"])
    assert caught.value.hint == "pip install 'edgekit[toy]'"
    chosen, lacking = targets.asked(["all"])
    assert {"snapdragon-8-gen-3", "snapdragon-8-elite", "snapdragon-8-elite-gen-5"} == set(lacking)
    assert {target.name for target in chosen} | set(lacking) == set(targets.names())
    with pytest.raises(ToolchainError):
        targets.asked(["all", "snapdragon-8-elite"])


def test_of_all_targets_those_that_write_nothing_of_what_is_asked_for_are_left_out() -> None:
    """With the reason; one that is named is an error."""
    fits = partial(schemes.check, formats=(Format.ONNX,), spec=QuantSpec(scheme=Scheme.W8A16))
    chosen, left_out = targets.asked(["all"], fits)
    assert {"web", "linux-x86_64", "snapdragon-8-elite"} <= {target.name for target in chosen}
    assert {"cortex-m55", "ios-coreai", "android-vulkan"} <= set(left_out)
    assert "asked for is onnx" in left_out["android-vulkan"].message
    with pytest.raises(ProjectError, match="asked for is onnx"):
        targets.asked(["android-vulkan"], fits)


def test_files_that_are_made_without_an_extra_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it only runs them here, the build goes on."""
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {})
    chosen, lacking = targets.asked(["snapdragon-8-gen-3"])
    assert [target.name for target in chosen] == ["snapdragon-8-gen-3"]
    assert not lacking


def test_a_version_that_is_not_allowed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old package is as good as none."""
    monkeypatch.setattr("edgekit.targets.extras.installed", lambda *names: {"onnxruntime-qnn": "2.6.0"})
    extra = extras.of_chip("hexagon")
    assert extra is not None
    assert extra.missing == ("onnxruntime-qnn>=2.7,<2.8",)
