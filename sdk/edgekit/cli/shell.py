"""What every verb has in common: ``--json``, ``--debug``, quiet libraries, progress, errors and exit codes."""

import functools
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from edgekit.base.text import plain
from edgekit.cli.quiet import Streams, quiet
from edgekit.errors import EdgeKitError, SourceError, ToolchainError

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.base.progress import Progress
    from edgekit.spec.project import OpenProject

P = ParamSpec("P")
_SAMPLE = "This is the sample that ships with EdgeKit"

INTERRUPTED = 130
FOLDER = click.option(
    "--project",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with an edgekit.toml; this folder if not given, or the sample where there is no project and no model.",
)
SAMPLE = click.option("--sample", is_flag=True, help="Take the sample that ships with EdgeKit, wherever this is.")


def _bytes(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from edgekit.spec import arguments  # help, shell completion and the first sign of life do without it

    try:
        return arguments.memory_of(value)
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
    summary: Callable[["Console"], None] | None = None
    """The same in three lines or so, which are shown first, and with ``--quiet`` alone."""
    details: Callable[["Console"], None] | None = None
    """What ``--verbose`` shows beside it."""
    failure: EdgeKitError | None = None
    """Why the answer, complete as it is, is not a success."""
    closing: str = ""
    """What people must not miss: the last line."""
    unwritten: tuple[str, ...] = ()
    """Files that were asked for beside the answer and could not be written, and why; the exit code is the verdict's."""


@dataclass(frozen=True, kw_only=True)
class _Manner:
    """How an answer is given."""

    debug: bool
    as_json: bool
    verbose: bool
    quiet: bool


Verb = Callable[Concatenate["Progress", P], Answer]


def verb(function: Verb[P]) -> Callable[P, None]:
    """Make a click callback of a function that takes a `Progress` and returns an `Answer`."""

    @click.option("-v", "--verbose", is_flag=True, help="Show all that was measured, with intervals and places.")
    @click.option("-q", "--quiet", is_flag=True, help="Show the result alone, and of a verdict its summary.")
    @click.option("--debug", is_flag=True, help="Show tracebacks and what libraries print.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    @functools.wraps(function)
    def callback(*args: P.args, **kwargs: P.kwargs) -> None:
        # click knows these, the function's own signature does not.
        _check_paths(kwargs)
        context = click.get_current_context()
        debug, as_json, verbose, silent = (bool(kwargs.pop(name)) for name in ("debug", "as_json", "verbose", "quiet"))
        if verbose and silent:
            raise click.UsageError("--verbose shows more and --quiet less: give one of them.")
        how = _Manner(
            debug=debug or bool(context.find_root().params.get("debug")),
            as_json=as_json,
            verbose=verbose,
            quiet=silent,
        )
        context.exit(_perform(lambda progress: function(progress, *args, **kwargs), how))

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


def _perform(work: Callable[["Progress"], Answer], how: _Manner) -> int:
    """Run a verb, show what came of it, and return the exit code."""
    debug, as_json = how.debug, how.as_json
    with quiet(debug=debug) as streams:
        try:
            code = _show(work, streams, how)
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


def _show(work: Callable[["Progress"], Answer], streams: Streams, how: _Manner) -> int:
    # Nothing else is imported before a person sees that work has begun.
    from edgekit.render.terminal import TerminalProgress, console

    as_json = how.as_json
    with TerminalProgress(streams.err, streams.err if as_json else streams.out, quiet=how.quiet) as progress:
        answer = work(progress)
    failure = {} if answer.failure is None else error_data(answer.failure)
    if as_json:
        from edgekit.render import json as render_json

        streams.out.write(render_json.text({**answer.data, **failure}))
    else:
        target = console(streams.out)
        for part in _parts(answer, how):
            part(target)
    streams.out.flush()
    for line in answer.unwritten:
        say(streams.err, f"error: {line}")
    if answer.failure is not None:
        _report(streams, answer.failure, as_json=False)
    if answer.closing:
        say(streams.err if as_json else streams.out, answer.closing)
    return 0 if answer.failure is None else answer.failure.exit_code


def _parts(answer: Answer, how: _Manner) -> list[Callable[["Console"], None]]:
    """Return what is shown of an answer, in order."""
    if how.quiet and answer.summary is not None:
        return [answer.summary]
    wanted = (answer.summary, answer.text, answer.details if how.verbose else None)
    return [part for part in wanted if part is not None]


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
        target.print(text)
