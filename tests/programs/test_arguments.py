"""Calls of the Python API at its edges: each ends in a working build, or at once in an error that says the way out."""

import collections
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import edgekit
from edgekit.base.progress import Silent
from edgekit.bundles.result import BuildResult
from edgekit.errors import DataError, EdgeKitError, ProjectError, SourceError, TargetError
from edgekit.execution import pte
from edgekit.model.source import samples_of, source_from_example
from edgekit.model.source.given import samples_given
from edgekit.spec import Budget, Limits
from tests.sessions import exact_session

X = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
IDS = torch.arange(320).reshape(40, 8) % 5
CLASSES = torch.arange(40) % 6
LABELS = list("abcdef")
Pair = collections.namedtuple("Pair", "scores features")


@dataclasses.dataclass
class Both:
    """What a model may return."""

    scores: Tensor
    features: Tensor


class Net(nn.Module):
    """Two layers; ``form`` says what is returned."""

    def __init__(self, form: Callable[[Tensor, Tensor, Tensor], Any] = lambda x, hidden, scores: scores) -> None:
        super().__init__()
        self.hidden, self.scores, self.form = nn.Linear(8, 16), nn.Linear(16, 6), form
        self.constant: Tensor
        self.register_buffer("constant", torch.arange(6.0)[None])

    def forward(self, x: Tensor) -> Any:
        """Return what the form makes of input, features and scores."""
        hidden = torch.relu(self.hidden(x))
        return self.form(x, hidden, self.scores(hidden))


class Keyword(Net):
    """Needs an argument by name."""

    def forward(self, x: Tensor, *, scale: float) -> Any:  # type: ignore[override]
        """Return scaled scores."""
        return super().forward(x) * scale


class Several(Net):
    """Takes any number of arguments."""

    def forward(self, *parts: Tensor, scale: float = 1.0) -> Any:
        """Return the scores of the sum."""
        return super().forward(parts[0] + parts[1] * scale)


class Optional(Net):
    """Has an argument that may be left out."""

    def forward(self, x: Tensor, more: Tensor | None = None) -> Any:
        """Return the scores of the sum."""
        return super().forward(x if more is None else x + more.float())


def named(*names: str) -> nn.Module:
    """Return a network whose parameters have these names."""

    class Named(Net):
        def forward(self, *parts: Tensor) -> Any:
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return super().forward(total)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *names)])
    vars(Named)["forward"].__signature__ = signature
    return Named()


def batches() -> Iterator[Tensor]:
    """Yield the samples in parts."""
    yield from (X[start : start + 8] for start in range(0, len(X), 8))


def failing() -> Iterator[Tensor]:
    """Yield one part, then fail as a disk does."""
    yield X[:8]
    raise OSError("the disk is gone")


def quantized() -> nn.Module:
    """Return a model that torch quantized."""
    made: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        nn.Sequential(nn.Linear(8, 6)), {nn.Linear}
    )
    return made


def fake_quantized() -> nn.Module:
    """Return a model that is prepared for training with fake quantization."""
    model = nn.Sequential(nn.Linear(8, 6)).train()
    tool: Any = torch.ao.quantization
    model.qconfig = tool.get_default_qat_qconfig("qnnpack")
    made: nn.Module = tool.prepare_qat(model)
    return made


class Told(Silent):
    """Remembers the stages that were begun."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def start(self, stage: str, left: float | None = None) -> None:
        """Remember the stage."""
        self.stages.append(stage)


def call(folder: Path, told: Told | None = None, **change: Any) -> BuildResult:
    """Build the network with arguments that would do, but for some."""
    arguments: dict[str, Any] = {
        "model": Net(), "example_inputs": X[:1], "target": "android-arm64", "calibration": X, "evaluation": X,
        "output": folder, "cache": False, "progress": told or Silent(),
    }  # fmt: skip
    arguments |= {key: value() if isinstance(value, FunctionType) else value for key, value in change.items()}
    return edgekit.build(arguments.pop("model"), arguments.pop("example_inputs"), **arguments)


REFUSED: tuple[tuple[str, dict[str, Any], type[EdgeKitError], str], ...] = (
    ("no target", {"target": []}, TargetError, "no target"),
    ("target is None", {"target": None}, ProjectError, "target is a NoneType"),
    ("target misspelt", {"target": "android-arm46"}, TargetError, "did you mean android-arm64"),
    ("unknown format", {"formats": ["tflite"]}, ProjectError, "no format tflite"),
    ("formats is a wrong text", {"formats": "ptx"}, ProjectError, "no format ptx"),
    ("name with a space", {"name": "my model"}, ProjectError, "'my model'"),
    ("name leads out", {"name": "../x"}, ProjectError, "'../x'"),
    ("name is empty", {"name": ""}, ProjectError, "name is ''"),
    ("name is too long", {"name": "x" * 300}, ProjectError, "name is"),
    ("output is a number", {"output": 5}, ProjectError, "output is a int"),
    ("model is a class", {"model": lambda: Net}, SourceError, "is a type"),
    ("model is a number", {"model": 3}, SourceError, "is a int"),
    ("quantized", {"model": quantized}, SourceError, "quantized already"),
    ("fake quantized", {"model": fake_quantized}, SourceError, "prepared for it: 0"),
    ("lazy", {"model": lambda: nn.LazyLinear(6)}, SourceError, "no shape yet"),
    ("complex weights", {"model": lambda: nn.Linear(8, 6).to(torch.complex64)}, SourceError, "ComplexFloat"),
    ("keyword only", {"model": lambda: Keyword()}, SourceError, "scale by keyword alone"),
    ("fails", {"model": lambda: Net(lambda x, h, s: dict[str, Any]()["boom"])}, SourceError, "KeyError: 'boom'"),
    ("returns a float", {"model": lambda: Net(lambda x, h, s: (s, 1.0))}, SourceError, "1 is a float"),
    ("returns nothing", {"model": lambda: Net(lambda x, h, s: (None,))}, SourceError, "returns nothing"),
    ("returns float64", {"model": lambda: Net(lambda x, h, s: s.double())}, SourceError, "float64"),
    ("scalar of many", {"model": lambda: Net(lambda x, h, s: s.sum()), "max_batch": 2}, SourceError, "batch first"),
    ("drops the batch", {"model": lambda: Net(lambda x, h, s: s[:1]), "max_batch": 4}, SourceError, "not batch first"),
    ("example is empty", {"example_inputs": ()}, DataError, "is empty"),
    ("example is None", {"example_inputs": (None,)}, DataError, "NoneType"),
    ("example is a number", {"example_inputs": torch.tensor(3.0)}, DataError, "no batch dimension"),
    ("example without rows", {"example_inputs": X[:0]}, DataError, "no batch dimension"),
    ("example without a batch", {"example_inputs": X[0]}, SourceError, "fails on its example"),
    ("example is complex", {"example_inputs": X[:2] + 0j}, SourceError, "complex64"),
    ("example of another name", {"example_inputs": {"z": X[:2]}}, DataError, "no parameter"),
    ("one argument too many", {"example_inputs": (X[:2], X[:2])}, SourceError, "takes 1 arguments"),
    ("one argument too few", {"model": lambda: named("a", "b")}, SourceError, "needs b"),
    ("no data", {"calibration": []}, DataError, "is empty"),
    ("no rows", {"calibration": X[:0]}, DataError, "x is empty"),
    ("a path to nothing", {"calibration": "data.npz"}, DataError, "does not exist"),
    ("a path to no data", {"calibration": Path(__file__)}, DataError, "test_arguments.py"),
    ("data is None", {"calibration": None}, DataError, "calibration is missing"),
    ("data is a function", {"calibration": lambda: len}, DataError, "builtin"),
    ("memory is a word", {"memory": "much"}, ProjectError, "memory is 'much'"),
    ("memory is tiny", {"memory": 5}, ProjectError, "memory is 5"),
    ("keep is a number", {"keep": 5}, ProjectError, "keep is a int"),
    ("cache is a word", {"cache": "no"}, ProjectError, "cache is a str"),
    ("names are a number", {"output_names": 5}, ProjectError, "no sequence"),
    ("labels are numbers", {"labels": [1, 2]}, ProjectError, "labels has 1"),
    ("shapes are a list", {"shapes": [1]}, ProjectError, "shapes is a list"),
    ("a size of words", {"dimensions": {"batch": "many"}}, ProjectError, "'many'"),
    ("target is a number", {"target": 5}, ProjectError, "target is a int"),
    ("target has a number", {"target": ["android-arm64", 5]}, ProjectError, "target is a int"),
    ("name is a number", {"name": 5}, ProjectError, "name is 5"),
    ("name is a dot", {"name": ".."}, ProjectError, "'..'"),
    ("preprocessing of other keys", {"preprocessing": {"colour": "rgb"}}, ProjectError, "did you mean color?"),
    ("metrics are a function", {"metrics": len}, ProjectError, "metrics is a builtin"),
    ("complex data", {"calibration": X + 0j}, DataError, "complex64"),
    ("a path to a model that is none", {"model": "model.xyz"}, SourceError, "model.xyz"),
    ("data is a number", {"calibration": 5}, DataError, "is a int"),
    ("batches are None", {"calibration": [None]}, DataError, "NoneType"),
    ("batches are numbers", {"calibration": [1.0]}, DataError, "is a float"),
    ("the loader fails", {"calibration": failing()}, DataError, "the disk is gone"),
    ("wrong dtype", {"calibration": IDS}, DataError, "x is int64"),
    ("wrong shape", {"calibration": torch.randn(9, 9)}, DataError, "has shape"),
    ("ragged", {"calibration": [X, torch.randn(9, 9)]}, DataError, "different kinds"),
    ("not finite", {"evaluation": torch.full((9, 8), float("nan"))}, DataError, "NaN or infinity"),
    ("without values", {"calibration": X.to("meta")}, DataError, "cannot be read"),
    ("sparse", {"calibration": X.to_sparse()}, DataError, "cannot be read"),
    ("objects", {"calibration": np.array([None] * 9)}, DataError, "is object"),
    ("one tensor too many", {"calibration": [(X, X)]}, DataError, "neither an input nor true classes"),
    ("two too many", {"calibration": [(X, CLASSES, CLASSES)]}, DataError, "3 tensors"),
    ("fewer classes", {"calibration": [(X, CLASSES[:9])]}, DataError, "9 classes for 40"),
    ("classes here and there", {"calibration": [(X, CLASSES), X]}, DataError, "1 of 2 batches"),
    ("a class too high", {"evaluation": (X, CLASSES + 9), "labels": LABELS}, DataError, "the class"),
    ("another name", {"calibration": {"y": X}}, DataError, "no input"),
    ("targets of no output", {"evaluation": {"x": X, "target.z": X}}, DataError, "no output"),
    ("one sample", {"evaluation": X[:1]}, DataError, "fewer than two"),
    ("too few labels", {"labels": ["a", "b"]}, DataError, "2 for 6"),
    ("labels is a text", {"labels": "abcdef"}, ProjectError, "no sequence"),
    ("labels of integers", {"model": lambda: Net(lambda x, h, s: s.argmax(1)), "labels": LABELS}, DataError, "floats"),
    ("no such meaning", {"meanings": {"output": "logit"}}, DataError, "'logit'"),
    ("meaning of no output", {"meanings": {"outptu": "logits"}}, DataError, "did you mean output"),
    ("a lambda for a metric", {"metrics": {"output": lambda *_: 1.0}}, ProjectError, "no function with a name"),
    ("metric is None", {"metrics": {"output": None}}, ProjectError, "no function with a name"),
    ("too many names", {"output_names": ("a", "b")}, DataError, "2 for 1"),
    ("an input's name", {"output_names": ("x",)}, DataError, "x is an input"),
    ("a name with a dot", {"output_names": ("a.b",)}, DataError, "no name"),
    ("batch 0", {"max_batch": 0}, ProjectError, "max_batch is 0"),
    ("batch is a truth", {"max_batch": True}, ProjectError, "max_batch is True"),
    ("least over largest", {"dimensions": {"batch": {"min": 3, "max": 2}}}, ProjectError, "min 3 is over max 2"),
    ("a size without a range", {"shapes": {"x": ("batch", "n")}}, ProjectError, "does not have"),
    ("shape of no input", {"shapes": {"y": ("batch", 8)}}, DataError, "no input"),
    ("another shape", {"shapes": {"x": ("batch", 9)}}, DataError, "shapes says"),
    ("budget of other values", {"budget": {"total": 1}}, ProjectError, "budget is wrong"),
    ("budget of nothing", {"budget": Budget(total=Limits(min_agreement=1))}, DataError, "a dtype of integers"),
    ("quantization is a text", {"quantization": "int8"}, ProjectError, "quantization is a str"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of what torch says of the ways that are refused
@pytest.mark.parametrize(("change", "error", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_work_is_refused_at_once(
    change: dict[str, Any], error: type[EdgeKitError], words: str, tmp_path: Path
) -> None:
    """No stage has begun, nothing is written, and the error has a way out."""
    told = Told()
    with pytest.raises(EdgeKitError) as caught:
        call(tmp_path, told, **change)
    assert type(caught.value) is error
    assert words in caught.value.message
    assert caught.value.hint
    assert not told.stages
    assert not list(tmp_path.iterdir())


def test_paths_are_data(tmp_path: Path) -> None:
    """What a project could name; classes and true values with it."""
    np.savez(tmp_path / "d.npz", x=X.numpy(), labels=CLASSES.numpy())
    source = source_from_example("net", Net(), X[:1])
    for path in (tmp_path / "d.npz", str(tmp_path / "d.npz")):
        samples = samples_given(path, source, what="data")
        assert np.array_equal(samples.inputs["x"], X.numpy())
        assert samples.labels is not None


FORMS: dict[str, Any] = {
    "list": [X[:8], X[8:]], "generator": batches(), "numpy": X.numpy(), "wider": X.double().numpy(),
    "narrower needs no more": [X.numpy()], "loader": DataLoader(TensorDataset(X), batch_size=7),
    "dataset": TensorDataset(X), "tuple": (X,), "by name": {"x": X}, "batches by name": [{"x": X[:9]}, {"x": X[9:]}],
    "with a history": X.clone().requires_grad_(), "not contiguous": X.t().contiguous().t(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_data(form: str) -> None:
    """All usual forms are the same samples, whose batches are no memory of the caller's."""
    source = source_from_example("net", Net(), X[:1])
    samples = samples_of(FORMS[form], source, what="data")
    assert np.array_equal(samples.inputs["x"], X.numpy())
    assert samples.inputs["x"].dtype == np.float32
    (batch,) = samples.batches(len(X))
    assert batch.array("x").flags.c_contiguous
    batch.array("x")[:] = 0
    assert np.array_equal(samples.inputs["x"], X.numpy())
    assert X.abs().sum() > 0


@pytest.mark.parametrize(
    "data", [(X, CLASSES), [X, CLASSES], [(X, CLASSES)], {"x": X, "labels": CLASSES}, [[X, CLASSES]]]
)
def test_classes_beside_the_data(data: Any) -> None:
    """They are known by their place, or by their name."""
    samples = samples_of(data, source_from_example("net", Net(), X[:1]), what="data")
    assert samples.labels is not None
    assert np.array_equal(samples.labels, CLASSES.numpy())


@pytest.mark.parametrize("data", [(X, IDS), [X, IDS], [(X, IDS.int())], {"x": X, "more": IDS}, [(X, IDS, CLASSES)]])
def test_two_inputs(data: Any) -> None:
    """A sequence of as many tensors as inputs is one batch; integers may be narrower than the input."""
    samples = samples_of(data, source_from_example("net", Optional(), (X[:1], IDS[:1])), what="data")
    assert np.array_equal(samples.inputs["more"], IDS.numpy())
    assert samples.inputs["more"].dtype == np.int64


def test_the_callers_module_and_tensors_are_not_changed() -> None:
    """Neither modes of parts, nor buffers, nor what forward changes in place."""

    class Changing(Net):
        def forward(self, x: Tensor) -> Any:
            x -= 0.5
            self.constant += 1
            return super().forward(x)

    model = Changing().train()
    model.hidden.eval()
    example, before = X[:2].clone(), model.constant.clone()
    source_from_example("net", model, example)
    assert torch.equal(example, X[:2])
    assert torch.equal(model.constant, before)
    assert model.training
    assert not model.hidden.training


BUILT: dict[str, tuple[Any, tuple[str, ...]]] = {
    "mapping": (lambda x, h, s: {"scores": s, "features": h}, ("scores", "features")),
    "ordered": (lambda x, h, s: collections.OrderedDict(out=s, aux=h), ("out", "aux")),
    "namedtuple": (lambda x, h, s: Pair(s, h), ("scores", "features")),
    "dataclass": (lambda x, h, s: Both(s, h), ("scores", "features")),
    "list": (lambda x, h, s: [s, h], ("output_0", "output_1")),
    "nested": (lambda x, h, s: (s, (h, {"q": h + 1})), ("output_0", "output_1", "output_2")),
    "None": (lambda x, h, s: (s, None), ("output",)),
    "twice": (lambda x, h, s: (s, s), ("output_0", "output_1")),
    "input": (lambda x, h, s: (s, x), ("output_0", "output_1")),
    "dots and an input's name": (lambda x, h, s: {"a.b": s, "x": h, "a_b": h}, ("a_b", "x_out", "a_b_1")),
    "topk": (lambda x, h, s: s.topk(3, 1), ("output_0", "output_1")),
    "argmax": (lambda x, h, s: s.argmax(1), ("output",)),
    "bool": (lambda x, h, s: s > 0, ("output",)),
    "scalar": (lambda x, h, s: s.sum(), ("output",)),
    "squeezed": (lambda x, h, s: (s, s[:, :1].squeeze()), ("output_0", "output_1")),
    "row": (lambda x, h, s: {"scores": s[0], "deep": {"mean": h.mean()}}, ("scores", "deep_mean")),
    "anchors": (lambda x, h, s: Pair(s, torch.ones(5, 4).mul(0.5)), ("scores", "features")),
    "int32": (lambda x, h, s: (s * 4).round().to(torch.int32), ("output",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", BUILT)
def test_forms_of_outputs(form: str, tmp_path: Path) -> None:
    """Each is built in both formats, and both give what the model does."""
    make, names = BUILT[form]
    torch.manual_seed(0)
    model = Net(make).eval()
    result = call(tmp_path, model=model)
    (bundle,) = result.bundles
    assert tuple(spec.name for spec in bundle.manifest.outputs) == names
    check_files(bundle.folder, model, (X,), bundle.manifest)


NAMES = (
    ("input",), ("filter", "id"), ("type", "range", "object"), ("output",), ("relu", "linear"), ("q0", "d1", "s2"),
    ("quantizelinear_0", "gemm_0", "constant_0"), ("größe",), ("self_", "args"), ("print", "print_1"),
    ("p_hidden_weight",),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("names", NAMES, ids=" ".join)
def test_names_of_inputs(names: tuple[str, ...], tmp_path: Path) -> None:
    """Builtins of Python, names of operations and of what the exporters make: the file has the parameter's name."""
    torch.manual_seed(0)
    model, data = named(*names).eval(), tuple(X * (1 + number) for number in range(len(names)))
    result = call(
        tmp_path, model=model, example_inputs=tuple(one[:1] for one in data), calibration=[data], evaluation=[data]
    )
    (bundle,) = result.bundles
    plain = tuple(name.replace("ö", "_").replace("ß", "_") for name in names)
    assert tuple(spec.name for spec in bundle.manifest.inputs) == plain
    check_files(bundle.folder, model, data, bundle.manifest)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        lambda: Net().half(), lambda: Net().bfloat16(), lambda: Net().double(), lambda: nn.DataParallel(Net()),
        lambda: torch.compile(Net()), lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 6))),
        lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(8, 6))), lambda: Optional(),
        lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(8, 6), nn.ReLU())),
    ],
    ids=["half", "bfloat16", "double", "parallel", "compiled", "weight norm", "old weight norm", "defaults", "traced"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # of what torch says of its older ways
def test_forms_of_models(model: Callable[[], nn.Module], tmp_path: Path) -> None:
    """Wrappers are looked through, other floats become float32, weights that are computed are quantized as weights."""
    torch.manual_seed(0)
    given = model()
    dtype = next(given.parameters()).dtype
    result = call(
        tmp_path, model=given, example_inputs=X[:1].to(dtype), calibration=X.to(dtype), evaluation=X.to(dtype)
    )
    (bundle,) = result.bundles
    assert all(info.int8_fraction > 0 for info in bundle.manifest.artifacts)
    assert all(info.verified_batches == (1,) for info in bundle.manifest.artifacts)
    assert {leg.metrics.sqnr_db is None or leg.metrics.sqnr_db > 15 for leg in bundle.manifest.drift.legs} == {True}
    assert next(given.parameters()).dtype is dtype


def check_files(folder: Path, model: nn.Module, data: tuple[Tensor, ...], manifest: Any) -> None:
    """Hold both files of a bundle against the model, one sample at a time."""
    names = [spec.name for spec in manifest.outputs]
    session = exact_session(folder / "model.onnx")
    assert [one.name for one in session.get_inputs()] == [spec.name for spec in manifest.inputs]
    assert [one.name for one in session.get_outputs()] == names
    loaded = pte.load(folder / "model.pte")
    found: dict[str, list[list[np.ndarray]]] = {"onnx": [], "pte": [], "model": []}
    for row in range(len(X)):
        one = [tensor[row : row + 1].contiguous() for tensor in data]
        with torch.no_grad():
            found["model"].append([batched(np.asarray(tensor)) for tensor in leaves(model(*one))])
        feed = {spec.name: tensor.numpy() for spec, tensor in zip(manifest.inputs, one, strict=True)}
        found["onnx"].append([np.array(value) for value in session.run(None, feed)])
        found["pte"].append([tensor.numpy().copy() for tensor in loaded.method.execute(one)])
    for index, spec in enumerate(manifest.outputs):
        values = {who: np.concatenate([row[index] for row in rows]) for who, rows in found.items()}
        for who in ("onnx", "pte"):
            assert values[who].dtype.name == spec.dtype
            assert values[who].shape == values["model"].shape
            if spec.dtype.startswith("float"):
                noise = np.square(values[who] - values["model"]).sum() / np.square(values["model"]).sum()
                assert noise < 0.02
            else:
                assert (values[who] == values["model"]).mean() > 0.8


def batched(array: np.ndarray) -> np.ndarray:
    """Return an array with a batch of one in front, if it has none."""
    return array if array.shape[:1] == (1,) else array[None]


def leaves(result: Any) -> list[Tensor]:
    """Return the tensors of a result in order."""
    if dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, Tensor):
        return [result]
    return [] if result is None else [leaf for part in result for leaf in leaves(part)]
