"""Sources: a project's model file or a module in memory, checked against what is declared."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekit.errors import SourceError
from edgekit.model.source import load_model, source_from_module
from edgekit.spec import Dimension, DType, TensorSpec, project, scaffold
from edgekit.spec.project import OpenProject

X = (TensorSpec(name="x", shape=("batch", 3)),)
Y = (TensorSpec(name="y", shape=("batch", 2)),)
BATCH = {"batch": 64}


class Net(nn.Module):
    """A linear layer with dropout; ``form`` says how the output is wrapped."""

    def __init__(self, form: str = "tensor") -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("offset", torch.ones(2))
        self.form = form

    def forward(self, x: Tensor) -> object:
        """Return the output, wrapped."""
        y = self.dropout(self.linear(x)) + self.offset
        match self.form:
            case "tuple":
                return y, y.argmax(1)
            case "list":
                return [y, y.argmax(1)]
            case "dict":
                return {"y": y, "best": y.argmax(1)}
            case "nothing":
                return (None,)
        return y


@pytest.fixture
def opened(tmp_path: Path) -> OpenProject:
    """A copy of the sample project."""
    scaffold.init(tmp_path / "project")
    return project.load(tmp_path / "project")


def changed(opened: OpenProject, *pairs: tuple[str, str]) -> OpenProject:
    """Replace parts of the model file and open the project again."""
    file = opened.root / "model.py"
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    return project.load(opened.root)


def refused(opened: OpenProject) -> str:
    """Return the message that the project's model is refused with."""
    with pytest.raises(SourceError) as caught:
        load_model(opened)
    assert caught.value.hint
    return caught.value.message


def test_the_sample_model() -> None:
    """The sample's model loads in eval mode with its weights, and is measured."""
    source = load_model(project.load(project.SAMPLE))
    assert source.name == "digits"
    assert not any(module.training for module in source.model.modules())
    assert source.parameters == sum(parameter.numel() for parameter in source.model.parameters())
    assert source.float_bytes > 4 * source.parameters
    assert len(source.weights_sha256) == 64
    assert source.dimensions == {"batch": Dimension(max=64)}


def test_the_digest_is_of_the_weights(opened: OpenProject) -> None:
    """Another copy has the same digest, other weights another one, and .pt weights the same as .safetensors."""
    digest = load_model(project.load(project.SAMPLE)).weights_sha256
    source = load_model(opened)
    assert source.weights_sha256 == digest
    state = source.model.state_dict()
    torch.save(state, opened.root / "weights.pt")
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace("weights.safetensors", "weights.pt"))
    assert load_model(project.load(opened.root)).weights_sha256 == digest
    state["classifier.bias"][0] += 1
    torch.save(state, opened.root / "weights.pt")
    assert load_model(project.load(opened.root)).weights_sha256 != digest


def test_arguments_reach_the_function(opened: OpenProject) -> None:
    """``model.arguments`` decides the shapes, so other arguments do not fit the weights."""
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace("classes = 10", "classes = 11"))
    message = refused(project.load(opened.root))
    assert "classifier: bias is (10,), the model has (11,); weight is (10, 128), the model has (11, 128)" in message
    assert "The model fits that build makes with classes = 10." in message


def test_missing_and_unexpected_weights(opened: OpenProject) -> None:
    """Keys that are missing or not expected are listed with the nearest name."""
    message = refused(changed(opened, ("self.hidden = ", "self.hiden = "), ("self.hidden(x)", "self.hiden(x)")))
    assert "hiden: missing weight, bias; did you mean hidden?" in message
    assert "hidden: unexpected bias, weight; did you mean hiden?" in message


def test_a_tensor_that_is_shared_may_be_stored_once(tmp_path: Path) -> None:
    """A safetensors file has a tied tensor under one of its names."""
    (tmp_path / "model.py").write_text(
        "from torch import nn\n"
        "class Tied(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a = nn.Linear(3, 3, bias=False)\n"
        "        self.b = nn.Linear(3, 3, bias=False)\n"
        "        self.b.weight = self.a.weight\n"
        "    def forward(self, x):\n"
        "        return self.b(self.a(x))\n"
    )
    weight = torch.eye(3) * 2
    save_file({"a.weight": weight}, tmp_path / "weights.safetensors")
    source = load_model(small_project(tmp_path, "Tied", classes=3))
    assert torch.equal(source.model.state_dict()["b.weight"], weight)
    assert source.parameters == 9
    assert source.float_bytes == 36


def small_project(folder: Path, function: str, *, classes: int) -> OpenProject:
    """Open a project of one input x (batch, 3) around files that are there."""
    (folder / "data.npz").write_bytes(b"")
    (folder / "edgekit.toml").write_text(
        f"""
        model = {{ name = "small", source = "model.py:{function}", weights = "weights.safetensors" }}
        inputs = [{{ name = "x", shape = ["batch", 3] }}]
        outputs = [{{ name = "y", shape = ["batch", {classes}] }}]
        data = {{ calibration = "data.npz", evaluation = "data.npz" }}
        """
    )
    return project.load(folder)


NEIGHBOURS = """
import dataclasses
from layers import Layer
@dataclasses.dataclass
class Settings:
    width: "int" = 3
def build():
    from lazy import WIDTH
    return Layer(WIDTH)
"""
LAYER = """
from torch import nn
class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(3, width)
    def forward(self, x):
        return self.linear(x)
"""


def test_the_model_file_may_import_its_neighbours(tmp_path: Path) -> None:
    """Two projects with files of the same names do not meet, and leave no trace in the interpreter."""
    before = list(sys.path), {name for name in sys.modules if not name.startswith("edgekit")}
    for width in (2, 5):
        folder = tmp_path / str(width)
        folder.mkdir()
        (folder / "model.py").write_text(NEIGHBOURS)
        (folder / "layers.py").write_text(LAYER)
        (folder / "lazy.py").write_text(f"WIDTH = {width}\n")
        save_file({"linear.weight": torch.zeros(width, 3), "linear.bias": torch.ones(width)},
                  folder / "weights.safetensors")  # fmt: skip
        source = load_model(small_project(folder, "build", classes=width))
        assert source.parameters == 4 * width
        program = torch.export.export(source.model, (torch.zeros(2, 3),))
        assert torch.equal(program.module()(torch.zeros(2, 3)), torch.ones(2, width))
    assert sys.path == before[0]
    assert "layers" not in sys.modules
    assert "lazy" not in sys.modules
    assert "model" not in sys.modules


def test_modules_of_the_same_name_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is loaded under a neighbour's name is neither used nor lost."""
    (tmp_path / "model.py").write_text(NEIGHBOURS)
    (tmp_path / "layers.py").write_text(LAYER)
    (tmp_path / "lazy.py").write_text("WIDTH = 4\n")
    save_file({"linear.weight": torch.zeros(4, 3), "linear.bias": torch.ones(4)}, tmp_path / "weights.safetensors")
    monkeypatch.setitem(sys.modules, "lazy", pytest)
    assert load_model(small_project(tmp_path, "build", classes=4)).parameters == 16
    assert sys.modules["lazy"] is pytest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def build(", "def biuld(", "model.py has no function build; did you mean biuld?"),
        ("_BLOCKS = (", "_BLOCKS = (1 / 0,", "model.py:10 failed: ZeroDivisionError"),
        ("from torch import", "from torhc import", "ModuleNotFoundError: No module named 'torhc'"),
        ("def build(", "def build(:", "SyntaxError"),
        ("def build(classes: int = 10, ", "def build(", "TypeError"),
        ("return DigitNet(", "return dict(", "returns a dict, no torch.nn.Module"),
    ],
)
def test_faults_in_the_model_file(opened: OpenProject, old: str, new: str, expected: str) -> None:
    """Syntax errors, failing imports, missing functions and failing calls name file, line and reason."""
    message = refused(changed(opened, (old, new)))
    assert expected in message
    assert str(opened.root / "model.py") in message


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00."])
def test_damaged_weights(opened: OpenProject, name: str, content: bytes) -> None:
    """A damaged file of either kind is named."""
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace("weights.safetensors", name))
    (opened.root / name).write_bytes(content)
    assert name in refused(project.load(opened.root))


def test_a_checkpoint_without_a_state_dict(opened: OpenProject) -> None:
    """It is told by what it holds."""
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace("weights.safetensors", "last.pth"))
    torch.save({"epoch": 3, "state_dict": {}}, opened.root / "last.pth")
    assert "holds no state dict; it holds epoch, state_dict" in refused(project.load(opened.root))


def test_an_unknown_kind_of_weights(opened: OpenProject) -> None:
    """It is named for what it is."""
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace('weights = "weights.safetensors"', 'weights = "model.py"'))
    assert "is Python code, no state dict" in refused(project.load(opened.root))


def test_pickled_code_is_not_run(opened: OpenProject) -> None:
    """Weights that want to call something are refused."""
    toml = opened.root / "edgekit.toml"
    toml.write_text(toml.read_text().replace("weights.safetensors", "weights.pt"))
    torch.save(nn.Linear(1, 1), opened.root / "weights.pt")
    assert "a whole pickled model" in refused(project.load(opened.root))


@pytest.mark.parametrize("training", [True, False])
def test_the_callers_module_is_left_alone(training: bool) -> None:
    """The source holds a copy in eval mode; the mode and the weights of the original are its own."""
    model = Net().train(training)
    model.linear.eval()
    source = source_from_module("net", model, X, Y, BATCH)
    assert model.training is training
    assert not model.linear.training
    assert not any(module.training for module in source.model.modules())
    with torch.no_grad():
        model.linear.weight.add_(1)
    again = source_from_module("net", model, X, Y, BATCH)
    assert again.weights_sha256 != source.weights_sha256
    assert (source.parameters, source.float_bytes) == (8, 40)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_floats_are_copied_to_float32(dtype: torch.dtype) -> None:
    """The artifacts compute in int8 and float32; the caller's weights keep their type."""
    model = nn.Linear(3, 2).to(dtype)
    inputs = (TensorSpec(name="input", shape=("batch", 3)),)
    source = source_from_module("net", model, inputs, Y, BATCH)
    assert {tensor.dtype for tensor in source.model.parameters()} == {torch.float32}
    assert model.weight.dtype is dtype
    assert torch.equal(source.model.state_dict()["weight"].to(dtype), model.weight)


def test_a_model_that_casts_by_itself_is_refused() -> None:
    """Its casts would meet float32 weights; the hint says so."""
    model = nn.Linear(3, 2).bfloat16()
    model.register_forward_pre_hook(lambda _, args: tuple(arg.bfloat16() for arg in args))
    inputs = (TensorSpec(name="input", shape=("batch", 3)),)
    with pytest.raises(SourceError, match="BFloat16") as caught:
        source_from_module("net", model, inputs, Y, BATCH)
    assert "bfloat16 weights were copied to float32" in caught.value.hint


@pytest.mark.parametrize("form", ["tuple", "list", "dict"])
def test_several_outputs(form: str) -> None:
    """Sequences are matched in order, mappings by name."""
    best = TensorSpec(name="best", dtype="int64", shape=("batch",))
    assert source_from_module("net", Net(form), X, (*Y, best), BATCH).outputs == (*Y, best)
    with pytest.raises(SourceError, match=r"net returns"):
        source_from_module("net", Net(form), X, (best, *Y), BATCH)
    with pytest.raises(SourceError, match=r"net returns"):
        source_from_module("net", Net(form), X, Y, BATCH)


def test_a_mapping_is_matched_by_name() -> None:
    """A wrong name is answered with the nearest."""
    outputs = (*Y, TensorSpec(name="bset", dtype="int64", shape=("batch",)))
    with pytest.raises(SourceError, match=r"returns \(y, best\), the outputs are \(y, bset\); did you mean best"):
        source_from_module("net", Net("dict"), X, outputs, BATCH)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        (("batch", 3), "float32", r"y is float32 of shape \(2, 2\), declared float32 of \(2, 3\)"),
        (("batch",), "float32", r"declared float32 of \(2,\)"),
        ((1, 2), "float32", r"declared float32 of \(1, 2\)"),
        (("batch", 2), "int64", r"declared int64 of \(2, 2\)"),
    ],
)
def test_outputs_must_be_as_declared(shape: tuple[int | str, ...], dtype: DType, expected: str) -> None:
    """Shape and dtype of every output are held against the declaration."""
    with pytest.raises(SourceError, match=expected):
        source_from_module("net", Net(), X, (TensorSpec(name="y", shape=shape, dtype=dtype),), BATCH)


def test_an_output_must_be_a_tensor() -> None:
    """Other values are named by their type."""
    with pytest.raises(SourceError, match="net returns nothing"):
        source_from_module("net", Net("nothing"), X, Y, BATCH)


def test_inputs_must_be_parameters_of_forward() -> None:
    """A misspelt input is answered with the nearest parameter."""
    spec = TensorSpec(name="xx", shape=("batch", 3))
    with pytest.raises(SourceError, match=r"forward takes \(x\), the inputs are \(xx\)"):
        source_from_module("net", Net(), (spec,), Y, BATCH)


def test_a_model_that_cannot_take_its_inputs() -> None:
    """The shapes that were tried stand beside the reason."""
    spec = TensorSpec(name="x", shape=("batch", 4))
    with pytest.raises(SourceError, match=r"fails on zeros \(x float32 \(2, 4\)\): RuntimeError"):
        source_from_module("net", Net(), (spec,), Y, BATCH)


def test_a_fixed_batch_of_one() -> None:
    """Where only one sample is allowed, it stands as a number, and nothing is left to vary."""
    source = source_from_module("net", Net(), X, Y, {"batch": 1})
    assert source.dimensions == {}
    assert (source.inputs[0].shape, source.outputs[0].shape) == ((1, 3), (1, 2))
    assert (source.batch, source.most) == (1, 1)


def test_a_module_that_cannot_be_copied() -> None:
    """What refuses to be copied is told from what can be; the error says so instead of torch's."""

    class Held:
        def __deepcopy__(self, memo: object) -> None:
            raise RuntimeError("there is one of me")

    model = Net()
    model.cache = model.linear.weight * 2  # a tensor with a history is copied by value
    source_from_module("net", model, X, Y, BATCH)
    vars(model)["held"] = Held()
    with pytest.raises(SourceError, match="net cannot be copied: RuntimeError: there is one of me"):
        source_from_module("net", model, X, Y, BATCH)


ENDS = {
    "sys.exit(0)": "import sys\nsys.exit(0)",
    "exit()": "raise SystemExit",
    "os._exit(0)": "import os\nos._exit(0)",
    "KeyboardInterrupt was raised": "raise KeyboardInterrupt",
    "Stop: here": "class Stop(BaseException): ...\nraise Stop('here')",
}


@pytest.mark.parametrize("words", ENDS)
@pytest.mark.parametrize("where", ["imported", "made", "run"])
def test_code_that_ends_the_process_is_refused(words: str, where: str, opened: OpenProject) -> None:
    """Whatever way it takes, at whatever time: it is an error with file and line, never a success without a bundle."""
    code = ENDS[words].splitlines()
    match where:
        case "imported":
            lines = code
        case "made":
            lines = ["def build(classes):", *(f"    {line}" for line in code)]
        case _:
            lines = [
                "import torch", "class Net(torch.nn.Module):", "    def forward(self, image):",
                *(f"        {line}" for line in code), "def build(classes):", "    return Net()",
            ]  # fmt: skip
    (opened.root / "model.py").write_text("\n".join(lines))
    if where == "run":
        (opened.root / "weights.safetensors").unlink()
        save_file({}, opened.root / "weights.safetensors")
    message = refused(opened)
    assert words.replace("exit()", "sys.exit(None)") in message
    if where != "run":
        assert f"model.py:{1 + lines.index(next(line for line in lines if code[-1] in line))} " in message


def test_a_process_that_a_model_file_forks_may_end(opened: OpenProject) -> None:
    """Workers of a loader end so."""
    lines = ("import os", "child = os.fork()", "if not child:", "    os._exit(0)", "status = os.waitpid(child, 0)[1]")
    changed(opened, ('"""', "\n".join((*lines, "assert status == 0", '"""'))))
    assert load_model(opened).name == "digits"


def test_an_output_without_a_batch_is_declared_with_one() -> None:
    """A project that takes one sample at a time says [1, ...] of it, as the files have it; the model stays as it is."""

    class Sum(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"total": x.sum(), "row": x[0]}

    outputs = (TensorSpec(name="total", shape=("batch",)), TensorSpec(name="row", shape=("batch", 3)))
    model = Sum()
    source = source_from_module("net", model, X, outputs, {"batch": 1})
    found = source.model(torch.ones(1, 3))
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {"total": (1,), "row": (1, 3)}
    assert model(torch.ones(1, 3))["total"].ndim == 0
    assert len(source.notes) == 2
    with pytest.raises(SourceError, match="something else than declared"):
        source_from_module("net", model, X, outputs, {"batch": 4})
