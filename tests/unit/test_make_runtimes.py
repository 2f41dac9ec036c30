"""The script that reads what runtimes carry: what it finds in a library, and how it joins two of them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from edgekit.targets import runtimes
from edgekit.targets.runtimes import Runtime

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_runtimes.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("make_runtimes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_as_the_script_lays_them_out(script: ModuleType) -> None:
    """Nobody wrote in them by hand: a space would show."""
    for path in Path(runtimes.__file__).parent.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert script.laid_out(Runtime.model_validate_json(text)) == text
        assert script.laid_out(Runtime.model_validate_json(text)) != text.replace(": ", ":")


def test_names_in_a_library(script: ModuleType) -> None:
    """Whole strings that end with a zero: neither mangled names nor parts of sentences."""
    data = (
        b"\x01aten::add.out\0executorch_prim::et_view.default\0std::bad_alloc\0see aten::mul.out for more\0"
        b"aten::sub\0XH00XnnpackBackend\0N10executorch8backends14VulkanBackendE\0the CoreMLBackend is off\0"
    )
    read = script.strings(data, "a library", "nothing")
    assert read.operators == {"aten::add.out", "executorch_prim::et_view.default", "aten::sub"}
    assert read.backends == {"XnnpackBackend"}


def test_what_only_one_library_has_is_doubtful(script: ModuleType) -> None:
    """Of operators, with the name of the library that has it; of backends only the common ones count."""
    one = script.strings(b"\0aten::add.out\0aten::sub.out\0XnnpackBackend\0VulkanBackend\0", "one", "")
    two = script.strings(b"\0aten::add.out\0aten::mul.out\0XnnpackBackend\0", "two", "")
    joined = script.combined("executorch", "1", [one, two])
    assert set(joined.operators) == {"aten::add.out"}
    assert {name: reason.split(",")[0] for name, reason in joined.doubtful.items()} == {
        "aten::sub.out": "it is in one",
        "aten::mul.out": "it is in two",
    }
    assert joined.backends == ("XnnpackBackend",)
    alone = script.combined("executorch", "1", [one])
    assert (set(alone.operators), alone.doubtful) == ({"aten::add.out", "aten::sub.out"}, {})


def test_operator_sets_in_runs() -> None:
    """A kernel without an end is for its own version alone, as ONNX Runtime takes it."""
    spec = importlib.util.spec_from_file_location("read_onnxruntime", SCRIPT.with_name("read_onnxruntime.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._ranges([False, True, True, False, True]) == [(2, 3), (5, 5)]
    assert module._covers((7, 12), 9)
    assert module._covers((13, module.OPEN), 13)
    assert not module._covers((13, module.OPEN), 14)
