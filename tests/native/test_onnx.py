"""A bundle of an .onnx alone gets a native folder with ONNX Runtime's library, where its C header can be had."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgekit import bundles
from edgekit.apps.emulation import kit
from edgekit.apps.native import folder as folders
from edgekit.apps.native import runtime
from edgekit.base.cache import Cache
from edgekit.base.progress import Silent
from edgekit.data.samples import Samples
from edgekit.errors import ToolchainError
from edgekit.execution.artifact import open_artifact
from edgekit.pipeline import emulate
from edgekit.spec import Format
from tests.native.conftest import Folder, build_bundle, persons_kit, picture_samples

PAGE = (Path(__file__).parents[2] / "docs" / "native.md").read_text("utf-8")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory, store: Cache, _one_cache: None) -> Folder:
    """The folder."""
    persons_kit()
    bundle = build_bundle(tmp_path_factory.mktemp("onnx"), "onnx")
    try:
        folders.add(bundle, bundles.read(bundle), jpeg=False, cache=store)
    except ToolchainError as error:
        if "C header" not in error.message:
            raise
        pytest.skip(error.message)
    return Folder(bundle=bundle)


def test_it_computes_what_the_python_runtime_does(onnx: Folder, tmp_path: Path) -> None:
    """All samples, in the batches that were verified: to the bit, by the same library."""
    assert onnx.run("selftest").out.splitlines()[-1].startswith("PASSED  5 of 5 golden vectors")
    samples = picture_samples(40, 2)
    manifest = bundles.read(onnx.bundle)
    data = (onnx.bundle / "model.onnx").read_bytes()
    opened = open_artifact(Format.ONNX, data, manifest.target.cpu, manifest.inputs, manifest.outputs)
    expected = np.asarray(opened.run(Samples(inputs=samples), 16)["output"])
    np.save(tmp_path / "rows.npy", samples["image"])
    ran = onnx.run("predict", "--input", tmp_path / "rows.npy", "--output", tmp_path)
    assert ran.code == 0, ran.err
    assert np.load(tmp_path / "output.npy").tobytes() == expected.tobytes()
    assert "in ONNX Runtime" in onnx.run("info").out


def test_a_program_embeds_it(onnx: Folder) -> None:
    """The commands of the page, with another file's name."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    for line in lines:
        if line.startswith("cc -DEMBED") or line.startswith("./embedded"):
            done = subprocess.run(
                ["sh", "-c", line.replace("model.pte", "model.onnx")],
                cwd=onnx.path, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ape", "bee", 'c"a\\t', "dög"]


def test_what_is_damaged_is_said(onnx: Folder, tmp_path: Path) -> None:
    """A model that is none, and a missing library."""
    own = onnx.copy(tmp_path / "copy")
    path = own.path / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    ran = own.run("info")
    assert (ran.code, len(ran.err.splitlines())) == (11, 1)
    path.write_bytes(whole)
    (own.path / "libonnxruntime.so.1").unlink()
    ran = own.run("info")
    assert (ran.code, len(ran.err.splitlines())) == (12, 1)
    assert "libonnxruntime.so.1" in ran.err


def test_without_the_header_the_way_out_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package carries the library alone."""
    monkeypatch.setattr(runtime, "_HEADER_PLACES", ())
    info = bundles.read(bundle).artifacts[0].model_copy(update={"format": Format.ONNX})
    with pytest.raises(ToolchainError, match=r"onnxruntime_c_api\.h, is not on this machine") as caught:
        runtime.of_artifact(info, bundles.read(bundle).target.cpu, runtime.host_folder(Format.ONNX))
    assert "libonnxruntime-dev" in caught.value.hint


def test_what_cannot_be_verified_is_an_error_with_the_reason(
    onnx: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle without a native folder, of which nothing can be run, has not passed."""
    bundle = shutil.copytree(onnx.bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("native*"))
    monkeypatch.setattr(runtime, "_HEADER_PLACES", ())
    monkeypatch.setattr(kit, "headers", lambda: ())
    with pytest.raises(ToolchainError, match=r"Nothing of .* can be run: ONNX Runtime's C header") as caught:
        emulate.verify(bundle, None, Silent(), emulate=False)
    assert "edgekit verify --setup" in caught.value.hint
