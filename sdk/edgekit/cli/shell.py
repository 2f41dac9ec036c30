"""What every verb has in common: ``--json``, ``--debug``, quiet libraries, progress, errors and exit codes."""

import errno
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from edgekit.base.text import plain
from edgekit.cli.quiet import Streams, open_missing, quiet
from edgekit.errors import EdgeKitError, SourceError, ToolchainError

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.base.progress import Progress
    from edgekit.spec.project import OpenProject

P = ParamSpec("P")
_SAMPLE = "This is the sample that ships with EdgeKit"

INTERRUPTED = 130
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
FOLDER = click.option(
    "--project",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with an edgekit.toml; this folder if not given, or the sample where there is no project and no model.",
)
SAMPLE = click.option("--sample", is_flag=True, help="Take the sample that ships with EdgeKit, wherever this is.")


def _bytes(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from edgekit.spec import arguments  # help and shell completion do without it

    try:
        return None if value is None else arguments.memory_of(value)
    except EdgeKitError as error:
        raise click.BadParameter(error.message) from error


MEMORY = click.option(
    "--memory",
    metavar="SIZE",
    callback=_bytes,
    help="Memory for samples and activations, 4GB for instance; what [build] memory says if not given.",
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a verb has to say, in both languages; a failure is told after the answer is shown."""

    data: Mapping[str, Any]
    """For ``--json``."""
    text: Callable[["Console"], None]
    """For people."""
    failure: EdgeKitError | None = None
    """Why the answer, complete as it is, is not a success."""
    closing: str = ""
    """What people must not miss: the last line."""
    unwritten: tuple[str, ...] = ()
    """Files that were asked for beside the answer and could not be written, and why; the exit code is the verdict's."""


Verb = Callable[Concatenate["Progress", P], Answer]


def verb(function: Verb[P]) -> Callable[P, None]:
    """Make a click callback of a function that takes a `Progress` and returns an `Answer`."""

    @click.option("--debug", is_flag=True, help="Show tracebacks and what libraries print.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    @functools.wraps(function)
    def callback(*args: P.args, **kwargs: P.kwargs) -> None:
        # click knows these two, the function's own signature does not.
        _check_paths(kwargs)
        debug = bool(kwargs.pop("debug"))
        as_json = bool(kwargs.pop("as_json"))
        context = click.get_current_context()
        debug = debug or bool(context.find_root().params.get("debug"))
        context.exit(_perform(lambda progress: function(progress, *args, **kwargs), debug=debug, as_json=as_json))

    return callback


def _check_paths(values: Mapping[str, object]) -> None:
    """Refuse paths that no system has: everything else about them is for the verb to say."""
    for name, value in values.items():
        if isinstance(value, Path):
            try:
                value.lstat()
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise click.UsageError(f"{name}: {str(value)[:100]}... cannot be looked for: {reason}.") from error


def _perform(work: Callable[["Progress"], Answer], *, debug: bool, as_json: bool) -> int:
    """Run a verb, show what came of it, and return the exit code."""
    with quiet(debug=debug) as streams:
        try:
            code = _show(work, streams, as_json=as_json)
            if (failure := streams.out.failure) is not None and not isinstance(failure, BrokenPipeError):
                say(streams.err, f"error: what there is to say cannot be written: {failure.strerror}")
            return code
        except click.ClickException:
            raise
        except KeyboardInterrupt:
            say(streams.err, "Interrupted")
            return INTERRUPTED
        except SystemExit as ended:  # a person's code that was called while a library called it
            error = SourceError(
                f"sys.exit({ended.code!r}) was called while the model ran, which would end EdgeKit itself.",
                hint="Take it out of the model, the metric or the data's function; --debug shows where it stands.",
            )
            if debug:
                streams.err.write(plain(traceback.format_exc()))
            _report(streams, error, as_json=as_json)
            return error.exit_code
        except EdgeKitError as error:
            if debug:
                streams.err.write(plain(traceback.format_exc()))
            _report(streams, error, as_json=as_json)
            return error.exit_code
        except Exception as error:  # the last line of defence: a person gets a sentence, not a stack
            if debug:
                streams.err.write(plain(traceback.format_exc()))
            unforeseen = _in_words(error, streams, debug=debug)
            _report(streams, unforeseen, as_json=as_json, name=type(error).__name__)
            return unforeseen.exit_code


def _in_words(error: Exception, streams: Streams, *, debug: bool) -> EdgeKitError:
    """Say what a person can do about an error that is none of ours."""
    if isinstance(error, ModuleNotFoundError):
        return ToolchainError(
            f"The library {(error.name or str(error)).partition('.')[0]} is not installed here.",
            hint="edgekit doctor says what fits. A server that only records baselines needs torch alone.",
        )
    if not debug and (lines := streams.last_lines()):
        say(streams.err, "The libraries said last:", *(f"  {line}" for line in lines))
    hint = "" if debug else "Run again with --debug to see where; please report it as a bug."
    return EdgeKitError(f"unexpected {describe(error)}", hint=hint)


def _show(work: Callable[["Progress"], Answer], streams: Streams, *, as_json: bool) -> int:
    from edgekit.render import json as render_json
    from edgekit.render.terminal import TerminalProgress, console

    with TerminalProgress(streams.err, streams.err if as_json else streams.out) as progress:
        answer = work(progress)
    failure = {} if answer.failure is None else error_data(answer.failure)
    if as_json:
        streams.out.write(render_json.text({**answer.data, **failure}))
    else:
        answer.text(console(streams.out))
    streams.out.flush()
    for line in answer.unwritten:
        say(streams.err, f"error: {line}")
    if answer.failure is not None:
        _report(streams, answer.failure, as_json=False)
    if answer.closing:
        say(streams.err if as_json else streams.out, answer.closing)
    return 0 if answer.failure is None else answer.failure.exit_code


def _report(streams: Streams, error: EdgeKitError, *, as_json: bool, name: str = "") -> None:
    notes = [f"note: {note}" for note in getattr(error, "__notes__", ())]
    say(streams.err, f"error: {error.message}", *([f"hint: {error.hint}"] if error.hint else []), *notes)
    if as_json:
        from edgekit.render import json as render_json

        streams.out.write(render_json.text(error_data(error, name=name)))


def announced(progress: "Progress", project: "OpenProject") -> str:
    """Say first that the sample is taken, if it is; return the same for the last line."""
    if not project.is_sample:
        return ""
    progress.note(f"{_SAMPLE}. A model of yours: `edgekit init FOLDER --model FILE:NAME --weights FILE`.")
    return f"{_SAMPLE}, no model of yours."


def describe(error: BaseException) -> str:
    """Return an exception's type and message on one line or more."""
    message = str(error).strip()
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def error_data(error: EdgeKitError, *, name: str = "") -> dict[str, Any]:
    """Return what ``--json`` prints of an error."""
    return {
        "error": {
            "class": name or type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }


def say(stream: Any, *lines: str) -> None:
    """Write lines, the word before the first colon of an error or a hint in colour where there is a terminal."""
    if not stream.isatty():
        stream.write("".join(f"{plain(line)}\n" for line in lines))
        return
    from rich.text import Text

    from edgekit.render.terminal import console

    target = console(stream)
    for line in lines:
        text = Text(line)
        text.highlight_regex(r"^error:", "bold red")
        text.highlight_regex(r"^hint:", "bold")
        target.print(text, soft_wrap=True)


class Group(click.Group):
    """A click group that reports usage errors as JSON too, if asked, and keeps the exit codes of verbs."""

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
