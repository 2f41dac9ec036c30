"""The bundle for iPhones, without a phone: Swift on Linux where there is one, ExecuTorch's C++ runtime for the .pte."""

import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgekit import bundles
from edgekit.apps.phone import selftest
from edgekit.bundles.manifest import GoldenTensor, Manifest
from edgekit.data import trace
from edgekit.data.rows import Array, whole
from edgekit.data.samples import Samples
from edgekit.execution import pte
from edgekit.execution.calls import execute
from tests.e2e.conftest import edgekit

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "test-ios"
APP = ROOT / "ios-demo"
SAMPLE = APP / ".build" / "sample" / "artifacts" / "digits" / "ios-arm64"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sample's bundle for iPhones."""
    folder = tmp_path_factory.mktemp("ios")
    finished = edgekit("build", "--target", "ios-arm64", "--json", cwd=folder)
    assert finished.code == 0, finished.err
    return folder / "artifacts" / "digits" / "ios-arm64"


@pytest.fixture(scope="module")
def tested() -> Path:
    """Run the Swift tests, and return the folder that the self-test filled."""
    found = subprocess.run([SCRIPT, "--toolchain"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return APP / ".build" / "selftest"


def golden(folder: Path, tensor: GoldenTensor) -> Array:
    """Read a golden file."""
    return np.fromfile(folder / tensor.file, dtype=np.dtype(tensor.dtype).newbyteorder("<")).reshape(tensor.shape)


def test_swift_runs_the_onnx_artifact_and_passes(tested: Path) -> None:
    """The self-test's answer is written down whole: the .onnx passed, the .pte has no runtime on Linux."""
    written = tested / selftest.SELFTEST_FILE
    answer = selftest.parse(written.read_text(encoding="utf-8"), where=str(written))
    by_file = {artifact.file: artifact for artifact in answer.artifacts}
    assert answer.verdict == "passed"
    assert by_file["model.pte"].status == "skipped"
    assert by_file["model.pte"].failure == "no_runtime"
    onnx = by_file["model.onnx"]
    assert onnx.status == "passed"
    assert [leg.leg for leg in onnx.legs] == ["device", "total"]
    assert all(leg.within_tolerance and leg.limits for leg in onnx.legs)
    assert onnx.runs == 20
    median, p90, p95, p99 = (value or 0 for value in (onnx.median_ms, onnx.p90_ms, onnx.p95_ms, onnx.p99_ms))
    assert 0 < median <= p90 <= p95 <= p99


def test_the_trace_is_the_device_leg_of_compare(tested: Path, tmp_path: Path) -> None:
    """``edgekit compare`` holds it against the bundle's golden outputs, and the same numbers come out."""
    finished = edgekit("compare", tested / "model.onnx.npz", "--bundle", SAMPLE, "--json", cwd=tmp_path)
    assert finished.code == 0, finished.err
    measured = {leg["name"]: leg["metrics"] for leg in finished.json["drift"]["legs"]}
    written = selftest.parse((tested / selftest.SELFTEST_FILE).read_text(encoding="utf-8"), where="selftest.json")
    for leg in next(artifact.legs for artifact in written.artifacts if artifact.file == "model.onnx"):
        for name, value in leg.metrics.items():
            found = measured[leg.leg][name]
            assert (found is None) == (value is None), name
            assert value is None or found == pytest.approx(value, rel=1e-9, abs=1e-15), name


def test_the_trace_that_swift_wrote_is_read(tested: Path) -> None:
    """Python reads the .npz, finds where it was computed, and the host's own numbers in it."""
    manifest, found = bundles.read(SAMPLE), trace.load(tested / "model.onnx.npz")
    assert found.origin.program == "device"
    assert found.origin.model == manifest.model.weights_sha256
    assert found.origin.dtype == "int8"
    assert found.origin.kernels.startswith("ONNX Runtime ")
    assert len(found) == len(manifest.golden)
    assert found.samples.labels is not None
    assert [int(label) for label in found.samples.labels] == [row.label for row in manifest.golden]
    for number, row in enumerate(manifest.golden):
        assert np.array_equal(found.samples.inputs["image"][number : number + 1], golden(SAMPLE, row.inputs[0]))
        expected = next(output for output in row.outputs if output.artifact == "model.onnx")
        error = np.abs(found.outputs["logits"][number : number + 1] - golden(SAMPLE, expected)).max()
        assert error <= expected.max_abs_error


def test_executorch_gives_the_golden_outputs(built: Path) -> None:
    """The C++ runtime, one input at a time as the app feeds it, gives what the bundle says: int8 to the last bit."""
    manifest = bundles.read(built)
    outputs = run_pte(built, manifest, [golden(built, row.inputs[0]) for row in manifest.golden])
    for row, found in zip(manifest.golden, outputs, strict=True):
        expected = next(output for output in row.outputs if output.artifact == "model.pte")
        assert np.array_equal(found, golden(built, expected))


def test_another_input_gives_other_outputs_than_the_golden(built: Path) -> None:
    """The twin: what is held against the golden outputs is really computed."""
    manifest = bundles.read(built)
    row = manifest.golden[0]
    [found] = run_pte(built, manifest, [golden(built, row.inputs[0]) * np.float32(0.5)])
    expected = next(output for output in row.outputs if output.artifact == "model.pte")
    assert np.abs(found - golden(built, expected)).max() > expected.max_abs_error


def run_pte(folder: Path, manifest: Manifest, inputs: list[Array]) -> list[Array]:
    """Run inputs through the .pte, one at a time."""
    call = partial(pte.call, pte.load(folder / "model.pte"), manifest.inputs, manifest.outputs)
    name = manifest.inputs[0].name
    return [
        whole(execute(call, Samples(inputs={name: values}), manifest.inputs, batch=1)["logits"]) for values in inputs
    ]
