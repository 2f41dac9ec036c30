"""The command line as a whole: help with examples, near names, usage errors as JSON, exit codes."""

import errno
import io
import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from edgekit.base.text import plain
from edgekit.cli.quiet import open_missing
from edgekit.cli.shell import INTERRUPTED, error_data, say
from edgekit.errors import EdgeKitError

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def examples(*lines: str) -> str:
    """Return what a command's help ends with: command lines to copy, each on a line of its own."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


class Group(click.Group):
    """A click group that reports usage errors as JSON too, if asked, and keeps the exit codes of verbs."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is asked for; of a name that is none, say which is near."""
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            near = get_close_matches(name, self.list_commands(context), n=1)
            wanted = f" Did you mean {near[0]}?" if near else ""
            context.fail(f"There is no command {name!r}.{wanted}")
        return super().resolve_command(context, arguments)

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command line and exit."""
        open_missing()
        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, prog_name or "edgekit", *rest, **extra)
        except click.ClickException as error:
            told = io.StringIO()
            error.show(told)
            click.echo(plain(told.getvalue()), err=True, nl=False)
            if "--json" in arguments:
                from edgekit.render import json as render_json

                fault = EdgeKitError(error.format_message(), hint="See edgekit --help.")
                data = error_data(fault, name="UsageError")
                data["error"]["exit_code"] = error.exit_code
                click.echo(render_json.text(data), nl=False)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Interrupted", err=True)
            sys.exit(INTERRUPTED)
        except OSError as error:  # help or the version, which click prints itself
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - what is held is lost
            if error.errno != errno.EPIPE:
                say(sys.stderr, f"error: what there is to say cannot be written: {error.strerror}")
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)
