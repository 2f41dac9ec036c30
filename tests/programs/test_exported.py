"""Exported programs as models: what they take and give, as good in int8 as the module, and nothing executed."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

import edgekit
from edgekit.errors import EdgeKitError, ProjectError, SourceError
from edgekit.model import programs
from edgekit.model.capture import capture
from edgekit.model.source import samples_of, source_from_example
from edgekit.quantization import quantize
from edgekit.spec import Dimension, QuantSpec, Scheme
from tests.programs.networks import Small, Tokens, TwoInTwoOut, images

PICTURES = torch.from_numpy(images(64, 0).inputs["image"])
BATCH = {"image": {0: Dim("batch", min=1, max=16)}}


class Nested(nn.Module):
    """Takes a dictionary with a list, returns a dictionary; two sizes vary."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor, more: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        """Return features and their mean over the length."""
        features = self.linear(x) + more["offsets"][0]
        return {"features": features, "mean": features.mean(1)}


def exported(model: nn.Module, **arguments: Any) -> ExportedProgram:
    """Export one of the small networks with a batch that varies."""
    return export(model, (PICTURES[:2],), dynamic_shapes=BATCH, **arguments)


def saved(program: ExportedProgram, folder: Path) -> Path:
    """Save a program."""
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def described(program: ExportedProgram) -> programs.Described:
    """Describe a program in memory."""
    found = programs.of_object(program)
    assert found is not None
    return programs.describe(found)


def sqnr(one: Tensor, other: Tensor) -> float:
    """Return decibels."""
    return float(10 * torch.log10(one.square().sum() / (one - other).square().sum()))


def quantized_db(model: Any, data: Tensor, example: Any = None) -> float:
    """Quantize a model or a program to int8 and return its SQNR to the float model on its own data."""
    source = programs.source_of("it", model, example)
    samples = samples_of([data], source, what="samples")
    found = quantize(capture(source, samples), Scheme.INT8, QuantSpec(), samples).program.module(check_guards=False)
    with torch.no_grad():
        wanted = source.model(data[:16])
        return sqnr(wanted if isinstance(wanted, Tensor) else next(iter(wanted.values())), found(data[:16]))


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("decomposed", [False, True], ids=["training-ir", "core-aten"])
def test_a_program_computes_what_the_module_does(train: bool, decomposed: bool) -> None:
    """In eval mode, however it was exported, and a note says that it was changed."""
    model = Small().train(train)
    program = exported(model)
    program = program.run_decompositions() if decomposed else program
    source = programs.source_of(None, program, None)
    with torch.no_grad():
        assert torch.allclose(source.model(PICTURES), model.eval()(PICTURES), atol=1e-6)
    assert source.name == "small"
    assert [note for note in source.notes if "training mode" in note] == list(source.notes)
    assert bool(source.notes) is train
    assert source.dimensions == {"batch": Dimension(max=16)}
    assert source.inputs[0].shape == ("batch", 1, 8, 8)


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_a_program_is_quantized_as_the_module_is(train: bool, tmp_path: Path) -> None:
    """Within half a decibel, from the file as well."""
    torch.manual_seed(0)
    model = Small()
    expected = quantized_db(model, PICTURES, PICTURES[:2])
    program = saved(exported(model.train(train)), tmp_path)
    assert expected > 30
    assert quantized_db(program, PICTURES) > expected - 0.5


def test_layers_keep_their_paths() -> None:
    """So that settings by path and reports name the layers as the person does."""
    source = programs.source_of("it", exported(Small().eval()), None)
    program = capture(source, samples_of([PICTURES], source, what="samples")).program
    stacks = [node.meta["nn_module_stack"] for node in program.graph.nodes if "conv2d" in str(node.target)]
    assert [list(stack.values())[-1][0] for stack in stacks] == ["stem.0", "depthwise.0", "gate.0"]


def test_containers_and_symbols_are_named(tmp_path: Path) -> None:
    """Inputs are flattened, outputs keep their names, and a symbol has one name wherever it stands."""
    batch, length = Dim("b", min=1, max=32), Dim("l", min=2, max=64)
    example = (torch.randn(3, 6, 8), {"offsets": [torch.randn(3, 6, 4)]})
    sizes = {"x": {0: batch, 1: length}, "more": {"offsets": [{0: batch, 1: length}]}}
    path = saved(export(Nested(), example, dynamic_shapes=sizes), tmp_path)
    found = programs.describe(programs.of_path(path))
    assert [(spec.name, spec.shape) for spec in found.inputs] == [
        ("x", ("batch", "length", 8)),
        ("more_offsets_0", ("batch", "length", 4)),
    ]
    assert [(spec.name, spec.shape) for spec in found.outputs] == [
        ("features", ("batch", "length", 4)),
        ("mean", ("batch", 4)),
    ]
    assert found.dimensions == {"batch": Dimension(max=32), "length": Dimension(min=2, max=64)}
    source = programs.source_of(None, path, None)
    assert [spec.name for spec in source.outputs] == ["features", "mean"]


def test_multiples_and_open_sizes() -> None:
    """A size that is so many times a symbol keeps its steps; a batch without a largest size has 64."""
    half = Dim("half", min=1, max=8)
    program = export(Tokens().eval(), (torch.randn(4, 6, 8),), dynamic_shapes=({0: 2 * half},))
    assert described(program).dimensions == {"batch": Dimension(max=16, multiple=2)}
    program = export(Tokens().eval(), (torch.randn(4, 6, 8),), dynamic_shapes=({0: Dim("batch")},))
    assert described(program).dimensions["batch"].max == 64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(dtype: torch.dtype) -> None:
    """The weights, and the casts in the graph; a note says so."""

    class Casting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.linear(x.to(dtype) * torch.ones(1, dtype=dtype))
            return found

    model = Casting().to(dtype)
    source = programs.source_of("it", export(model, (torch.randn(2, 8, dtype=dtype),)), None)
    assert source.inputs[0].dtype == source.outputs[0].dtype == "float32"
    assert any("float32" in note for note in source.notes)
    x = torch.randn(2, 8)
    assert torch.allclose(source.model(x), model.float().linear(x), atol=1e-5)


def rewritten(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes] | None = None) -> Path:
    """Write an archive anew with members changed."""
    target = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, data in (more or {}).items():
            new.writestr(name, data)
    return target


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the call."""
        return Path.touch, (self.canary,)


def _payload(name: str, data: bytes, key: str, value: object) -> bytes:
    if not name.endswith("model_weights_config.json"):
        return data
    config = json.loads(data)
    config["config"]["stem.0.weight"][key] = value
    return json.dumps(config).encode()


def _text(old: str, new: str) -> Callable[[str, bytes], bytes]:
    return lambda name, data: data.replace(old.encode(), new.encode()) if name.endswith("models/model.json") else data


SPEC = (
    '[1, {\\"type\\": \\"builtins.tuple\\", \\"context\\": '
    '\\"{\\\\\\"__enum__\\\\\\": true, \\\\\\"fqn\\\\\\": \\\\\\"antigravity:X\\\\\\"}\\", \\"children_spec\\": []}]'
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_text("torch.ops.aten.relu.default", "torch.hub.load"), "torch.hub.load"),
        (_text("torch.ops.aten.relu.default", "torch.ops.aten.save.default"), "aten.save"),
        (_text("torch.ops.aten.relu.default", "_operator.attrgetter"), "attrgetter"),
        (_text("Symbol('s", "__import__('os').system('touch canary') or Symbol('s"), "no expression"),
        (_text("builtins.tuple", "collections.defaultdict"), "defaultdict"),
        (lambda name, data: _payload(name, data, "use_pickle", True), "pickled object"),
        (lambda name, data: _payload(name, data, "path_name", "opaque_obj_0"), "pickled object"),
        (lambda name, data: b"[]" if name.endswith("model.json") else data, "cannot be read"),
        (lambda name, data: data[: len(data) // 2] if name.endswith("model.json") else data, "cannot be read"),
        (lambda name, data: b"" if name.endswith("weight_0") else data, "is cut off"),
    ],
    ids=["function", "file", "operator", "expression", "tree", "pickle", "opaque", "other", "cut", "short"],
)
def test_what_would_be_executed_is_refused(
    change: Callable[[str, bytes], bytes], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before torch sees it, with what it is."""
    monkeypatch.chdir(tmp_path)
    path = rewritten(saved(exported(Small().eval()), tmp_path), change)
    with pytest.raises(SourceError, match=words.replace("(", ".")):
        programs.source_of("it", path, None)
    assert not (tmp_path / "canary").exists()


def with_bomb(path: Path, name: str) -> Path:
    """Add a member that packs 600 MB of blanks into a few, as a hostile archive has."""
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        for _ in range(600):
            member.write(b" " * 10**6)
    return path


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """What an archive unpacks to is known before any of it is read."""
    path = with_bomb(saved(exported(Small().eval()), tmp_path), "net/models/more.json")
    with pytest.raises(SourceError, match="unpack to 600"):
        programs.of_path(path)


def test_enums_in_containers_are_not_imported(tmp_path: Path) -> None:
    """A container's context would import the module that it names."""
    content = 'builtins.dict\\", \\"context\\": \\"[]'
    evil = 'builtins.dict\\", \\"context\\": \\"{\\\\\\"__enum__\\\\\\": true}'
    path = rewritten(saved(exported(Small().eval()), tmp_path), _text(content, evil))
    with pytest.raises(SourceError, match="a class that is not in the file"):
        programs.of_path(path)


def test_the_example_is_not_unpickled(tmp_path: Path) -> None:
    """Torch unpickles what it cannot read as weights."""
    canary = tmp_path / "canary"

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("sample_inputs/model.pt"):
            return data
        torch.save(Touch(canary), tmp_path / "evil.pt")
        return (tmp_path / "evil.pt").read_bytes()

    path = rewritten(saved(exported(Small().eval()), tmp_path), change)
    with pytest.raises(SourceError, match="would be executed"):
        programs.of_path(path)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Touch(canary)))  # noqa: S301 - the twin: it does touch
    assert canary.exists()


def test_damage_is_found(tmp_path: Path) -> None:
    """A flipped byte, wherever it is, ends in an error of EdgeKit or changes nothing that is read."""
    data = saved(exported(Small().eval()), tmp_path).read_bytes()
    broken = tmp_path / "broken.pt2"
    for place in range(10, len(data), len(data) // 40):
        broken.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            programs.of_path(broken)
        except EdgeKitError as error:
            assert error.hint  # noqa: PT017 - both ends are right


def project_of(folder: Path, model: Path, more: str = "", model_more: str = "") -> Path:
    """Write a project for a program, with pictures as data."""
    np.savez(folder / "data.npz", image=PICTURES.numpy())
    np.savez(folder / "held.npz", image=images(32, 1).inputs["image"])
    text = (
        f'[model]\nname = "net"\nweights = "{model.name}"\n{model_more}\n{more}\n'
        '[data]\ncalibration = "data.npz"\nevaluation = "held.npz"\n'
    )
    (folder / "edgekit.toml").write_text(text)
    return folder


SPECS = """
[[inputs]]
name = "{name}"
dtype = "{dtype}"
shape = {shape}
[[outputs]]
name = "scores"
shape = ["batch", 4]
meaning = "logits"
[dimensions]
batch = {batch}
"""
RIGHT = {"name": "image", "dtype": "float32", "shape": '["batch", 1, 8, 8]', "batch": "16"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, None),
        ({"batch": "4"}, None),
        ({"shape": "[4, 1, 8, 8]"}, None),
        ({"name": "picture"}, r"takes \(image\)"),
        ({"dtype": "uint8"}, "takes float32"),
        ({"shape": '["batch", 3, 8, 8]'}, r"\[batch, 1, 8, 8\]"),
        ({"shape": '["batch", 64]'}, "does not fit"),
        ({"batch": "32"}, "batch 1 to 16"),
    ],
    ids=["same", "smaller", "fixed", "name", "dtype", "shape", "rank", "larger"],
)
def test_what_a_project_declares_must_agree(changed: dict[str, str], words: str | None, tmp_path: Path) -> None:
    """It may say less than the program, never something else."""
    from edgekit.spec import project

    path = saved(exported(Small().eval()), tmp_path)
    values = RIGHT | changed
    text = SPECS.format(**values)
    if values["shape"].startswith("[4"):
        text = text.replace('shape = ["batch", 4]', "shape = [4, 4]").partition("[dimensions]")[0]
    opened = project.load(project_of(tmp_path, path, text))
    if words is None:
        complete, program = programs.complete(opened)
        assert program is not None
        assert complete.spec.outputs[0].meaning == "logits"
    else:
        with pytest.raises(ProjectError, match=words):
            programs.complete(opened)


@pytest.mark.slow
def test_a_project_of_an_archive_alone_is_built(tmp_path: Path) -> None:
    """Three lines about the model, none about what goes in and out."""
    from edgekit.spec import project
    from edgekit.targets import load

    path = saved(exported(Small().train()), tmp_path)
    opened = project.load(project_of(tmp_path, path))
    result = edgekit.build_project(opened, (load("linux-x86_64"),), tmp_path / "out", cache=False)
    manifest = result.bundles[0].manifest
    assert manifest.inputs[0].name == "image"
    assert [output.name for output in manifest.outputs] == ["output"]
    assert max(artifact.verified_batches[-1] for artifact in manifest.artifacts) > 1
    report = json.loads((result.bundles[0].folder / "report.json").read_text())
    assert "training mode" in json.dumps(report)


def test_the_api_takes_programs(tmp_path: Path) -> None:
    """In memory and as a path; two inputs and two outputs."""
    model = TwoInTwoOut().eval()
    program = export(model, (torch.randn(2, 6), torch.randn(2, 4)))
    captured = edgekit.capture(program, samples=[(torch.randn(8, 6), torch.randn(8, 4))])
    assert captured.source.batch == 2
    assert [spec.name for spec in captured.source.outputs] == ["output_0", "output_1"]
    captured = edgekit.capture(str(saved(program, tmp_path)), samples=[(torch.randn(8, 6), torch.randn(8, 4))])
    assert captured.source.name == "net"
    with pytest.raises(EdgeKitError, match="example_inputs is missing"):
        edgekit.capture(model)
    with pytest.raises(EdgeKitError, match="shape"):
        programs.source_of(None, program, (torch.randn(2, 7), torch.randn(2, 4)))


def test_a_quantized_program_is_refused() -> None:
    """As a quantized module is."""
    source = source_from_example("it", Small(), PICTURES[:2])
    samples = samples_of([PICTURES], source, what="samples")
    program = quantize(capture(source, samples), Scheme.INT8, QuantSpec(), samples).program
    with pytest.raises(SourceError, match="quantized already"):
        programs.source_of("it", program, None)
