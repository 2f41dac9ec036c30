"""Hostile and damaged weights: nothing of them is run, and each ends in an error soon and with little memory."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgekit.errors import SourceError
from edgekit.model.weights import into
from edgekit.model.weights.checkpoint import read_checkpoint
from tests.programs import hostile

# What a careless reader would do; opening a file to read it is what a reader is for.
WATCH = """
import encodings.utf_8_sig, json, resource, sys, time
from pathlib import Path
import torch
from torch import nn
from edgekit.errors import EdgeKitError
from edgekit.model.weights import into
from edgekit.model.weights.checkpoint import read_checkpoint

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 30)

def run(path):
    net = Net
    into.load(read_checkpoint(path), lambda values: net(**values), net, {})

good = Path(sys.argv[2])
run(good)  # imports what is imported on the way
seen, watching = [], False
FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "pickle.", "shutil.", "ctypes.", "marshal.",
             "code.", "webbrowser.", "urllib.")
ALLOWED = ("os.scandir", "os.listdir", "os.fstat", "os.stat")

def hook(event, arguments):
    if watching and event.startswith(FORBIDDEN) and event not in ALLOWED:
        seen.append(f"{event} {str(arguments)[:200]}")
    if watching and event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(f"open {arguments}")

sys.addaudithook(hook)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, path in json.loads(Path(sys.argv[1]).read_text()).items():
    path, before = Path(path), time.perf_counter()
    seen.clear()
    watching = True
    try:
        run(path)
        told = "loaded"
    except EdgeKitError as error:
        told = f"{type(error).__name__}: {error.message} | {error.hint}"
    except BaseException as error:
        told = f"FOREIGN {type(error).__name__}: {error}"
    watching = False
    seconds = time.perf_counter() - before
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024
    print(json.dumps([name, told, seconds, memory, list(seen)]), flush=True)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, int, list[str]]]:
    """What became of each hostile file: the error, seconds, bytes of memory, and what an audit hook saw."""
    folder = tmp_path_factory.mktemp("hostile")
    canary = folder / "canary"
    files = hostile.write(folder, str(canary))
    torch.save({"first.weight": torch.rand(30, 3), "first.bias": torch.rand(30)}, folder / "good")
    (folder / "list.json").write_text(json.dumps({name: str(path) for name, path in files.items()}))
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(folder / "list.json"), str(folder / "good")],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert not canary.exists()
    found = {line[0]: tuple(line[1:]) for line in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == files.keys()
    assert len(found) >= 40
    return found


def test_hostile_files_are_refused(told: dict[str, tuple[str, float, int, list[str]]]) -> None:
    """All of them, with a way out."""
    wrong = {name: line[0] for name, line in told.items() if not line[0].startswith("SourceError: ")}
    assert not wrong
    assert all(line[0].rpartition(" | ")[2] for line in told.values())
    assert all(len(line[0]) < 1500 for line in told.values())


def test_nothing_of_them_is_run(told: dict[str, tuple[str, float, int, list[str]]]) -> None:
    """An audit hook sees no import, no call of the system, and no unpickling."""
    assert not {name: line[3] for name, line in told.items() if line[3]}


def test_calls_are_named(told: dict[str, tuple[str, float, int, list[str]]]) -> None:
    """What would have been called is said."""
    assert "would call os.system" in told["os.system beside weights"][0]
    assert "would call builtins.getattr, builtins.__import__" in told["getattr chain alone"][0]
    assert "would call subprocess.Popen" in told["popen in an old file"][0]


def test_they_take_little(told: dict[str, tuple[str, float, int, list[str]]]) -> None:
    """None over ten seconds, and all together no more than half a gigabyte, which each may have beside its own size."""
    assert not {name: line[1] for name, line in told.items() if line[1] > 10}
    assert max(line[2] for line in told.values()) < 500 * 10**6


class Net(nn.Module):
    """A network for mutants."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(3, hidden)
        self.norm = nn.BatchNorm1d(hidden)


def originals(folder: Path) -> dict[str, bytes]:
    """Return whole files of every kind."""
    net = Net()
    state = net.state_dict()
    optimizer = torch.optim.Adam(net.parameters())
    whole = {"model": state, "optimizer": optimizer.state_dict(), "mean": np.ones(3), "classes": ["a", "b"], "epoch": 3}
    torch.save(state, folder / "state")
    torch.save(state, folder / "old", _use_new_zipfile_serialization=False)
    torch.save(whole, folder / "checkpoint")
    torch.save(whole, folder / "protocol", pickle_protocol=5)
    save_file(state, folder / "safetensors")
    (folder / "m.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(state, "safetensors")}))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("seed", range(5))
def test_mutants_end_in_an_error_or_load(tmp_path: Path, seed: int) -> None:
    """Some hundreds of each kind; every exception is a SourceError."""
    chance = np.random.default_rng(seed)

    def below(most: int) -> int:
        return int(chance.integers(most))

    def build(values: dict[str, Any]) -> nn.Module:
        return Net(**values)

    for name, whole in originals(tmp_path).items():
        path = tmp_path / ("mutant.index.json" if name.endswith("json") else "mutant")
        for _ in range(20):
            path.write_bytes(hostile.mutated(whole, below))
            with contextlib.suppress(SourceError):
                into.load(read_checkpoint(path), build, Net, {})
