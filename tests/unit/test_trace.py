"""Traces: what is saved is what is loaded, byte for byte, and damage is noticed."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.data import trace
from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Recording, Trace
from edgekit.errors import BundleError
from edgekit.spec import Cpu, Scheme

ORIGIN = Origin(
    program="artifact",
    device="cpu",
    device_name="Test CPU",
    dtype=Scheme.INT8,
    kernels="XNNPACK",
    kernels_of=Cpu.ARM64,
    versions={"torch": "2.13.0"},
    model="a" * 64,
    samples="b" * 64,
)
DTYPES = ("float32", "float16", "int64", "int32", "uint8", "int8", "bool")


def example(*, labels: bool = True) -> Trace:
    """Return a small trace."""
    numbers = np.random.default_rng(0)
    return Trace(
        samples=Samples(
            inputs={"x": numbers.normal(size=(6, 2, 3)).astype(np.float32), "ids": np.arange(6)[:, None]},
            labels=np.arange(6) if labels else None,
        ),
        outputs={"logits": numbers.normal(size=(6, 10)).astype(np.float32)},
        origin=ORIGIN,
    )


def assert_same(first: Trace, second: Trace) -> None:
    """Assert that two traces have the same names, dtypes, values and origin."""
    assert first.origin == second.origin
    assert first.samples.digest == second.samples.digest
    assert first.outputs.keys() == second.outputs.keys()
    for name, array in first.outputs.items():
        np.testing.assert_array_equal(array, second.outputs[name], strict=True)


@pytest.mark.parametrize("labels", [True, False])
def test_round_trip(tmp_path: Path, labels: bool) -> None:
    """A trace comes back as it went, with labels and without, into a folder that is made for it."""
    path = tmp_path / "deep" / "trace.npz"
    trace.save(example(labels=labels), path)
    loaded = trace.load(path)
    assert_same(loaded, example(labels=labels))
    assert len(loaded) == 6
    assert (loaded.samples.labels is not None) == labels


@settings(max_examples=30, deadline=None)
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    )
)
def test_round_trip_of_any_array(tmp_path_factory: pytest.TempPathFactory, array: Array) -> None:
    """Every dtype and shape is kept, NaN and infinity included."""
    path = tmp_path_factory.mktemp("trace") / "trace.npz"
    whole = Trace(samples=Samples(inputs={"x": array}), outputs={"y": array}, origin=ORIGIN)
    trace.save(whole, path)
    assert_same(trace.load(path), whole)


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither time nor the order of names is in the file."""
    first = example()
    second = Trace(
        samples=Samples(
            inputs={name: first.samples.inputs[name] for name in ("ids", "x")}, labels=first.samples.labels
        ),
        outputs=first.outputs,
        origin=ORIGIN,
    )
    trace.save(first, tmp_path / "a.npz")
    trace.save(second, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_another_trace_gives_other_bytes(tmp_path: Path) -> None:
    """The comparison of bytes can fail."""
    trace.save(example(), tmp_path / "a.npz")
    trace.save(example(labels=False), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() != (tmp_path / "b.npz").read_bytes()


def test_a_missing_file(tmp_path: Path) -> None:
    """A trace that was never recorded says how to record it."""
    with pytest.raises(BundleError, match=r"no trace file .*trace\.npz") as caught:
        trace.load(tmp_path / "trace.npz")
    assert "baseline record" in caught.value.hint


def saved(tmp_path: Path) -> bytes:
    """Return the bytes of a saved trace."""
    trace.save(example(), tmp_path / "whole.npz")
    return (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("kept", [0, 1, 30, 200, -200, -30, -1])
def test_a_truncated_file(tmp_path: Path, kept: int) -> None:
    """A file that ends too soon is refused, wherever it ends."""
    path = tmp_path / "trace.npz"
    path.write_bytes(saved(tmp_path)[:kept])
    with pytest.raises(BundleError, match=r"trace\.npz"):
        trace.load(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A flipped bit is refused, or it lies where it changes nothing; never another error, never other values."""
    folder = tmp_path_factory.mktemp("trace")
    content = bytearray(saved(folder))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = folder / "trace.npz"
    path.write_bytes(bytes(content))
    try:
        loaded = trace.load(path)
    except BundleError:
        return
    assert_same(loaded, example())


def rewritten(tmp_path: Path, **changes: Array | None) -> Path:
    """Return a trace file with some of its arrays replaced or left out."""
    with np.load(io.BytesIO(saved(tmp_path))) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    path = tmp_path / "trace.npz"
    np.savez(path, allow_pickle=False, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_rewritten_unchanged_is_loaded(tmp_path: Path) -> None:
    """The tests below change one thing; without the change all is well."""
    assert_same(trace.load(rewritten(tmp_path)), example())


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": None},
        {"origin": np.frombuffer(b"{}", dtype=np.uint8)},
        {"origin": np.frombuffer(ORIGIN.model_dump_json().replace('"version":1', '"version":2').encode(), np.uint8)},
        {"output.logits": None},
        {"input.x": None, "input.ids": None},
    ],
)
def test_parts_that_are_missing_or_of_another_version(tmp_path: Path, changes: dict[str, Array | None]) -> None:
    """A file without origin, inputs or outputs, or of a later version, is no trace."""
    with pytest.raises(BundleError, match=r"trace\.npz"):
        trace.load(rewritten(tmp_path, **changes))


def test_pickles_are_refused(tmp_path: Path) -> None:
    """A file with a pickle inside is not unpickled."""
    path = tmp_path / "trace.npz"
    np.savez(path, origin=np.array([{}], dtype=object))
    with pytest.raises(BundleError, match=r"trace\.npz"):
        trace.load(path)


def several(*, outputs: str = "logits") -> Trace:
    """Return a trace that was recorded in two precisions."""
    first = example()
    coarse = {outputs: np.round(first.outputs["logits"], 1)}
    origin = ORIGIN.model_copy(update={"dtype": "bfloat16"})
    return replace(first, beside=(Recording(outputs=coarse, origin=origin),))


def test_other_precisions_stand_beside_the_first(tmp_path: Path) -> None:
    """They come back in order, and a file without them is what it always was."""
    trace.save(several(), tmp_path / "several.npz")
    loaded = trace.load(tmp_path / "several.npz")
    assert_same(loaded, example())
    (beside,) = loaded.beside
    assert beside.origin.precision == "bfloat16"
    np.testing.assert_array_equal(beside.outputs["logits"], several().beside[0].outputs["logits"], strict=True)
    trace.save(example(), tmp_path / "one.npz")
    assert trace.load(tmp_path / "one.npz").beside == ()
    with np.load(tmp_path / "one.npz") as archive:
        assert not [name for name in archive.files if name.startswith("beside")]


def test_other_precisions_of_other_outputs_are_refused(tmp_path: Path) -> None:
    """Nothing would compare with them."""
    trace.save(several(outputs="scores"), tmp_path / "trace.npz")
    with pytest.raises(BundleError, match="other outputs in one precision"):
        trace.load(tmp_path / "trace.npz")


def test_the_place() -> None:
    """The short name of a place says when TF32 was allowed."""
    assert ORIGIN.place == "Test CPU (cpu, int8)"
    on_gpu = ORIGIN.model_copy(update={"device": "cuda", "dtype": "float32", "tf32": True})
    assert on_gpu.place == "Test CPU (cuda, float32 with TF32)"
