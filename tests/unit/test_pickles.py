"""Pickles are read and not run: what they say as values, what they name, and where they are damaged."""

import argparse
import collections
import contextlib
import pickle
import subprocess
import sys
import types
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.model.weights import machine
from edgekit.model.weights.danger import is_harmful, is_plain
from edgekit.model.weights.objects import array_of
from edgekit.model.weights.values import Global, PickleError, StoredArray, Unmade, printable

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(-99, 99), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("protocol", range(6))
@settings(max_examples=50, deadline=None)
@given(value=PLAIN)
def test_plain_values_are_what_unpickling_gives(protocol: int, value: Any) -> None:
    """In all protocols, in which bytes of the old ones are made by a call."""
    found = machine.read(pickle.dumps(value, protocol=protocol))
    assert found.value == value
    assert found.end == len(pickle.dumps(value, protocol=protocol))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_stay_unmade(protocol: int) -> None:
    """Their names, arguments and attributes can be read."""
    namespace = argparse.Namespace(hidden=3)
    counted = collections.Counter("aab")
    data = pickle.dumps(
        [namespace, counted, PurePosixPath("a/b"), collections.OrderedDict(a=1), 2 + 1j], protocol=protocol
    )
    found = machine.read(data)
    made, counter, path, ordered, number = found.value
    assert isinstance(made, Unmade)
    assert made.mapping == {"hidden": 3}
    assert counter.arguments == ({"a": 2, "b": 1},)
    assert path == "a/b"
    assert ordered == {"a": 1}
    assert isinstance(number, Unmade)
    assert Global("argparse", "Namespace") in found.globals


@pytest.mark.parametrize("protocol", range(2, 6))
def test_numbers_of_numpy(protocol: int) -> None:
    """Scalars are numbers; arrays are found when they are asked for."""
    data = pickle.dumps([np.float32(0.5), np.int64(-3), np.bool_(True), np.arange(3.0)], protocol=protocol)
    *scalars, array = machine.read(data).value
    assert scalars == [0.5, -3, True]
    assert array_of(array) == StoredArray("f8", (3,), np.arange(3.0).tobytes())


def test_nothing_is_called(tmp_path: Any) -> None:
    """Neither by a call nor by a state; what would be is known by name."""

    class Evil:
        def __reduce__(self) -> Any:
            return eval, (f"open({str(tmp_path / 'canary')!r}, 'w')",)

    found = machine.read(pickle.dumps({"a": Evil()}))
    assert found.globals == (Global("builtins", "eval"),)
    assert is_harmful(found.globals[0])
    assert not list(tmp_path.iterdir())


def test_the_call_of_a_result_is_harmful() -> None:
    """As in getattr(x, "y")(...): nobody knows what that is."""
    chain = b"cbuiltins\ngetattr\n(cbuiltins\nlist\nS'append'\ntR(tR."
    assert Global("?", "call of a result") in machine.read(chain).globals


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"0.", b"(.", b"((.", b"R.", b"NR.", b"NNR.", b"Na.", b"]a.", b"Ns.", b"}NNNu.", b"Nu.",
        b"h\x00.", b"g5\n.", b"p0\n.", b"q\x00.", b"b.", b"Nb.", b"NNb.", b"\x81.", b"o.", b"i.", b"\x93.",
        b"KK\x93.", b"Q.", b"NQ.", b"Pabc\n.", b"\x82\x01.", b"\x84\x01\x00\x00\x00.", b"\x97.", b"\x98.", b"1.", b"t.",
        b"l.", b"d.", b"(Nd.", b"\x85.", b"\x87.", b"2.", b"\x94.", b"\x8d" + b"\xff" * 8, b"\x8e" + b"\xff" * 8,
        b"\x96" + b"\xff" * 8 + b".", b"\x95" + b"\xff" * 8 + b".", b"\x8b\xff\xff\xff\x7f.", b"T\xff\xff\xff\x7f",
        b"L" + b"9" * 5000 + b"L\n.", b"F" + b"9" * 99 + b"\n", b"X\x02\x00\x00\x00\xff\xff.", b"S'\\", b"\xff",
        b"\x80\x63.", b"(" * 2_000_000, b"N" * 2_000_000, b"cos\nsystem\n(S'id'\ntR(tRb.",
    ],
)  # fmt: skip
def test_damaged_pickles_are_faults(data: bytes) -> None:
    """Of one kind, whatever is wrong, and without reserving what they claim."""
    with pytest.raises(PickleError):
        machine.read(data)


def test_a_large_place_in_the_memo_reserves_nothing() -> None:
    """The library's own reader makes a table of so many places."""
    assert machine.read(b"Nr\xff\xff\xff\x7f.").value is None


def test_deep_values_do_not_end_the_process() -> None:
    """A key that is hashed, or a value that is thrown away, a hundred thousand tuples deep."""
    program = (
        "from edgekit.model.weights import machine\n"
        "machine.read(b'}N' + b'\\x85' * 200000 + b'Ns.')\n"
        "machine.read(b'}' + b'}N' * 200000 + b's' * 200000 + b'.')\n"
        "machine.read(b'cos\\nx\\n' + b')R' * 200000 + b'.')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "PickleError" in done.stderr or done.returncode == 0


@pytest.mark.parametrize("seed", range(40))
def test_mutated_pickles_are_values_or_faults(seed: int) -> None:
    """A few thousand of them, of all protocols."""
    chance = np.random.default_rng(seed)
    value = {"a": [1, 2.5, "x", b"y", (None, True)], 3: argparse.Namespace(a={1, 2}), "n": np.ones(2), "c": range(3)}
    whole = pickle.dumps(value, protocol=seed % 6)
    for _ in range(50):
        data = bytearray(whole)
        for _ in range(int(chance.integers(1, 5))):
            match int(chance.integers(3)):
                case 0:
                    data[chance.integers(len(data))] = chance.integers(256)
                case 1:
                    del data[chance.integers(len(data)) :][: int(chance.integers(1, 9))]
                case 2:
                    place = chance.integers(len(data))
                    data[place:place] = bytes([int(chance.integers(256))])
        with contextlib.suppress(PickleError):
            machine.read(bytes(data))


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "nt.system", "builtins.eval", "builtins.getattr", "__builtin__.exec",
     "builtins.__import__", "subprocess.Popen", "importlib.import_module", "runpy.run_path", "torch.hub.load",
     "torch.jit.load", "pickle.loads", "numpy.testing._private.utils.runstring", "webbrowser.open",
     "operator.methodcaller", "dill._dill._create_function", "types.FunctionType",
     "torch.storage._load_from_bytes", "asyncio.create_subprocess_shell", "ctypes.CDLL"],
)  # fmt: skip
def test_what_runs_anything_is_harmful(name: str) -> None:
    """No weights name it."""
    assert is_harmful(Global(*name.rsplit(".", 1)))
    assert not is_plain(Global(*name.rsplit(".", 1)))


@pytest.mark.parametrize("kind", [argparse.Namespace, types.SimpleNamespace, collections.defaultdict, complex])
def test_what_holds_configuration_is_not(kind: type) -> None:
    """It is read as it stands."""
    assert not is_harmful(Global(kind.__module__, kind.__qualname__))


def test_names_of_a_pickle_cannot_steer_a_terminal() -> None:
    """They stand in messages."""
    assert printable("a\x1b[31mb\nc") == "a\\x1b[31mb\\x0ac"
    assert len(printable("a" * 10_000)) == 100


def test_reading_needs_no_torch() -> None:
    """A file that is no weights is named before torch is imported."""
    program = "import sys, edgekit.model.weights.stated; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "safetensors", "onnx"} & set(done.stdout.split())
