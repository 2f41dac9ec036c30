"""The native folder runs anywhere, computes what the Python runtime computes, and says what is wrong."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from executorch.exir import to_edge

from edgekit import bundles
from edgekit.base import digest
from edgekit.bundles import native
from edgekit.data.samples import Samples
from edgekit.errors import BundleError
from edgekit.execution.artifact import open_artifact
from edgekit.pipeline.profiling import native as profiled
from edgekit.pipeline.profiling.cost import Runs
from edgekit.spec import Format
from tests.native.conftest import Folder, picture_samples

pytestmark = pytest.mark.slow


def test_it_tests_itself_anywhere(made: Folder, tmp_path: Path) -> None:
    """With an empty environment, from another place, reached by a link; bit-identical to the build."""
    moved = shutil.copytree(made.path, tmp_path / "a folder")
    (tmp_path / "link").symlink_to(moved / "edgekit-run")
    done = subprocess.run([tmp_path / "link", "selftest", "--json"], env={}, cwd="/", capture_output=True, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["passed"]) == (0, True)
    assert len(found["golden"]) == 5
    assert all(one["identical"] and one["max_abs_error"] == 0 for one in found["golden"])
    assert all(one["max_abs_error_from_reference"] > 0 for one in found["golden"])
    text = made.run("selftest")
    assert text.out.splitlines()[-1] == "PASSED  5 of 5 golden vectors, 5 identical"


def test_it_computes_what_the_python_runtime_does(made: Folder, tmp_path: Path) -> None:
    """All evaluation samples in one file, raw and as .npy, in batches that the last does not fill: to the bit."""
    samples = picture_samples(40, 2)
    manifest = bundles.read(made.bundle)
    data = (made.bundle / "model.pte").read_bytes()
    opened = open_artifact(Format.PTE, data, manifest.target.cpu, manifest.inputs, manifest.outputs)
    expected = np.asarray(opened.run(Samples(inputs=samples), 16)["output"])
    (tmp_path / "rows.bin").write_bytes(samples["image"].tobytes())
    np.save(tmp_path / "rows.npy", samples["image"])
    for name in ("rows.bin", "rows.npy"):
        ran = made.run("predict", "--input", tmp_path / name, "--output", tmp_path)
        assert ran.code == 0, ran.err
        found = np.load(tmp_path / "output.npy")
        assert found.shape == (40, 4)
        assert found.tobytes() == expected.tobytes()


def test_it_prints_labels_and_json(made: Folder) -> None:
    """Likeliest first, as many as asked for, with every label as it is; values where nothing is a class."""
    golden = made.path / "golden" / "0.image.bin"
    ran = made.run("predict", "--input", f"image={golden}", "--top", "4", "--json")
    (sample,) = ran.json["samples"]
    assert {one["label"] for one in sample["classes"]} == {"ape", "bee", 'c"a\\t', "dög"}
    chances = [one["probability"] for one in sample["classes"]]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1)
    assert len(made.run("predict", "--input", golden, "--top", "2").out.splitlines()) == 2
    assert made.run("info", "--json").json["inputs"] == ["image, float32 of batch x 3 x 20 x 24"]
    assert "batch  1 to 16" in made.run("info").out


def test_a_model_without_classes_prints_values(own: Folder) -> None:
    """The first ones, with type and shape."""
    own.change(lambda manifest: manifest["outputs"][0].update(meaning="tensor"))
    ran = own.run("predict", "--input", own.path / "golden" / "0.image.bin", "--json", "--top", "2")
    assert ran.json["outputs"]["output"]["shape"] == [1, 4]
    assert len(ran.json["outputs"]["output"]["first"]) == 2


def test_it_is_small(made: Folder) -> None:
    """All is delegated: no kernels' library, four megabytes, and little memory."""
    found = native.read(made.bundle)
    assert found is not None
    assert sorted(name for name in found.files if ".so" in name) == [
        "libedgekit.so", "libexecutorch.so", "libexecutorch_backend_xnnpack.so", "libexecutorch_threadpool.so"
    ]  # fmt: skip
    bench = made.run("bench", "--runs", "20", "--warmup", "2", "--json").json
    assert bench["peak_kb"] < 12 * 1024
    assert bench["runs"] == 20
    assert 0 < bench["least_ms"] <= bench["median_ms"] <= bench["p95_ms"]
    assert (len(bench["times_ms"]), min(bench["times_ms"])) == (20, bench["least_ms"])


def test_trace_tells_what_each_operation_takes(made: Folder) -> None:
    """By the delegate's own names, in the order of running; together they take no more than the whole."""
    found = made.run("trace", "--runs", "20", "--json").json
    kinds = [one["operator"] for one in found["operations"]]
    assert sum(kind.startswith("Convolution") for kind in kinds) == 2
    assert sum(kind.startswith("Fully Connected") for kind in kinds) == 1
    assert next(one["name"] for one in found["operations"] if one["operator"] == kinds[2]).endswith(" #1")
    assert found["runs"] == 20
    assert 0 < sum(one["mean_ms"] for one in found["operations"]) <= found["traced_ms"]
    text = made.run("trace", "--runs", "20").out
    assert text.splitlines()[-1].startswith(f"{len(kinds)} operations, 20 runs under tracing, which slows them")


def test_a_profile_measures_the_program(made: Folder) -> None:
    """Timed in one process, traced in another; a folder for another processor is left out."""
    manifest = bundles.read(made.bundle)
    info = profiled.subject(made.bundle, manifest)
    assert info == manifest.artifacts[0]
    found = profiled.measure(made.bundle, info, Runs(warm_up=2, timed=30, profiled=10))
    assert found.artifact == "model.pte in native/"
    assert sum(found.latency.histogram.counts) == found.latency.runs == 30
    assert 0 < found.peak_memory_bytes < 12e6
    assert sum(one.calls for one in found.kinds) == len(found.operators) > 5
    assert "10 runs, which it slows" in found.operators_note


def damaged_model(own: Folder) -> None:
    """One byte of it."""
    path = own.path / "model.pte"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_model(own: Folder) -> None:
    """Whose digest is right."""
    own.replace_model((own.path / "model.pte").read_bytes()[:-100])


def no_model(own: Folder) -> None:
    """It was not copied."""
    (own.path / "model.pte").unlink()


def steering_model(own: Folder) -> None:
    """Whose identifier would steer a terminal."""
    data = bytearray((own.path / "model.pte").read_bytes())
    data[4:8] = b"\x1b[2\x85"
    own.replace_model(bytes(data))


def damaged_manifest(own: Folder) -> None:
    """It ends early."""
    path = own.path / "manifest.json"
    path.write_bytes(path.read_bytes()[:-9])


def path_out_of_the_folder(own: Folder) -> None:
    """A manifest names a file elsewhere."""
    own.change(lambda manifest: manifest["artifacts"][0].update(file="../../etc/passwd"))


def damaged_golden(own: Folder) -> None:
    """An input's byte."""
    path = own.path / "golden" / "1.image.bin"
    path.write_bytes(b"\x01" + path.read_bytes()[1:])


def missing_library(own: Folder) -> None:
    """A folder copied in part."""
    (own.path / "libexecutorch_backend_xnnpack.so").unlink()


def missing_own_library(own: Folder) -> None:
    """The program alone."""
    (own.path / "libedgekit.so").unlink()


def another_answer(own: Folder) -> None:
    """The model computes something else than the golden vectors say."""

    def change(manifest: Any) -> None:
        tensor = next(one for one in manifest["golden"][2]["outputs"] if one["artifact"] == "model.pte")
        data = (np.frombuffer((own.path / tensor["file"]).read_bytes(), np.float32) + 1).tobytes()
        (own.path / tensor["file"]).write_bytes(data)
        tensor["sha256"] = digest.of_bytes(data)

    own.change(change)


def missing_kernel(own: Folder) -> None:
    """An operator that no library of the folder has."""

    class Sine(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.sin(image)

    program = torch.export.export(Sine(), (torch.zeros(1, 3, 20, 24),))
    own.replace_model(to_edge(program).to_executorch().buffer)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (damaged_model, 11, "model.pte was changed: its sha256 is not the manifest's"),
        (cut_model, 11, "the model cannot be loaded: the file is truncated or is no .pte (0x23"),
        (steering_model, 11, "(0x23: Program identifier '?[2?' != expected 'ET12')"),
        (no_model, 11, "model.pte cannot be read: No such file or directory"),
        (damaged_manifest, 11, "manifest.json is no JSON: "),
        (path_out_of_the_folder, 11, "the manifest breaks its schema: a path leads elsewhere"),
        (damaged_golden, 11, "golden/1.image.bin was changed"),
        (missing_library, 12, "libexecutorch_backend_xnnpack.so: cannot open shared object file"),
        (missing_own_library, 12, "libedgekit.so: cannot open shared object file"),
        (missing_kernel, 15, "the runtime's libraries lack an operator (0x14: kernel 'aten::sin.out' not found"),
        (another_answer, 20, ""),
    ],
    ids=lambda one: one.__name__ if callable(one) else "",
)
def test_what_is_wrong_is_said_in_one_line(
    own: Folder, damage: Callable[[Folder], None], code: int, words: str
) -> None:
    """With an exit code of its own."""
    damage(own)
    ran = own.run("selftest")
    assert ran.code == code, ran
    assert words in ran.err
    assert len(ran.err.splitlines()) == (0 if code == 20 else 1)
    if code == 20:
        assert ran.out.splitlines()[2].startswith("golden 2  FAILED  from the build 1,")
        assert ran.out.splitlines()[-1] == "FAILED  4 of 5 golden vectors, 4 identical"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "say what to do: selftest, predict, bench, trace, info"),
        (("fly",), 2, "there is no verb fly"),
        (("predict",), 2, "the input image is missing: --input image=FILE"),
        (("predict", "--input"), 2, "--input takes a value"),
        (("predict", "--input", "sound=x.bin"), 2, "the model has no input sound"),
        (("predict", "--top", "0"), 2, "--top takes a whole number from 1, not 0"),
        (("bench", "--runs", "many"), 2, "--runs takes a whole number from 1, not many"),
        (("predict", "--input", "nowhere.bin"), 6, "nowhere.bin cannot be read: No such file or directory"),
        (("predict", "--input", "short.bin"), 6, "short.bin has 100 bytes, and image, float32 of batch x 3 x 20 x 24"),
        (("predict", "--input", "empty.bin"), 6, "takes a multiple of 5760"),
        (("predict", "--input", "wide.npy"), 6, "float32 of 1 x 3 x 20 x 25 given"),
        (("predict", "--input", "whole.npy"), 6, "holds int64, and the model takes image, float32"),
        (("predict", "--input", "flat.npy"), 6, "is in Fortran's order"),
        (("predict", "--input", "said.wav"), 6, "is a sound, and this program resamples none"),
        (("predict", "--input", "said.txt"), 6, "is a text, and this program has no tokenizer"),
        (("predict", "--input", "text.png"), 6, "the PNG is damaged"),
    ],
    ids=lambda one: one[-1] if isinstance(one, tuple) and one else "",
)
def test_what_a_person_gives_wrongly(
    made: Folder, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Said before anything is computed."""
    (tmp_path / "short.bin").write_bytes(bytes(100))
    (tmp_path / "empty.bin").write_bytes(b"")
    np.save(tmp_path / "wide.npy", np.zeros((1, 3, 20, 25), np.float32))
    (tmp_path / "said.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    (tmp_path / "said.txt").write_text("a text")
    np.save(tmp_path / "whole.npy", np.zeros((1, 3, 20, 24), np.int64))
    np.save(tmp_path / "flat.npy", np.asfortranarray(np.zeros((1, 3, 20, 24), np.float32)))
    (tmp_path / "text.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    ran = made.run(*arguments, cwd=tmp_path)
    assert (ran.code, len(ran.err.splitlines())) == (code, 1), ran
    assert words in ran.err


def test_a_bundle_knows_its_native_folder(own: Folder) -> None:
    """A digest is checked, a strange file in it keeps the bundle from being replaced, its own files do not."""
    content = {
        path.relative_to(own.bundle).as_posix(): path.read_bytes()
        for path in own.bundle.rglob("*")
        if path.is_file() and own.path not in path.parents
    }
    before = (own.path / "edgekit-run").stat()
    bundles.write(own.bundle, content)
    assert (own.path / "edgekit-run").stat().st_ino == before.st_ino  # the same bundle: it is left as it is
    (own.path / "edgekit.h").write_text("another")
    with pytest.raises(BundleError, match=r"native/edgekit\.h was changed"):
        bundles.read(own.bundle)
    (own.path / "thesis.txt").write_text("years")
    with pytest.raises(BundleError, match=r"native/thesis\.txt"):
        bundles.write(own.bundle, content)
    (own.path / "thesis.txt").unlink()
    bundles.write(own.bundle, {**content, "report.json": b"{}"})
    assert not own.path.exists()


def test_the_modes_let_it_start(made: Folder) -> None:
    """Whoever can read the folder can start the program."""
    assert os.access(made.path / "edgekit-run", os.X_OK)
    assert not os.access(made.path / "model.pte", os.X_OK) or os.name == "nt"
