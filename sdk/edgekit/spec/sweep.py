"""``sweep.toml``: which projects, for which targets, by which schemes and settings, and what each cell may take.

Reading one finds all its faults at once, those of the projects that it names among them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from edgekit.base.values import MemorySize, Name, Positive, Spec
from edgekit.errors import ProjectError
from edgekit.spec import schema
from edgekit.spec.project import PROJECT_FILE, OpenProject, load
from edgekit.spec.quantization import QuantSpec, Scheme, scheme_of

_HINT = "docs/sweep.md shows one that works."
_Text = Annotated[str, Field(min_length=1)]


class Resources(Spec):
    """``[resources]``: what a cell may take while it runs."""

    cpus: Positive = 1
    """Processors, and threads, of each cell. Threads change last digits: cells are the same where this is."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of each cell; a Ray cluster hands them out."""
    memory: MemorySize | None = None
    """Memory of each cell, ``"4GB"`` or bytes; estimated from the size of the weights unless given."""
    time_limit: Positive = 3600
    """Seconds that one attempt may take; one that takes more is ended and tried again."""
    attempts: Positive = 4
    """How often a cell is tried whose worker was killed, or took too long, before it is marked as failed."""
    labels: dict[_Text, _Text] = Field(default_factory=dict)
    """By target, what a machine must have to do it, such as ``device:adb:SERIAL``; one cell at a time has each."""


class Sweep(Spec):
    """The content of ``sweep.toml``. Paths are relative to its folder."""

    projects: Annotated[tuple[_Text, ...], Field(min_length=1)]
    """Folders with an ``edgekit.toml``."""
    targets: Annotated[tuple[_Text, ...], Field(min_length=1)]
    """Names of targets, paths of profiles, or ``"all"``."""
    schemes: tuple[Annotated[Scheme, BeforeValidator(scheme_of)], ...] = ()
    """Schemes, each of which goes before the project's; the project's own unless given."""
    settings: dict[Name, QuantSpec] = Field(default_factory=dict)
    """``[settings.NAME]``: keys of ``[quantize]`` that go before the project's; each table makes cells of its own. The
    project's own settings unless given."""
    resources: Resources = Resources()
    """What a cell may take."""


@dataclass(frozen=True, kw_only=True)
class OpenSweep:
    """A sweep file that was read, and its projects."""

    file: Path
    spec: Sweep
    projects: tuple[OpenProject, ...]


def read(file: Path) -> OpenSweep:
    """Read a sweep file and the projects that it names.

    Raises:
        ProjectError: If there is none, or with all its faults.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ProjectError(f"{file} cannot be read: {reason}.", hint=f"Name a sweep file. {_HINT}") from error
    data = schema.parse_table(text, where=str(file), error=ProjectError)
    sweep, faults = schema.check(data, Sweep)
    if sweep is None:
        raise ProjectError(schema.report(str(file), faults), hint=_HINT)
    faults += _twice("targets", sweep.targets) + _twice("schemes", sweep.schemes) + _twice("projects", sweep.projects)
    for name, settings in sweep.settings.items():
        if "scheme" in settings.model_fields_set and sweep.schemes:
            faults.append(f"settings.{name}.scheme: stands against schemes: leave one of them out")
    projects: dict[str, OpenProject] = {}
    for place in dict.fromkeys(sweep.projects):
        _open(file.parent / place, place, projects, faults)
    if faults:
        raise ProjectError(schema.report(str(file), faults), hint=_HINT)
    return OpenSweep(file=file, spec=sweep, projects=tuple(projects.values()))


def _open(folder: Path, place: str, projects: dict[str, OpenProject], faults: list[str]) -> None:
    try:
        project = load(folder)
    except ProjectError as error:
        near = [path.parent.name for path in folder.parent.glob(f"*/{PROJECT_FILE}")]
        faults.append(f"projects: {error.message}" + ("" if folder.is_dir() else schema.did_you_mean(place, near)))
        return
    name = project.spec.model.name
    if name in projects:
        faults.append(f"projects: {place} and {projects[name].root} both have a model named {name}")
    projects[name] = project


def _twice(key: str, values: tuple[str, ...]) -> list[str]:
    return [f"{key}: {value} stands there twice" for value in dict.fromkeys(values) if values.count(value) > 1]
