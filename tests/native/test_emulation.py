"""Verifying a bundle by the native program: on this machine, and through ARM's real kernels under an emulator."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import edgekit
from edgekit.apps.emulation import emulator as emulators
from edgekit.apps.emulation.emulator import Emulator
from edgekit.base import cache as caches
from edgekit.base.progress import Silent
from edgekit.bundles import golden
from edgekit.bundles.own import foreign
from edgekit.cli import main
from edgekit.errors import RunError, TargetError, ToolchainError
from edgekit.pipeline import emulate
from tests.native.conftest import Folder, persons_kit, picture_samples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def emulator(_one_cache: None) -> Emulator:
    """An emulator, if this machine has one."""
    if persons_kit() is None:
        pytest.skip("no emulator for ARM in the cache: edgekit verify --setup puts one there")
    return emulators.find()


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a .pte for ARM, all of whose operations compute with integers."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten())
    result = edgekit.build(
        nn.Sequential(*layers, nn.Linear(8 * 4 * 5, 4)).eval(),
        torch.zeros(8, 3, 20, 24),
        target="linux-arm64",
        calibration=torch.from_numpy(picture_samples(32, 1)["image"]),
        evaluation=torch.from_numpy(picture_samples(40, 2)["image"]),
        output=tmp_path_factory.mktemp("arm"),
        formats=("pte",),
        name="net",
        max_batch=16,
    )
    return result.bundles[0].folder


def test_arm_kernels_compute_what_x86_kernels_do(emulator: Emulator, arm: Path) -> None:
    """Bit by bit, on an old core and on one with newer instructions; the report says what was emulated."""
    store = caches.from_environment()
    found = emulate.verify(
        arm, None, Silent(), emulate=True, models=("cortex-a53", "neoverse-n2"), cache=store
    ).verified
    assert [(run.cpu_model, run.skipped) for run in found.runs] == [("cortex-a53", None), ("neoverse-n2", None)]
    assert [(run.identical, run.max_abs_error) for run in found.runs] == [(1.0, 0.0)] * 2
    assert found.emulator == f"QEMU {emulator.version}"
    assert found.verdict == "passed"
    assert [leg.name for leg in found.drift.legs] == ["device", "total"] * 2
    assert "neoverse-n2 under QEMU" in found.drift.legs[2].candidate
    assert any("never for time" in note for note in found.drift.notes)


def test_an_emulator_that_computes_wrongly_is_refused(
    emulator: Emulator, arm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that it computes is believed once it fails a golden vector."""
    wrong = tmp_path / "qemu"
    wrong.write_text(
        '#!/bin/sh\ncase "$*" in *selftest*) echo "FAILED  3 of 5 golden vectors"; exit 20;; esac\n'
        f'exec {emulator.command} "$@"\n'
    )
    wrong.chmod(wrong.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(emulators, "find", lambda: replace(emulator, command=wrong))
    with pytest.raises(RunError, match=r"does not compute the golden vectors.*FAILED {2}3 of 5.*exit code 20"):
        emulate.verify(arm, None, Silent(), emulate=True, models=("cortex-a53",), cache=caches.from_environment())


def test_a_model_of_processor_that_nobody_knows(emulator: Emulator, arm: Path) -> None:
    """Said with those that there are."""
    with pytest.raises(ToolchainError, match="knows no processor pentium") as caught:
        emulate.verify(arm, None, Silent(), emulate=True, models=("pentium",))
    assert "cortex-a53" in caught.value.hint


def test_without_an_emulator_the_way_out_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An x86 bundle is not emulated, an ARM bundle is nothing for this machine, and nothing is set up unasked."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError) as caught:
        emulators.find()
    assert "edgekit verify --setup" in caught.value.hint
    if json.loads((bundle / "manifest.json").read_text("utf-8"))["target"]["cpu"] == "x86_64":
        with pytest.raises(TargetError, match="is for x86_64, and what is emulated is arm64"):
            emulate.verify(bundle, None, Silent(), emulate=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit) as ended:
        main(["verify"])
    assert ended.value.code == 2
    assert "Say which BUNDLE to verify" in capfd.readouterr().err


def test_a_bundle_is_verified_on_its_own_processor(own: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    """The native program computes what the Python runtime does; what was measured lies in the bundle, as its own."""
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(own.bundle), "--json"])
    answer = json.loads(capfd.readouterr().out)["verified"]
    assert ended.value.code == 0
    assert [(run["identical"], run["max_abs_error"]) for run in answer["runs"]] == [(1.0, 0.0)]
    assert answer["emulator"] == ""
    assert answer["verdict"] == "passed"
    assert (own.bundle / "emulated.json").is_file()
    assert foreign(own.bundle) == ()
    assert golden.read(own.bundle, edgekit.bundles.read(own.bundle)) is not None
