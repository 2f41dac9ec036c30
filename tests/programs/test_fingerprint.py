"""Equal programs have equal fingerprints and come from the cache; others do not."""

import dataclasses
from pathlib import Path

import pytest
import torch

from edgekit import lowering, targets
from edgekit.base.cache import Cache
from edgekit.model import fingerprint
from edgekit.model.capture import capture
from edgekit.model.program import Captured, Source
from edgekit.quantization import quantize
from edgekit.spec import Dimension, Format, QuantSpec, Scheme
from tests.programs.networks import images, small_source


def of(captured: Captured, source: Source | None = None) -> str:
    """Return the fingerprint of a captured program."""
    found = fingerprint.of_program(captured.program, source or captured.source)
    assert found
    return found


def test_the_same_model_has_the_same_fingerprint() -> None:
    """Captured twice; the values of the samples do not matter."""
    source = small_source()
    assert of(capture(source, images(64, seed=1))) == of(capture(source, images(64, seed=2)))


def test_a_weight_a_name_a_range_and_an_operation_change_it() -> None:
    """One changed value is enough."""
    captured = capture(small_source(), images(64, seed=1))
    source, found = captured.source, [of(captured)]
    found.append(of(captured, dataclasses.replace(source, dimensions={"batch": Dimension(max=63)})))
    renamed = source.outputs[0].model_copy(update={"name": "scores"})
    found.append(of(captured, dataclasses.replace(source, outputs=(renamed,))))
    with torch.no_grad():
        next(iter(captured.program.state_dict.values())).view(-1)[0] += 1e-6
    found.append(of(captured))
    node = next(node for node in captured.program.graph.nodes if node.target is torch.ops.aten.reshape.default)
    node.args = (node.args[0], [-1, 4])
    found.append(of(captured))
    assert len(set(found)) == len(found)


def test_what_cannot_be_read_by_value_has_none() -> None:
    """Then it is lowered always."""
    captured = capture(small_source(), images(64, seed=1))
    captured.program.constants["script"] = object()
    assert fingerprint.of_program(captured.program, captured.source) is None


@pytest.mark.slow
def test_an_equal_program_is_lowered_once(tmp_path: Path) -> None:
    """The artifact from the cache is the lowered one in every field; another setting is another artifact."""
    store, target = Cache(folder=tmp_path), targets.load("android-arm64")
    samples = images(64, seed=1)
    first, second = (quantize(capture(small_source(), samples), Scheme.INT8, QuantSpec(), samples) for _ in range(2))
    for format in (Format.PTE, Format.ONNX):
        lowered, cached = lowering.lower(format, target, first, store)
        assert not cached
        assert lowering.lower(format, target, second, store) == (lowered, True)
        fresh, cached = lowering.lower(format, target, second, None)
        assert (fresh, cached) == (lowered, False)
    settings = target.onnx.model_copy(update={"activations": "int8"})
    other, cached = lowering.lower(Format.ONNX, target.model_copy(update={"onnx": settings}), first, store)
    assert not cached
    assert other != lowering.lower(Format.ONNX, target, first, store)[0]
    exported, cached = lowering.export_float(first.captured, store)
    assert not cached
    assert lowering.export_float(second.captured, store) == (exported, True)
