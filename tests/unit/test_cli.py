"""The command line: options, exit codes and JSON, for the verbs that need no model."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from edgekit import __version__, errors, targets
from edgekit.base import cache as caches
from edgekit.base.cache import Entry
from edgekit.base.progress import Progress
from edgekit.cli import main
from edgekit.cli.gate import over_budget
from edgekit.cli.shell import Answer, verb
from edgekit.errors import EdgeKitError
from edgekit.spec import scaffold
from tests.unit import examples

VERBS = ("build", "baseline record", "baseline show", "compare", "profile", "report", "bisect", "drop", "inspect",
         "run", "targets list", "targets show", "init", "doctor", "cache show", "cache clear", "sweep", "scorecard",
         "store ls", "store gc", "store verify", "store get")  # fmt: skip


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command line and return its exit code and what it printed."""
    with pytest.raises(SystemExit) as stop:
        main.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    captured = capfd.readouterr()
    return stop.value.code, captured.out, captured.err


def error_of(text: str) -> dict[str, Any]:
    """Read the one JSON object of a failure."""
    error: dict[str, Any] = json.loads(text)["error"]
    return error


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_takes_json_debug_and_h(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The common options are common."""
    code, out, _ = run(capfd, *name.split(), "-h")
    assert code == 0
    assert "--json" in out
    assert "--debug" in out


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    """The version is the package's."""
    assert run(capfd, "--version") == (0, f"edgekit {__version__}\n", "")


def test_build_asks_for_a_target(capfd: pytest.CaptureFixture[str]) -> None:
    """Asking for nothing is an error that lists what there is."""
    code, out, err = run(capfd, "build")
    assert (code, out) == (2, "")
    assert "--target" in err
    assert all(name in err for name in targets.names())


def test_build_with_unknown_target(capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong name fails before anything is loaded, with the target's exit code."""
    code, out, err = run(capfd, "build", "--target", "toaster", "--json")
    assert code == errors.TargetError.exit_code
    assert error_of(out)["class"] == "TargetError"
    assert err.startswith("error: ")
    assert "\nhint: " in err


def test_usage_error_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    """Usage errors are on stderr as ever, and on stdout as one object."""
    code, out, err = run(capfd, "build", "--json")
    assert code == error_of(out)["exit_code"] == 2
    assert error_of(out)["class"] == "UsageError"
    assert "Usage:" in err


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_each_error_exits_with_its_code(kind: type[EdgeKitError], capfd: pytest.CaptureFixture[str]) -> None:
    """Message and hint are on stderr, also where JSON is asked for; square brackets are text, not markup."""

    @click.command()
    @verb
    def fail(progress: Progress) -> Answer:
        raise kind("broken [red]here[/red]", hint="mend it")

    main.add_command(fail, "fail-for-test")
    try:
        code, out, err = run(capfd, "fail-for-test", "--json")
    finally:
        del main.commands["fail-for-test"]
    assert code == kind.exit_code
    assert err == "error: broken [red]here[/red]\nhint: mend it\n"
    assert error_of(out) == {
        "class": kind.__name__,
        "message": "broken [red]here[/red]",
        "hint": "mend it",
        "exit_code": kind.exit_code,
    }


def test_an_answer_with_a_failure_is_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    """Over budget: the whole answer, and in the same object why it is no success."""

    @verb
    def judge(progress: Progress) -> Answer:
        return Answer(data={"passed": False}, text=lambda console: None, failure=over_budget(["total: too far"]))

    main.add_command(click.command("judge-for-test")(judge))
    try:
        code, out, err = run(capfd, "judge-for-test", "--json")
    finally:
        del main.commands["judge-for-test"]
    assert code == 20
    assert json.loads(out)["passed"] is False
    assert error_of(out)["class"] == "OverBudgetError"
    assert "total: too far" in err


def test_targets_list_and_show(capfd: pytest.CaptureFixture[str]) -> None:
    """Every shipped target is listed, and shown in both languages."""
    code, out, _ = run(capfd, "targets", "list")
    assert code == 0
    assert all(name in out for name in targets.names())
    code, out, _ = run(capfd, "targets", "list", "--json")
    assert [target["name"] for target in json.loads(out)["targets"]] == list(targets.names())
    for name in targets.names():
        code, out, _ = run(capfd, "targets", "show", name, "--json")
        assert (code, json.loads(out)["name"]) == (0, name)
        code, out, _ = run(capfd, "targets", "show", name)
        assert code == 0
        assert "device" in out
        assert all(version in out for version in targets.load(name).runtimes.values())


def test_baseline_show_warns_of_a_cpu(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A reference from a CPU is no proof about the GPU, and says so; one from a GPU does not."""
    slow = examples.write_baseline(tmp_path / "slow.npz", "cpu")
    fast = examples.write_baseline(tmp_path / "fast.npz", "cuda")
    code, out, _ = run(capfd, "baseline", "show", slow)
    assert code == 0
    assert "warning: recorded on a CPU" in out
    assert "4 x 1 x 32 x 32" in out
    code, out, _ = run(capfd, "baseline", "show", fast)
    assert "warning" not in out
    code, out, _ = run(capfd, "baseline", "show", fast, "--json")
    assert json.loads(out)["origin"]["device"] == "cuda"
    assert json.loads(out)["warning"] is None


@pytest.mark.parametrize(("name", "kind"), [("a.pte", "RunError"), ("a.onnx", "RunError"), ("a.npz", "BundleError")])
@pytest.mark.parametrize("command", ["inspect", "compare"])
def test_what_is_damaged_has_one_exit_code(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
    kind: str,
) -> None:
    """An artifact 10, a trace 11, whichever command reads it and however its reader ends."""
    scaffold.init(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"\x20\0\0\0ET12" + b"\xff" * 100)
    baseline = ("--baseline", examples.write_baseline(tmp_path / "b.npz")) if command == "compare" else ()
    code, out, _ = run(capfd, command, tmp_path / name, *baseline, "--json")
    assert error_of(out)["class"] == kind, out
    assert code == getattr(errors, kind).exit_code


def test_inspect_missing_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A missing file is a bundle error."""
    code, out, err = run(capfd, "inspect", tmp_path / "nothing.pte", "--json")
    assert code == errors.BundleError.exit_code
    assert error_of(out)["class"] == "BundleError"
    assert "nothing.pte" in err


def test_inspect_a_bundle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The summary is there in both languages."""
    folder = examples.write_bundle(tmp_path / "bundle")
    code, out, _ = run(capfd, "inspect", folder, "--json")
    assert (code, json.loads(out)["model"]) == (0, "digits")
    code, out, _ = run(capfd, "inspect", folder)
    assert code == 0
    assert "model.pte" in out


def test_cache_show_and_clear(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both languages say where the cache is and how full; cleared, it is empty."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("EDGEKIT_CACHE_SIZE", "3MB")
    store = caches.from_environment()
    caches.put(store, "artifact", "0" * 64, Entry(files={"model.pte": b"pte"}))
    code, out, _ = run(capfd, "cache", "show", "--json")
    answer = json.loads(out)
    assert (code, answer["folder"], answer["limit_bytes"]) == (0, str(tmp_path), 3_000_000)
    assert {kind["kind"]: kind["entries"] for kind in answer["kinds"]} == {
        "bundle": 0, "artifact": 1, "float-onnx": 0, "native": 0, "peak": 0, "search": 0, "times": 0
    }  # fmt: skip
    assert answer["bytes"] > 0
    code, out, _ = run(capfd, "cache", "show")
    assert code == 0
    assert str(tmp_path) in out
    code, out, _ = run(capfd, "cache", "clear", "--json")
    assert (code, json.loads(out)["bytes"]) == (0, 0)
    assert caches.get(store, "artifact", "0" * 64) is None


def test_the_kit_is_listed_and_cleared_when_asked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its size, those of other versions too; a plain clear leaves it, as it leaves what is no kit."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    assert json.loads(run(capfd, "cache", "show", "--json")[1])["kit"] is None
    for name in ("arm64-kit-1.5.1-1.32.0", "arm64-kit-1.4.0-1.31.0", "photographs"):
        (tmp_path / name / "usr" / "bin").mkdir(parents=True)
        (tmp_path / name / "usr" / "bin" / "tool").write_bytes(b"0" * 1_500_000)
    (tmp_path / "arm64-kit-linked").symlink_to(tmp_path / "photographs")
    code, out, _ = run(capfd, "cache", "clear", "--json")
    assert code == 0
    assert json.loads(out)["kit"] == {"kind": "arm64-kit", "entries": 2, "bytes": 3_000_000}
    assert "beside it, 3.0 MB: arm64-kit" in run(capfd, "cache", "show")[1]
    code, out, _ = run(capfd, "cache", "clear", "--kit", "--json")
    assert (code, json.loads(out)["kit"]) == (0, None)
    assert (tmp_path / "photographs" / "usr" / "bin" / "tool").exists()


def test_a_wrong_cache_size_is_said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is built."""
    monkeypatch.setenv("EDGEKIT_CACHE_SIZE", "lots")
    for arguments in (("cache", "show"), ("build", "--target", "android-arm64")):
        code, _, err = run(capfd, *arguments)
        assert code == errors.CacheError.exit_code
        assert "EDGEKIT_CACHE_SIZE" in err


def test_interrupt() -> None:
    """Ctrl-C ends with 130 and one word."""
    program = (
        "import click, signal, time\n"
        # A shell's job in the background inherits that interrupts are ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from edgekit.cli import main\n"
        "from edgekit.cli.shell import verb\n"
        "@verb\n"
        "def wait(progress):\n"
        "    progress.done('ready', 0, '')\n"
        "    time.sleep(60)\n"
        "main.add_command(click.command('wait')(wait))\n"
        "main(['wait'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "ready" in process.stderr.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "Interrupted\n"
        assert process.wait(timeout=10) == 130


def test_init_names_every_sample(capfd: pytest.CaptureFixture[str]) -> None:
    """Help says what there is to start from, without the modules that write it."""
    _, out, _ = run(capfd, "init", "--help")
    assert all(name in out for name in scaffold.NAMES)


def test_init_with_an_unknown_sample(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The error of the project, and nothing written."""
    code, out, err = run(capfd, "init", tmp_path / "new", "--sample", "digit", "--json")
    assert (code, error_of(out)["class"]) == (errors.ProjectError.exit_code, "ProjectError")
    assert "did you mean digits?" in err
    assert not (tmp_path / "new").exists()


def test_init_says_what_it_started_from(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The digits, unless another sample is named."""
    code, out, _ = run(capfd, "init", tmp_path / "new", "--json")
    assert (code, json.loads(out)["sample"]) == (0, "digits")
    assert (tmp_path / "new" / "edgekit.toml").is_file()
