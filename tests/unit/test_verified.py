"""What an emulated device computed, as a person reads it."""

import io

from rich.console import Console

from edgekit.bundles.verified import Verified, VerifiedRun
from edgekit.drift.report import DriftReport
from edgekit.render.verified import show_verified
from tests.unit import examples


def found(*runs: VerifiedRun) -> Verified:
    """One run on one processor, and others that were not run."""
    place = "model.pte on cortex-a53 under QEMU 10.0.13"
    legs = (examples.leg("device", place, sqnr_db=None), examples.leg("total", place, sqnr_db=31.5))
    return Verified(
        model="digits",
        target="linux-arm64",
        manifest_sha256="0" * 64,
        emulator="QEMU 10.0.13",
        runs=(
            VerifiedRun(artifact="model.pte", cpu_model="cortex-a53", identical=1.0, max_abs_error=0.0),
            *runs,
        ),
        drift=DriftReport(samples=360, legs=legs, notes=("This is for answers, never for time.",)),
        verdict="passed",
    )


def shown(value: Verified) -> str:
    """What stands on a screen."""
    screen = io.StringIO()
    show_verified(Console(file=screen, width=110), value, "artifacts/digits/linux-arm64")
    return screen.getvalue()


def test_a_run_is_one_line() -> None:
    """With the share that is identical, and both legs; then what a reader must know, and the verdict."""
    text = shown(found())
    (line,) = [line for line in text.splitlines() if "cortex-a53" in line and "model.pte" in line]
    assert line.split() == ["model.pte", "cortex-a53", "100.00", "0", "identical", "99.17", "31.50"]
    assert "device (emulated by QEMU 10.0.13), 360 samples" in text
    assert "note: This is for answers, never for time." in text
    assert "PASSED  artifacts/digits/linux-arm64" in text


def test_what_was_skipped_is_told_with_its_reason() -> None:
    """It is no pass, and no failure."""
    text = shown(found(VerifiedRun(artifact="model.onnx", cpu_model="", skipped="There is no header.")))
    assert "model.onnx skipped: There is no header." in text
    assert next(line.split()[:2] for line in text.splitlines() if "skipped" in line) == ["model.onnx", "skipped"]


def test_the_file_is_read_back() -> None:
    """The same values, and the same text for the same values."""
    one = found()
    assert Verified.model_validate_json(one.to_json()) == one
    assert found().to_json() == one.to_json()
