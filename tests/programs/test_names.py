"""Networks by name: of timm, torchvision and the Hugging Face hub, offline and with weights of a person's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.base.filekind import FileKind
from edgekit.base.telling import kind_of
from edgekit.errors import EdgeKitError
from edgekit.spec import programs as light
from edgekit.spec import project
from tests import hub as stand_in
from tests.hub import TOKEN

CONFIG = {
    "architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 32, "image_size": 16, "patch_size": 8, "num_channels": 3,
    "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1},
}  # fmt: skip
DESCRIBE = """
import sys, json, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from edgekit.errors import EdgeKitError
from edgekit.model import programs
from edgekit.spec import project
try:
    opened, program = programs.complete(project.load(Path(sys.argv[1])))
except EdgeKitError as error:
    print(json.dumps({"error": error.message, "hint": error.hint}))
else:
    from edgekit.model.source import load_model
    source = load_model(opened, program)
    print(json.dumps({
        "inputs": [one.model_dump() for one in source.inputs], "outputs": [one.model_dump() for one in source.outputs],
        "notes": source.notes, "digest": source.weights_sha256, "labels": program.labels,
    }))
"""


def written(folder: Path, model: str) -> Path:
    """Write a project of a name alone."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", pixel_values=np.zeros((2, 3, 16, 16), dtype=np.float32))
    data = '[data]\ncalibration = "data.npz"\nevaluation = "data.npz"\n'
    (folder / "edgekit.toml").write_text(f'[model]\nname = "net"\n{model}\n{data}')
    return folder


def described(folder: Path, **environment: str) -> dict[str, object]:
    """Describe a project in a process of its own: the hub's client reads the environment once."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, folder],
        env={**kept, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def model_folder(folder: Path) -> Path:
    """Write a tiny vision transformer as transformers does."""
    from edgekit.model.programs.names import declare_operators

    declare_operators()
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(**{key: value for key, value in CONFIG.items() if key != "architectures"})
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("source", "library"),
    [("timm:resnet18.a1_in1k", "timm"), ("torchvision:resnet18", "torchvision"), ("hf:google/vit@main", "hf"),
     ("hf:./folder", "hf"), ("model.py:build", None), (None, None)],
)  # fmt: skip
def test_names_are_told_from_files(source: str | None, library: str | None) -> None:
    """By their prefix."""
    assert light.library_of(source) == library
    assert light.is_program(source) is (source is None or library is not None)


@pytest.mark.parametrize("name", ["timm:", "torch:resnet18", "hf:", "resnet18", "timm:a;b"])
def test_other_names_are_faults_of_the_project(name: str, tmp_path: Path) -> None:
    """Before anything is imported."""
    with pytest.raises(EdgeKitError, match=r"model\.source"):
        project.load(written(tmp_path, f'source = "{name}"'))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<html></html>", "an HTML page"), (b"", "empty"), (b"\x89HDF\r\n\x1a\n", "HDF5")],
)
def test_a_file_without_a_network_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    """With the project's other faults, in a moment."""
    folder = written(tmp_path, 'weights = "net.pt2"')
    (folder / "net.pt2").write_bytes(content)
    with pytest.raises(EdgeKitError, match=words):
        project.load(folder)


def test_weights_alone_need_a_source(tmp_path: Path) -> None:
    """A state dict holds no network."""
    import torch

    folder = written(tmp_path, 'weights = "net.pth"')
    torch.save({"weight": torch.zeros(2)}, folder / "net.pth")
    with pytest.raises(EdgeKitError, match="which holds no network"):
        project.load(folder)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    import importlib.util

    from edgekit.model.programs.names import imported

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EdgeKitError, match="timm is not installed") as error:
        imported("timm")
    assert "edgekit[timm]" in str(error.value.hint)


def test_a_folder_of_hugging_face_is_a_model(tmp_path: Path) -> None:
    """By a name and as weights; what goes in and out, and the classes, stand in its configuration."""
    folder = model_folder(tmp_path / "project" / "vit")
    assert kind_of(folder) is FileKind.HUGGING_FACE
    found = described(written(tmp_path / "project", 'source = "hf:./vit"'))
    assert found["inputs"] == [
        {"name": "pixel_values", "dtype": "float32", "shape": [1, 3, 16, 16], "meaning": "image"}
    ]
    assert [one["name"] for one in found["outputs"]] == ["logits"]  # type: ignore[attr-defined]
    assert found["labels"] == ["cat", "dog"]
    assert described(written(tmp_path / "project", 'weights = "vit"'))["digest"] == found["digest"]


def test_a_model_of_the_hub_is_fetched_once(tmp_path: Path) -> None:
    """The revision is in the notes; offline the cache serves; a folder gives the same weights."""
    folder = model_folder(tmp_path / "vit")
    with stand_in.running() as hub:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        revision = hub.commit("me/vit", {**files, "evil.py": b"raise SystemExit"})
        online = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        first = described(written(tmp_path / "a", 'source = "hf:me/vit"'), **online)
        missing = described(written(tmp_path / "b", 'source = "hf:me/other"'), **online)
    assert revision in str(first["notes"])
    assert not list((tmp_path / "home").rglob("evil.py"))
    assert "cannot be had" in str(missing["error"])
    assert TOKEN not in str(missing)
    again = described(
        written(tmp_path / "a", 'source = "hf:me/vit"'), HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1"
    )
    assert again["digest"] == first["digest"]
    local = described(written(tmp_path, 'source = "hf:./vit"'))
    assert local["digest"] == first["digest"]
    fixed = described(
        written(tmp_path / "a", f'source = "hf:me/vit@{revision}"'), HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1"
    )
    assert fixed["digest"] == first["digest"]


def test_code_that_lies_beside_is_not_run(tmp_path: Path) -> None:
    """A class that transformers does not have would be made by a file in the folder."""
    folder = model_folder(tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text())
    canary = tmp_path / "canary"
    config |= {"architectures": ["MyModel"], "auto_map": {"AutoModel": "modeling.MyModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text(f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n")
    found = described(written(tmp_path, 'source = "hf:./vit"'))
    assert "is not run" in str(found["error"])
    assert not canary.exists()


def test_pickled_weights_are_not_executed(tmp_path: Path) -> None:
    """A folder without safetensors is read as weights alone."""
    import torch

    folder = model_folder(tmp_path / "vit")
    (folder / "model.safetensors").unlink()
    canary = tmp_path / "canary"

    class Touch:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (canary,)

    torch.save({"classifier.weight": Touch()}, folder / "pytorch_model.bin")
    assert "cannot be loaded" in str(described(written(tmp_path, 'source = "hf:./vit"'))["error"])
    assert not canary.exists()


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_networks_by_name(library: str, tmp_path: Path) -> None:
    """With weights of a person's own; the pretrained ones need a cache or the network, and the error says so."""
    import torch

    from edgekit.model.programs.names import declare_operators, imported, of_name

    declare_operators()
    pytest.importorskip(library)
    module = imported(library)
    name = "resnet18"
    made = (
        module.create_model(name, num_classes=3) if library == "timm" else module.models.get_model(name, num_classes=3)
    )
    torch.save(made.state_dict(), tmp_path / "net.pth")
    program = of_name(library, name, {"num_classes": 3}, tmp_path / "net.pth")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(program.module.eval()(x), made.eval()(x))
    assert program.inputs is not None
    assert program.inputs[0].shape == ("batch", 3, 224, 224)
    assert program.preprocessing is not None
    assert program.preprocessing.mean == (0.485, 0.456, 0.406)
    with pytest.raises(EdgeKitError, match="did you mean resnet18"):
        of_name(library, "resnet118", {}, None)
    found = described(
        written(tmp_path / "p", f'source = "{library}:{name}"'), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "none"),
        TORCH_HOME=str(tmp_path / "none"), http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9",
    )  # fmt: skip
    assert "cannot be had" in str(found["error"])
    assert "weights" in str(found["hint"])
