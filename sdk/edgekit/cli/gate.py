"""``--junit`` and ``--summary``: what a gate leaves for build servers and pull requests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from edgekit.errors import OverBudgetError

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.render.cases import Suite


def _place(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the work that leads up to it."""
    if path is not None and path != Path("-") and not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}.")
    return path


PAGE = click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    callback=_place,
    metavar="FILE",
    help="Write what changed from PATH to NEW as a page (HTML).",
)

_LIMITS = "-v shows which leg loses most; limits stand in edgekit.toml under [budget]."

F = TypeVar("F", bound=Callable[..., Any])


def gate_options(function: F) -> F:
    """Add the two options to a verb."""
    junit = click.option(
        "--junit",
        type=click.Path(path_type=Path, dir_okay=False, writable=True),
        callback=_place,
        metavar="FILE",
        help="Write every limit as a test case, in JUnit's XML.",
    )
    summary = click.option(
        "--summary",
        type=click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True),
        callback=_place,
        metavar="FILE",
        help="Append a summary in Markdown, for instance to $GITHUB_STEP_SUMMARY; - prints it in place of the table.",
    )
    return junit(summary(function))


def write(path: Path, text: str, *, mode: Literal["w", "a"] = "w") -> tuple[str, ...]:
    """Write a text to a file, or append it; return why that cannot be, or nothing."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return (f"{path} cannot be written: {error.strerror or error}.",)
    return ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Where the results go."""

    junit: Path | None
    summary: Path | None

    @property
    def prints(self) -> bool:
        """Whether a summary in Markdown takes the place of what a person sees otherwise."""
        return self.summary == Path("-")

    @classmethod
    def asked(cls, junit: Path | None, summary: Path | None) -> "Gate":
        """Return what the options ask for.

        Raises:
            UsageError: If two things are to be printed on standard output.
        """
        if summary == Path("-") and click.get_current_context().params["as_json"]:
            raise click.UsageError("--summary - and --json both print on standard output: give the summary a file.")
        return cls(junit=junit, summary=summary)

    def write(
        self, suites: "tuple[Suite, ...]", markdown: str, table: "Callable[[Console], None]"
    ) -> "tuple[Callable[[Console], None], tuple[str, ...]]":
        """Write the files that were asked for.

        Args:
            suites: The limits.
            markdown: The summary.
            table: What a person sees otherwise.

        Returns:
            What a person sees: the table, or the summary if it was asked for on standard output; and what could not be
            written.
        """
        from edgekit.render import junit

        unwritten: tuple[str, ...] = ()
        if self.junit is not None:
            unwritten += write(self.junit, junit.text(suites))
        if self.summary is not None and not self.prints:
            unwritten += write(self.summary, markdown, mode="a")
        if self.prints:
            return lambda console: console.print(markdown, end="", soft_wrap=True), unwritten
        return table, unwritten


def over_budget(failures: list[str], hint: str = "") -> OverBudgetError:
    """Return the error that names what was over its limit, and what would most likely help."""
    return OverBudgetError("over budget:\n" + "\n".join(f"  - {failure}" for failure in failures), hint=hint or _LIMITS)
