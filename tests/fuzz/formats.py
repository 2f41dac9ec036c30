"""What is read, by format: whole files to begin with, and how EdgeKit reads them."""

import importlib
import io
import json
import shutil
import wave
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from edgekit import bundles, targets
from edgekit.apps.device import open_bundle
from edgekit.base import cache
from edgekit.base.telling import kind_of
from edgekit.bundles import device_profile, profile
from edgekit.bundles.compare import compare_builds, read_side
from edgekit.bundles.manifest import parse, report
from edgekit.bundles.result import BuildResult, Built
from edgekit.data import trace
from edgekit.data.files import checked, find, load_samples
from edgekit.data.found import Wanted
from edgekit.data.peek import peek
from edgekit.data.rows import whole
from edgekit.data.sounds import of_file, prepared
from edgekit.errors import RunError
from edgekit.model.weights.checkpoint import read_checkpoint
from edgekit.render import cases, inspection, junit, markdown, summary, tables
from edgekit.render.next_step import next_step
from edgekit.render.terminal import console
from edgekit.spec import Audio, Dimension, Features, Preprocessing, Resize, TensorSpec
from edgekit.spec.fits import sound_faults
from edgekit.spec.media import Text
from edgekit.spec.project import load as load_project
from edgekit.spec.scaffold import init
from tests.unit import examples

KEY = "0" * 64
_IMAGE = (TensorSpec(name="image", shape=("batch", 3, 4, 4), meaning="image"),)
_STEPS = Preprocessing(resize=Resize(height=4, width=4))
_PIXELS = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format."""

    name: str
    file: str
    """What the file is called, below the folder that is read."""
    kind: str
    """Which structure mutants respect."""
    make: Callable[[Path], object]
    """Writes a whole file, and what belongs beside it, into a folder."""
    read: Callable[[Path], object]
    """Reads the folder, as EdgeKit does; ends in an answer or an EdgeKitError."""
    share: int = 4
    """How many of a hundred mutants are of this format."""


def _manifest(folder: Path) -> None:
    manifest = bundles.read(folder)
    out = console(io.StringIO())
    result = BuildResult(bundles=(Built(folder=folder, manifest=manifest, files={}),), seconds=())
    for show in (summary.show_summary, tables.show_build, tables.show_details):
        show(out, result)
    next_step(manifest, folder)
    junit.text((cases.of_manifest(manifest),))
    open_bundle(folder)


def _report(folder: Path) -> None:
    side = read_side(folder / "report.json")
    found = compare_builds(side, side)
    markdown.of_changes(cases.of_side(side), found)


def _trace(folder: Path) -> None:
    recorded = trace.load(folder / "a.npz")
    for rows in (*recorded.samples.inputs.values(), *recorded.outputs.values()):
        whole(rows)
    tables.show_trace(console(io.StringIO()), recorded, "a.npz")


def _samples(file: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        samples = load_samples(folder / file, _IMAGE, _STEPS, ("a", "b", "c"), (), {"batch": Dimension(max=64)})
        for part in samples.batches(4):
            part.array("image")

    return read


def _weights(file: str) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        found = read_checkpoint(folder / file)
        for state in found.states.values():
            state.load()

    return read


def _onnx(folder: Path) -> None:
    from edgekit.inspection import onnx

    try:
        found = onnx.read(folder / "a.onnx")
    except Exception as error:  # in the process of its own that reads it, that is an answer
        raise RunError(str(error)) from error
    inspection.show(console(io.StringIO()), found)


def _make_onnx(folder: Path) -> None:
    from tests.programs.test_isolated import model

    (folder / "a.onnx").write_bytes(model().SerializeToString())


def _make_report(folder: Path) -> None:
    (folder / "report.json").write_text(report(examples.manifest(breach=True)).to_json())


def _make_cache(folder: Path) -> None:
    entry = cache.Entry(files={"a": b"abc", "b": b"d" * 99}, facts={"imported": {}})
    cache.put(cache.Cache(folder=folder), "bundle", KEY, entry)


def _make_target(folder: Path) -> None:
    (folder / "ios-arm64.toml").write_text((targets.folder() / "ios-arm64.toml").read_text(encoding="utf-8"))


def _make_torch(file: str, *, legacy: bool) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        import torch

        tree = {
            "state_dict": {"a.weight": torch.ones(3, 4), "a.bias": torch.zeros(3, dtype=torch.float16)},
            "epoch": 3,
            "arguments": {"hidden": 20, "names": ["x", "y"]},
        }
        torch.save(tree, folder / file, _use_new_zipfile_serialization=not legacy)

    return make


def _picture(kind: str, file: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / "pictures").mkdir(exist_ok=True)
        Image.fromarray(_PIXELS).save(folder / "pictures" / file, format=kind)

    return make


def _profiles(folder: Path) -> None:
    data = (folder / "profile.json").read_bytes()
    (folder / "device.json").write_bytes(data)
    profile.of_bundle(folder, KEY)
    device_profile.of_bundle(folder, KEY)


def _make_profile(folder: Path) -> None:
    facts = {"profile_version": 2, "device_version": 1, "model": "m", "target": "t", "manifest_sha256": KEY}
    drift = examples.report().model_dump(mode="json")
    (folder / "profile.json").write_text(json.dumps({**facts, "drift": drift}))


def _arrays(folder: Path) -> None:
    np.savez_compressed(folder / "a.npz", pictures=np.stack([_PIXELS] * 3), labels=np.arange(3))


def _of(
    name: str, file: str, kind: str, make: Callable[[Path], object], read: Callable[[Path], object], share: int = 4
) -> Format:
    return Format(name=name, file=file, kind=kind, make=make, read=read, share=share)


def _of_picture(kind: str, file: str, share: int = 4) -> Format:
    structure = "png" if kind == "PNG" else ""
    return _of(kind.lower(), f"pictures/{file}", structure, _picture(kind, file), _samples("pictures"), share)


def _of_torch(name: str, structure: str, *, legacy: bool) -> Format:
    return _of(name, "a.pth", structure, _make_torch("a.pth", legacy=legacy), _weights("a.pth"), 4 if legacy else 8)


def _make_data(folder: Path) -> None:
    save_file({"pictures": np.stack([_PIXELS] * 3)}, folder / "a.safetensors")


def _make_state(folder: Path) -> None:
    save_file({"a.weight": np.ones((3, 4), np.float32), "b": np.ones(2)}, folder / "a.safetensors")


def _make_any(folder: Path) -> None:
    _arrays(folder)
    (folder / "a.npz").rename(folder / "a.bin")


def _make_table(file: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        for number in range(3):
            Image.fromarray(_PIXELS).save(folder / f"{number}.png")
        rows = [{"path": f"{number}.png", "label": "abc"[number], "group": f"g{number}"} for number in range(3)]
        if file.endswith(".csv"):
            text = "path,label,group\n" + "".join(",".join(row.values()) + "\n" for row in rows)
        else:
            text = "".join(
                json.dumps({**row, "target.scores": [0.5, number]}) + "\n" for number, row in enumerate(rows)
            )
        (folder / file).write_text(text)

    return make


def _table(file: str) -> Callable[[Path], object]:
    read = _samples(file)

    def both(folder: Path) -> None:
        peek([folder / file])
        read(folder)

    return both


def _make_coco(folder: Path) -> None:
    Image.fromarray(_PIXELS).save(folder / "0.png")
    told = {
        "images": [{"id": 7, "file_name": "0.png", "width": 11, "height": 9}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2.5, 3, 4], "iscrowd": 0}],
    }
    (folder / "instances.json").write_text(json.dumps(told))


def _make_parquet(folder: Path) -> None:
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    buffer = io.BytesIO()
    Image.fromarray(_PIXELS).save(buffer, format="PNG")
    table = pyarrow.table({"image": [buffer.getvalue()] * 3, "label": [0, 1, 2], "group": ["x", "y", "y"]})
    parquet.write_table(table, folder / "a.parquet")


def _make_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))  # noqa: S106
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    (folder / "texts.txt").write_text("a b\nb c\n")


def _tokenizer(folder: Path) -> None:
    specs = (TensorSpec(name="input_ids", shape=("batch", 5), dtype="int64"),)
    wanted = Wanted(inputs=specs, text=Text(tokenizer="tokenizer.json"), root=folder)
    path = folder / "texts.txt"
    checked(find(path, wanted), path, wanted, {"batch": Dimension(max=64)})


def _make_sound(folder: Path) -> None:
    with wave.open(str(folder / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(_PIXELS.tobytes())


def _sound(folder: Path) -> None:
    peek([folder])
    of_file(folder / "a.wav", Audio(rate=16000, length=400, features=Features(n_fft=64, hop_length=32, n_mels=8)))


def _make_heard(folder: Path) -> None:
    shutil.copy(Path(__file__).parent.parent / "vectors/manifests/valid/sound.json", folder / "manifest.json")


def _heard(folder: Path) -> None:
    found = parse((folder / "manifest.json").read_text(encoding="utf-8", errors="replace"), where="it")
    if found.audio is not None and found.audio.length is not None and not sound_faults(found.audio, found.inputs):
        prepared(np.zeros(200, np.float32), 8000, found.audio)


def _installed(library: str) -> tuple[str, ...]:
    return (library,) if find_spec(library) else ()


FORMATS: tuple[Format, ...] = (
    _of("manifest", "manifest.json", "json", examples.write_bundle, _manifest, 16),
    _of("report", "report.json", "json", _make_report, _report, 10),
    _of("profile", "profile.json", "json", _make_profile, _profiles),
    _of("trace", "a.npz", "zip", lambda folder: examples.write_baseline(folder / "a.npz"), _trace, 8),
    _of("arrays", "a.npz", "zip", _arrays, _samples("a.npz"), 6),
    _of("safetensors data", "a.safetensors", "safetensors", _make_data, _samples("a.safetensors")),
    _of_picture("PNG", "a.png", 6),
    _of_picture("JPEG", "a.jpg"),
    _of_picture("WEBP", "a.webp"),
    _of_picture("TIFF", "a.tif"),
    _of_picture("GIF", "a.gif", 3),
    _of("project", "edgekit.toml", "toml", init, load_project, 5),
    _of("target", "ios-arm64.toml", "toml", _make_target, lambda folder: targets.load(folder / "ios-arm64.toml")),
    _of("cache", f"bundle/{KEY}.zip", "zip", _make_cache, lambda f: cache.get(cache.Cache(folder=f), "bundle", KEY), 6),
    _of("onnx", "a.onnx", "", _make_onnx, _onnx, 6),
    _of_torch("pth", "zip", legacy=False),
    _of_torch("legacy pth", "", legacy=True),
    _of("safetensors weights", "a.safetensors", "safetensors", _make_state, _weights("a.safetensors")),
    _of("csv", "a.csv", "csv", _make_table("a.csv"), _table("a.csv"), 5),
    _of("jsonl", "a.jsonl", "jsonl", _make_table("a.jsonl"), _table("a.jsonl"), 5),
    _of("coco", "instances.json", "json", _make_coco, _table("instances.json"), 5),
    *(_of("parquet", "a.parquet", "", _make_parquet, _samples("a.parquet")) for _ in _installed("pyarrow")),
    *(_of("tokenizer", "tokenizer.json", "json", _make_tokenizer, _tokenizer) for _ in _installed("tokenizers")),
    _of("wav", "a.wav", "", _make_sound, _sound, 2),
    _of("manifest of sounds", "manifest.json", "json", _make_heard, _heard, 3),
    _of("any file", "a.bin", "zip", _make_any, lambda folder: kind_of(folder / "a.bin"), 2),
)
