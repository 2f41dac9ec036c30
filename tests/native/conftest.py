"""The native folder of a small real model, made once for all tests of it."""

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn

import edgekit
from edgekit import bundles
from edgekit.apps.emulation import kit
from edgekit.apps.native import folder as folders
from edgekit.apps.native import toolchain
from edgekit.base import digest
from edgekit.base.cache import Cache
from edgekit.spec import Budget, Preprocessing, Resize

WITH_JPEG = Path("/usr/include/jpeglib.h").is_file()


@pytest.fixture(scope="session", autouse=True)
def _compiler() -> None:
    """There is nothing to test where nothing can be compiled."""
    if toolchain.host_cpu() is None or shutil.which("g++") is None:
        pytest.skip("no g++ for Linux on this machine: the native program cannot be compiled")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """A cache that all processes of one run of the tests share: compiling takes longest."""
    base = tmp_path_factory.getbasetemp()
    return Cache(folder=(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "native-cache")


@pytest.fixture(scope="module", autouse=True)
def _one_cache(store: Cache) -> Iterator[None]:
    """The command line takes the same cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(store.folder))
        yield


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ran:
    """What the program said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """A native folder, and the bundle that it belongs to."""

    bundle: Path

    @property
    def path(self) -> Path:
        """The folder."""
        return self.bundle / "native"

    def run(self, *arguments: str | Path, cwd: Path = Path("/")) -> Ran:
        """Start the program with an empty environment."""
        done = subprocess.run(
            [self.path / "edgekit-run", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            env={},
            check=False,
            timeout=60,
        )
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def copy(self, place: Path) -> "Folder":
        """Copy the bundle, to damage it."""
        shutil.copytree(self.bundle, place)
        return Folder(bundle=place)

    def change(self, change: Callable[[Any], None]) -> None:
        """Change the native folder's manifest."""
        path = self.path / "manifest.json"
        content = json.loads(path.read_text("utf-8"))
        change(content)
        path.write_text(json.dumps(content), "utf-8")

    def replace_model(self, data: bytes) -> None:
        """Put another model in, with its digest in the manifest."""
        (self.path / "model.pte").write_bytes(data)

        def named(content: Any) -> None:
            next(one for one in content["artifacts"] if one["format"] == "pte")["sha256"] = digest.of_bytes(data)

        self.change(named)


class Net(nn.Module):
    """Convolutions and a mean: all of it is delegated."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        scores: torch.Tensor = self.head(self.layers(image).mean((2, 3)))
        return scores


def picture_samples(count: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Random inputs of the model."""
    generator = np.random.default_rng(seed)
    return {"image": generator.normal(size=(count, 3, 20, 24)).astype(np.float32)}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, store: Cache) -> Path:
    """A bundle of a .pte for this machine."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(store.folder.parent / "native.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(store.folder))
        made = build_bundle(tmp_path_factory.mktemp("native"))
        folders.add(made, bundles.read(made), jpeg=WITH_JPEG, cache=store)
        shutil.rmtree(made / "native")
    return made


def build_bundle(output: Path, format: str = "pte") -> Path:
    """Build the network for this machine."""
    torch.manual_seed(0)
    cpu = toolchain.host_cpu()
    result = edgekit.build(
        Net().eval(),
        torch.zeros(8, 3, 20, 24),
        target="linux-x86_64" if cpu == "x86_64" else "linux-arm64",
        calibration=torch.from_numpy(picture_samples(32, 1)["image"]),
        evaluation=torch.from_numpy(picture_samples(40, 2)["image"]),
        output=output,
        labels=("ape", "bee", 'c"a\\t', "dög"),
        formats=(format,),
        budget=Budget(),
        preprocessing=Preprocessing(resize=Resize(height=20, width=24), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)),
        max_batch=16,
    )
    return result.bundles[0].folder


@pytest.fixture(scope="session")
def made(bundle: Path, store: Cache) -> Folder:
    """The bundle with its native folder."""
    folders.add(bundle, bundles.read(bundle), jpeg=WITH_JPEG, cache=store)
    return Folder(bundle=bundle)


def persons_kit() -> Path | None:
    """Show the tests the kit of whoever runs them; None where there is none."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "edgekit"
    place = kit.place()
    assert place is not None
    found = base / place.name
    if not (found / kit.COMPLETE).is_file():
        return None
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        if not place.exists():
            place.symlink_to(found)
    return place


@pytest.fixture
def own(made: Folder, tmp_path: Path) -> Folder:
    """A copy, to damage it."""
    return made.copy(tmp_path / "copy")
