"""Bisection on a chip: its library runs copies with inner values as outputs, and what it does otherwise is named."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest
import torch

from bench.planted import Built
from edgekit import chips, lowering, targets
from edgekit.chips import Chip, Copy
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.errors import RunError
from edgekit.execution import onnx as runtime
from edgekit.execution.calls import Call
from edgekit.pipeline.bisecting.against import Against, Candidate
from edgekit.pipeline.bisecting.candidates import Told, compared
from edgekit.pipeline.job import Job
from edgekit.quantization import quantize
from edgekit.spec import Budget, Format, QuantSpec, Scheme, Target
from edgekit.targets import extras
from tests.bench.test_planted import small, transposed

pytestmark = pytest.mark.slow
TARGET = targets.load("openvino-x86_64")


@pytest.fixture(scope="module")
def built() -> Built:
    """The small network."""
    torch.manual_seed(0)
    return small(Scheme.INT8)


def told(built: Built, chip: Chip, data: bytes | None = None, target: Target = TARGET) -> Told:
    """Hold a file against its program on a chip."""
    source, program, format = built.quantized.captured.source, built.quantized, target.formats[0]
    own, _ = chip.lower(format, target, program, None)
    job = Job(
        source=source,
        calibration=built.samples,
        evaluation=built.samples,
        baseline=None,
        quantization=QuantSpec(),
        budget=Budget(),
    )
    against = Against(program=program, own=own, job=job, target=target, chip=chip)
    return compared(Candidate(name=own.file, format=format, source=data or own.data), against)


def by_ones(change: Callable[[bytes], bytes]) -> Chip:
    """Return a chip that takes one sample in a call, by a real runtime, and does something to what it loads."""

    def opened(copy: Copy) -> Call:
        call = partial(runtime.call, runtime.load(change(copy.data), TARGET.cpu), copy.source.inputs, copy.outputs)

        def one(part: Samples) -> Mapping[str, Array]:
            assert len(part) == (copy.source.batch or 1)
            return call(part)

        return one

    return replace(chips.of_target(TARGET), open=opened)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chip's packages are taken for installed: these tests bring a runtime of their own."""
    monkeypatch.setattr(extras.Extra, "missing", property(lambda self: ()))


@pytest.mark.usefixtures("installed")
def test_a_chip_that_computes_right_parts_nowhere(built: Built) -> None:
    """Every place is seen in the chip's library."""
    found = told(built, by_ones(lambda data: data)).compared
    assert found.parting is None
    assert found.inside
    assert found.note.startswith("By OpenVINO on a CPU, as a build runs it. Seen at ")


@pytest.mark.usefixtures("installed")
def test_a_chip_that_computes_wrong_is_told_from_the_file(built: Built) -> None:
    """The twin: the file is right, and the library transposes a weight when it loads it."""
    found = told(built, by_ones(lambda data: transposed(data, 1))).compared
    assert found.parting is not None
    assert (found.parting.operation, found.parting.path) == ("conv2d", "second")


def test_without_its_library_the_file_is_run_by_a_processor(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the answer says so, with what installs it; a fault of the file is found all the same."""
    monkeypatch.setattr(extras.Extra, "missing", property(lambda self: ("openvino<2027",)))
    whole = told(built, chips.of_target(TARGET)).compared
    assert whole.parting is None
    assert "not by OpenVINO on a CPU's: openvino<2027 is not installed: pip install 'edgekit[openvino]'" in whole.note
    own, _ = lowering.lower(Format.ONNX, TARGET, built.quantized, None)
    faulty = told(built, chips.of_target(TARGET), transposed(own.data, 1)).compared
    assert faulty.parting is not None
    assert faulty.parting.path == "second"


def test_what_nothing_here_runs_is_not_called_identical(built: Built) -> None:
    """The program that stands in for a file's answers is not held against itself."""
    target = targets.load("android-vulkan")
    captured, placing = built.quantized.captured, chips.of_target(target).placing
    theirs = replace(built, quantized=quantize(captured, Scheme.INT8, QuantSpec(), built.samples, placing))
    with pytest.raises(RunError, match="it is for Vulkan, and ExecuTorch's wheels for Linux have no Vulkan runtime"):
        told(theirs, chips.of_target(target), target=target)


def test_a_real_library(built: Built) -> None:
    """OpenVINO itself: nothing parts in the file, and the planted operation is named."""
    pytest.importorskip("openvino", reason="needs the extra openvino")
    chip = chips.of_target(TARGET)
    assert told(built, chip).compared.parting is None
    own, _ = lowering.lower(Format.ONNX, TARGET, built.quantized, None)
    found = told(built, chip, transposed(own.data, 1)).compared
    assert found.parting is not None
    assert found.parting.path == "second"
