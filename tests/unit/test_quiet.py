"""What libraries print stays out of our output, however they print it."""

import json
import subprocess
import sys

# A process of its own: the noise is made below Python, where pytest's own capturing would get in the way.
PROGRAM = """
import ctypes, os, sys, warnings
from edgekit.cli.group import Group
from edgekit.cli.shell import Answer, verb
import click

def noise():
    os.write(1, b"c-out\\n")
    os.write(2, b"c-err\\n")
    print("py-out")
    print("py-err", file=sys.stderr)
    warnings.warn("py-warning")
    ctypes.CDLL(None).puts(b"c-buffered")  # stays in C's buffer until it is flushed

@click.group(cls=Group)
@click.option("--debug", is_flag=True)
def main(debug): pass

@main.command()
@verb
def fine(progress):
    noise()
    progress.start("work")
    progress.done("work", 1.25, "made")
    return Answer(data={"a": 1}, text=lambda console: console.print("the answer"))

@main.command()
@verb
def broken(progress):
    noise()
    raise ValueError("what?")

@main.command()
@verb
def crash(progress):
    os.abort()

main()
"""
NOISE = ("c-out", "c-err", "py-out", "py-err", "py-warning", "c-buffered")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb that makes noise."""
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)


def test_json_on_stdout_is_pure() -> None:
    """Whoever pipes the output into a JSON reader gets one object and nothing else."""
    done = run("fine", "--json")
    assert json.loads(done.stdout) == {"a": 1}
    assert done.stderr == "[   1.2 s] work: made\n"
    assert done.returncode == 0


def test_text_is_free_of_noise() -> None:
    """People are not bothered either."""
    done = run("fine")
    assert done.stdout == "the answer\n"
    assert not any(word in done.stderr for word in NOISE)


def test_debug_sends_noise_to_stderr() -> None:
    """With --debug, before or after the verb, nothing is swallowed, and stdout is as clean as ever."""
    for arguments in (("--debug", "fine", "--json"), ("fine", "--json", "--debug")):
        done = run(*arguments)
        assert json.loads(done.stdout) == {"a": 1}
        assert all(word in done.stderr for word in NOISE)


def test_an_unforeseen_error_shows_what_was_printed_last() -> None:
    """Libraries often say the reason just before they fail."""
    done = run("broken")
    assert done.returncode == 1
    assert done.stdout == ""
    assert all(word in done.stderr for word in NOISE)
    assert "error: unexpected ValueError: what?\nhint: Run again with --debug" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unforeseen_error_has_a_traceback_with_debug() -> None:
    """--debug shows where."""
    done = run("broken", "--debug")
    assert "Traceback" in done.stderr
    assert "error: unexpected ValueError: what?" in done.stderr


def test_an_unforeseen_error_as_json() -> None:
    """A script learns of it too."""
    done = run("broken", "--json")
    assert json.loads(done.stdout)["error"]["class"] == "ValueError"
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 1


def test_a_native_crash_leaves_a_trace() -> None:
    """The process cannot speak any more, so the fault handler does."""
    done = run("crash")
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr
    assert "in crash" in done.stderr
