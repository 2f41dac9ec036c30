"""Verifying on a board: a real sshd on the loopback interface, a real native program, and all that can go wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import bundles
from edgekit.bundles.own import foreign
from edgekit.cli import main
from edgekit.data import trace
from edgekit.data.samples import Samples
from edgekit.execution.artifact import open_artifact
from edgekit.execution.artifact import trace as run_artifact
from edgekit.pipeline import runs
from edgekit.spec import Format
from tests.native.boards import Sshd, serving
from tests.native.conftest import Folder, picture_samples

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A board."""
    with serving(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def board(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """The board as it should be, and left as it was."""
    monkeypatch.setenv("PATH", f"{sshd.binaries}{os.pathsep}{os.environ['PATH']}")
    sshd.plant("")
    yield sshd
    assert sshd.left() == []


@pytest.fixture
def verified(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs ``edgekit verify`` and returns its exit code and its answer."""

    def run(*arguments: str | Path) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(["verify", "--json", *map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(capfd.readouterr().out)

    return run


def baseline(folder: Folder, place: Path, count: int = 40) -> Path:
    """Record what this host makes of evaluation samples, as if it were the reference."""
    manifest = bundles.read(folder.bundle)
    samples = Samples(inputs=picture_samples(count, 2))
    data, cpu = (folder.bundle / "model.pte").read_bytes(), manifest.target.cpu
    opened = open_artifact(Format.PTE, data, cpu, manifest.inputs, manifest.outputs)
    found = run_artifact(opened, cpu, samples, batch=16, model=manifest.model.weights_sha256)
    trace.save(replace(found, origin=found.origin.model_copy(update={"program": "float"})), place)
    return place


def test_a_board_computes_what_this_host_does(
    own: Folder, board: Sshd, verified: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samples, a portion at a time; the report says where, and the traces come back."""
    monkeypatch.setattr(runs, "_PORTION", 20 * 3 * 20 * 24 * 4)
    recorded = baseline(own, tmp_path / "baseline.npz")
    asked = tmp_path / "asked"
    board.plant(f'case "$SSH_ORIGINAL_COMMAND" in *predict*) echo once >>"{asked}";; esac\n')
    code, answer = verified(own.bundle, "--device", "ssh:pi", "--baseline", recorded, "--keep", tmp_path / "kept")
    assert code == 0, answer
    found = answer["verified"]
    assert [(run["identical"], run["max_abs_error"]) for run in found["runs"]] == [(1.0, 0.0)]
    assert found["drift"]["samples"] == 40
    assert len(asked.read_text().splitlines()) == 4  # 16, 16 and 8 samples, and the golden ones
    assert found["board"]["host"] == "pi"
    assert found["board"]["machine"] == os.uname().machine
    assert found["board"]["cpu_models"]
    assert found["runs"][0]["kernels"].startswith("ExecuTorch ")
    device, total = found["drift"]["legs"]
    assert (device["name"], total["name"]) == ("device", "total")
    assert device["artifact"].endswith("(pi)")
    assert {check["name"]: check["result"] for check in device["checks"]}["golden_tolerance"] == "kept"
    assert answer["file"] == str(own.bundle / "board.json")
    assert foreign(own.bundle) == ()
    kept = trace.load(tmp_path / "kept" / "model.pte.npz")
    assert np.array_equal(kept.array("output"), trace.load(recorded).array("output"))
    assert kept.origin.device_name.endswith("(pi)")


def test_another_model_on_the_board_fails_the_legs(own: Folder, board: Sshd, verified: Callable[..., Answer]) -> None:
    """The planted fault: the model is exchanged there, its digest forged, and its answers are others."""
    model = (own.bundle / "model.pte").read_bytes()
    changed = board.folder / "changed"
    shutil.copytree(own.path, changed, dirs_exist_ok=True)
    planted = Folder(bundle=changed.parent / "planted")
    shutil.copytree(own.bundle, planted.bundle, dirs_exist_ok=True)
    planted.replace_model(_other(model))
    files = " ".join(f"{planted.path}/{name}" for name in ("model.pte", "manifest.json"))
    board.plant(f'case "$SSH_ORIGINAL_COMMAND" in *predict*) cp {files} {board.files}/edgekit-*/native/;; esac\n')
    code, answer = verified(own.bundle, "--device", "ssh:pi")
    assert code == 20, answer
    assert answer["error"]["class"] == "OverBudgetError"
    assert answer["verified"]["verdict"] == "failed"
    broken = {leg["name"] for leg in answer["verified"]["drift"]["legs"] for check in leg["checks"]
              if check["result"] == "broken"}  # fmt: skip
    assert broken == {"device", "total"}
    assert answer["verified"]["runs"][0]["identical"] < 1


def _other(model: bytes) -> bytes:
    """Return the same program with other weights: some of the bytes of its constants."""
    data = bytearray(model)
    start = len(data) * 3 // 4
    data[start : start + 64] = bytes(127 - byte if byte < 128 else byte for byte in data[start : start + 64])
    return bytes(data)


@pytest.mark.parametrize(
    ("host", "code", "kind", "said"),
    [
        ("stranger", 17, "HostKeyError", "is not known here"),
        ("changed", 17, "HostKeyError", "another one than before"),
        ("refusing", 18, "AuthenticationError", "Permission denied"),
        ("silent", 16, "UnreachableError", "Connection refused"),
        ("nowhere", 16, "UnreachableError", "Could not resolve hostname"),
    ],
)
def test_a_board_that_cannot_be_reached(
    own: Folder, board: Sshd, verified: Callable[..., Answer], host: str, code: int, kind: str, said: str
) -> None:
    """Each reason has a class and an exit code of its own, and no password is asked for."""
    ended, answer = verified(own.bundle, "--device", f"ssh:{host}")
    assert (ended, answer["error"]["class"]) == (code, kind)
    assert said in answer["error"]["message"]
    assert answer["error"]["hint"]
    assert not (own.bundle / "board.json").exists()


@pytest.mark.parametrize(
    ("planted", "code", "kind", "said"),
    [
        ("uname() { echo riscv64; }", 4, "TargetError", "is riscv64"),
        ("getconf() { echo 32; }", 4, "TargetError", "with programs of 32 bits"),
    ],
)
def test_a_board_of_another_kind(
    own: Folder, board: Sshd, verified: Callable[..., Answer], planted: str, code: int, kind: str, said: str
) -> None:
    """It is refused before anything is copied."""
    name = planted.partition("(")[0]
    tool = board.folder / "tools" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f'#!/bin/sh\n[ "$1" = -s ] && exec /usr/bin/uname -s\n{planted}\n{name}\n')
    tool.chmod(0o755)
    board.plant(f"PATH={tool.parent}:$PATH\n")
    ended, answer = verified(own.bundle, "--device", "ssh:pi")
    tool.unlink()
    assert (ended, answer["error"]["class"]) == (code, kind)
    assert said in answer["error"]["message"]


def test_a_board_without_space(own: Folder, board: Sshd, verified: Callable[..., Answer]) -> None:
    """Its folders are named with what they have left: a file system of a megabyte, where one can be mounted."""
    places = (board.files, Path("/") / "var" / "tmp", "$HOME")
    mounts = "; ".join(f"mount -t tmpfs -o size=1m tmpfs {place}" for place in places)
    probe = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs -o size=1m tmpfs {board.files}"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    board.plant(f'[ -n "$INSIDE" ] || exec env INSIDE=1 unshare -rm sh -c "{mounts}; exec $0"\n')
    ended, answer = verified(own.bundle, "--device", "ssh:pi")
    assert (ended, answer["error"]["class"]) == (19, "DeviceSpaceError")
    assert re.search(rf"{board.files} has \d+ kB left", answer["error"]["message"])


@pytest.mark.parametrize(
    ("planted", "code", "kind", "said"),
    [
        ("rm native/model.pte", 11, "BundleError", "No such file"),
        ("rm native/libexecutorch.so", 12, "ToolchainError", "libexecutorch.so"),
        (": >native/edgekit-run; chmod 644 native/edgekit-run", 12, "ToolchainError", "does not start"),
        ("printf %s x >>in/0.npy", 6, "DataError", "0.npy"),
        ("rm -rf native/libedgekit.so; ln -s /dev/full native/libedgekit.so", 12, "ToolchainError", "library"),
        ('printf "#!/bin/sh\\nkill -9 \\$\\$\\n" >native/edgekit-run', 10, "RunError", "by signal 9"),
    ],
)
def test_what_the_program_says_on_the_board(
    own: Folder, board: Sshd, verified: Callable[..., Answer], planted: str, code: int, kind: str, said: str
) -> None:
    """Its own exit codes are EdgeKit's, and its own words are told."""
    board.plant(f'case "$SSH_ORIGINAL_COMMAND" in *predict*) (cd {board.files}/edgekit-*; {planted});; esac\n')
    ended, answer = verified(own.bundle, "--device", "ssh:pi")
    assert (ended, answer["error"]["class"]) == (code, kind), answer
    assert said in answer["error"]["message"]
    assert "pi" in answer["error"]["message"]


def test_a_connection_that_is_lost_midway(own: Folder, board: Sshd, verified: Callable[..., Answer]) -> None:
    """It has an exit code of its own, and the board tidies up by itself."""
    board.plant('case "$SSH_ORIGINAL_COMMAND" in *predict*) kill -9 $PPID; sleep 5;; esac\n')
    ended, answer = verified(own.bundle, "--device", "ssh:pi")
    assert (ended, answer["error"]["class"]) == (21, "ConnectionLostError")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_is_ended(own: Folder, board: Sshd, ending: signal.Signals, tmp_path: Path) -> None:
    """Neither the folder nor the program that runs in it, even if nobody can tidy up here any more."""
    board.plant(
        f'case "$SSH_ORIGINAL_COMMAND" in *predict*) cd {board.files}/edgekit-*/native; rm edgekit-run\n'
        'cp "$(command -v sleep)" sleeping; printf "#!/bin/sh\\nexec native/sleeping 987\\n" >edgekit-run\n'
        "chmod 755 edgekit-run;; esac\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "edgekit", "verify", own.bundle, "--device", "ssh:pi"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "EDGEKIT_CACHE": str(tmp_path)},
    )  # fmt: skip
    end = time.monotonic() + 120
    while not _sleepers() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)
    assert len(_sleepers()) == 1
    process.send_signal(ending)
    assert process.wait(60) == (130 if ending is signal.SIGINT else -ending)
    assert board.left() == []
    assert _sleepers() == []


def _sleepers() -> list[str]:
    """Return the processes that the test has had started on the board."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().split(b"\0")[:2] == [b"native/sleeping", b"987"]:
                found.append(place.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("device", ["ssh:-oProxyCommand=touch X", "ssh:root@-oProxyCommand=touch", "ssh:pi;touch X"])
def test_a_host_is_a_name_and_nothing_else(
    own: Folder,
    board: Sshd,
    verified: Callable[..., Answer],
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No option of ssh, no word of a shell: a usage error, before ssh is started."""
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    ended, answer = verified(own.bundle, "--device", device)
    assert (ended, answer["error"]["class"]) == (2, "UsageError")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_account_without_a_shell(own: Folder, board: Sshd, verified: Callable[..., Answer]) -> None:
    """Its own words are told."""
    board.plant("echo This account is for files only.; exit 1\n")
    ended, answer = verified(own.bundle, "--device", "ssh:pi")
    assert (ended, answer["error"]["class"]) == (18, "AuthenticationError")
    assert "files only" in answer["error"]["message"]


def test_the_commands_of_the_page_work(
    own: Folder, board: Sshd, verified: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bundle that is called like words of a shell, and a login that speaks, which ends scp and rsync."""
    page = (ROOT / "docs" / "native.md").read_text("utf-8")
    lines = re.findall(r"^edgekit verify (.*--device ssh:[^#\n]*)", page, re.MULTILINE)
    assert len(lines) == 2
    strange = "-o a 'b' \"c\" $(touch X);`touch Y`"
    shutil.copytree(own.bundle, tmp_path / strange)
    monkeypatch.chdir(tmp_path)
    board.plant("echo Welcome; echo folder=/ ; echo end; echo careful >&2\n")
    here = {"ssh:user@192.168.1.7:2222": f"ssh:127.0.0.1:{board.port}"}
    for line in lines:
        bundle, *words = line.split()
        assert bundle == "artifacts/digits/linux-arm64"
        ended, answer = verified(*(here.get(word, word) for word in words), "--", strange)
        assert ended == 0, answer
    assert {path.name for path in tmp_path.iterdir()} == {strange, "copy", "answers"}
