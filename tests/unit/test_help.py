"""Help: examples that work, whole one-liners, near names, short options, completion."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from edgekit import targets
from edgekit.cli import main
from edgekit.cli.group import HELP_OPTIONS
from edgekit.errors import TargetError
from tests.unit.test_cli import run


def commands(group: click.Group = main, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command that does something, with its names."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


ALL = [pytest.param(names, command, id=" ".join(names)) for names, command in commands()]


@pytest.mark.parametrize(("names", "command"), ALL)
def test_examples_stand_in_every_help_and_are_taken(
    names: tuple[str, ...], command: click.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a command line of its own verb, whose options there are; nothing is cut at 80 columns."""
    assert command.epilog, names
    context = click.Context(command, info_name=names[-1], help_option_names=HELP_OPTIONS["help_option_names"])
    lines = [line.strip() for line in command.epilog.splitlines() if line.strip().startswith("edgekit ")]
    assert lines
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        assert tuple(words[: len(names)]) == names
        rest = words[len(names) :]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("-")} <= known, line
        command.make_parser(context).parse_args(rest)
    monkeypatch.setenv("COLUMNS", "80")
    text = command.get_help(context)
    assert "Examples:" in text
    assert "..." not in text.replace("]...", "")


@pytest.mark.parametrize("group", [main, *(one for one in main.commands.values() if isinstance(one, click.Group))])
def test_one_liners_are_whole(group: click.Group) -> None:
    """At 80 columns, none ends in dots, none is wrapped."""
    text = group.get_help(click.Context(group, info_name="edgekit", terminal_width=80))
    rows = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(rows) == len(group.commands)
    assert not [row for row in rows if row.endswith(".")]


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("andriod-arm64", ["android-arm64"]), ("ios-am64", ["ios-arm64"]),
     ("linux", ["linux-arm64", "linux-x86_64", "linux-x86_64-vnni"]),
     ("arm64", [name for name in targets.names() if name.endswith("-arm64")]), ("toaster", [])],
)  # fmt: skip
def test_a_near_target_is_of_the_same_family(wanted: str, near: list[str]) -> None:
    """Where the family is not said, all of them are named, not the one with the shortest name."""
    with pytest.raises(TargetError) as caught:
        targets.load(wanted)
    message = caught.value.message
    assert [
        name for name in targets.names() if name in message.partition("did you mean")[2].rstrip("?").split()
    ] == near


@pytest.mark.parametrize(("arguments", "near"), [(("bild",), "build"), (("targets", "lst"), "list")])
def test_a_near_command_is_named(arguments: tuple[str, ...], near: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Of the whole and of a group; of a word that is nothing, none."""
    code, _, err = run(capfd, *arguments)
    assert code == 2
    assert f"Did you mean {near}?" in err
    assert "Did you mean" not in run(capfd, "xyzzy")[2]


def test_short_options(capfd: pytest.CaptureFixture[str]) -> None:
    """-t, -o, -q, -v and -V; more and less at once are refused."""
    assert run(capfd, "-V")[1] == run(capfd, "--version")[1]
    options = {option for parameter in main.commands["build"].params for option in parameter.opts}
    assert {"-t", "-o", "-q", "-v"} <= options
    code, _, err = run(capfd, "targets", "list", "-q", "-v")
    assert code == 2
    assert "give one of them" in err


def test_shells_complete_commands_and_targets() -> None:
    """As the documentation says: bash asks with the words in the environment."""

    def completed(words: str, count: int) -> list[str]:
        asked = {"_EDGEKIT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        done = subprocess.run(
            [sys.executable, "-c", "from edgekit.cli import main; main(prog_name='edgekit')"],
            capture_output=True, text=True, check=False, env=os.environ | asked,
        )  # fmt: skip
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert completed("edgekit bu", 1) == ["build"]
    assert completed("edgekit build -t linux", 3) == ["linux-arm64", "linux-x86_64", "linux-x86_64-vnni"]
