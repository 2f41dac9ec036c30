"""Targets side by side, and where a chip's file was executed."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.bundles.result import BuildResult, NotBuilt
from edgekit.errors import LowerError, ToolchainError
from edgekit.model.onchip import Executed, OnChip
from edgekit.render import json
from edgekit.render.targets import on_chip_lines
from tests.unit import examples
from tests.unit.test_render import rendered


def several() -> BuildResult:
    """Return a build for four targets: two bundles, one that lacks its extra, one that could not be lowered."""
    built = examples.built()
    (first,) = built.bundles
    told = OnChip(chip="SM8650", executed=Executed.SIMULATED, library="QNN HTP", samples=360)
    artifact = first.manifest.artifacts[0].model_copy(update={"on_chip": told})
    target = first.manifest.target.model_copy(update={"name": "snapdragon"})
    manifest = first.manifest.model_copy(update={"artifacts": (artifact,), "target": target})
    lacking = ToolchainError("ethos needs vela, not installed here.", hint="pip install 'edgekit[ethos-u]'")
    refused = LowerError("no kernel for sort", hint="Leave it out.")
    return replace(
        built,
        bundles=(first, replace(first, manifest=manifest, folder=Path("artifacts/digits/snapdragon"))),
        not_built=(
            NotBuilt(target="ethos", error=lacking, failed=False),
            NotBuilt(target="vulkan", error=refused, failed=True),
        ),
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_targets_stand_side_by_side(width: int) -> None:
    """One table of all, with what ran each file; what was not built is said with the reason and the way out."""
    text = rendered(width, several())
    table = text[text.rindex("targets\n") :] if "targets\n" in text else text
    for needed in ("snapdragon", "simulated", "on this host"):
        assert needed in table
    assert "not built: ethos: ethos needs vela, not installed here. pip install 'edgekit[ethos-u]'" in text
    assert "NOT BUILT: vulkan: no kernel for sort Leave it out." in text
    assert "2 of 4 targets passed" in text


def test_a_missing_target_is_no_success() -> None:
    """One that could not be built fails the build; one whose extra is missing, while all were asked for, does not."""
    whole = several()
    assert not whole.passed
    assert replace(whole, not_built=whole.not_built[:1]).passed
    data = json.build_result(whole)["not_built"]
    assert [(one["target"], one["failed"]) for one in data] == [("ethos", False), ("vulkan", True)]


def test_one_target_has_no_table() -> None:
    """A single bundle is told by itself."""
    assert "targets passed" not in rendered(100, examples.built())


def test_what_leaves_the_chip_is_named() -> None:
    """With figures of the chip's compiler; of what was not executed the reason."""
    told = OnChip(
        chip="SM8650",
        executed=Executed.SIMULATED,
        library="QNN HTP",
        samples=2,
        elsewhere=("TopK (head)",),
        figures={"cycles": 8680.0, "sram_bytes": 1024.0},
    )
    lines = on_chip_lines("model.onnx", told)
    assert lines[0] == "model.onnx for SM8650: simulated by QNN HTP, 2 samples; outside the chip: TopK (head)"
    assert lines[1] == "model.onnx: cycles 8,680, sram bytes 1,024"
    whole = told.model_copy(update={"elsewhere": (), "figures": {}})
    assert on_chip_lines("model.onnx", whole)[0].endswith("all on the chip")
    absent = OnChip(chip="A17", executed=Executed.NOT_EXECUTED, library="no runtime here", samples=0)
    assert on_chip_lines("model.pte", absent) == [
        "model.pte for A17: not executed, no runtime here; its program stands in"
    ]
