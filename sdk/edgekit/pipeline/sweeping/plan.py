"""From a sweep file to its cells: each with its key, and those that cannot be with the reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edgekit import targets
from edgekit.base import digest, environment
from edgekit.bundles.cells import CellName
from edgekit.errors import ProjectError, TargetError
from edgekit.pipeline import buildkey
from edgekit.pipeline.sweeping.tasks import AS_SET, Task
from edgekit.spec import QuantSpec, Scheme, Target, schema, schemes
from edgekit.spec.project import OpenProject
from edgekit.spec.sweep import OpenSweep

# What a build takes at the least, and how often the weights are in memory at the most, measured on the samples.
_LEAST, _COPIES = 1_500_000_000, 24


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The cells of a sweep."""

    tasks: tuple[Task, ...]
    """All cells that can be, in order of projects, targets, schemes and settings. Some may have the same key."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The names of those that cannot be, with the reason."""


def plan(sweep: OpenSweep, store: str) -> Plan:
    """Return the cells of a sweep. Files are read once, and nothing is built.

    Args:
        sweep: From `edgekit.spec.sweep.read`.
        store: The path or URL of the store.

    Raises:
        ProjectError: If a project has no key, for its data come from a function or its weights from a library; if a
            scheme or settings do not go together; or if there is no cell at all.
        TargetError, ToolchainError: If there is no such target, or it lacks what is to be installed for it.
    """
    profiles, _ = targets.asked(sweep.spec.targets)
    tools = digest.of_json([environment.of_tools()])
    known = {target.name: digest.of_json(target.model_dump(mode="json")) for target in profiles}
    if strange := set(sweep.spec.resources.labels) - known.keys():
        fault = f"resources.labels: {min(strange)} is none of the targets{schema.did_you_mean(min(strange), known)}"
        raise ProjectError(schema.report(str(sweep.file), [fault]), hint="Name a target of the sweep.")
    tasks: list[Task] = []
    left_out: dict[str, str] = {}
    for project in sweep.projects:
        content = buildkey.of_content(project)
        if content is None:
            raise ProjectError(
                f"{project.root} cannot be in a sweep: what its data's function, or its library of models, returns is "
                "in no file, so that nobody knows whether a result is still right.",
                hint="Write the data or the weights to a file, and name that in edgekit.toml.",
            )
        memory = sweep.spec.resources.memory or _memory(project)
        for settings, quantize in _settings(sweep, project):
            files = buildkey.of_settings(_with(project, quantize), content)
            for target in profiles:
                scheme = AS_SET if quantize.scheme == project.spec.quantize.scheme else str(quantize.scheme)
                name = CellName(
                    model=project.spec.model.name,
                    target=target.name,
                    scheme=settings[0] or scheme,
                    settings=settings[1],
                )
                try:
                    narrow = _fitting(target, project, quantize)
                except (ProjectError, TargetError) as error:
                    left_out[str(name)] = error.message
                    continue
                formats = [str(format) for format in narrow.formats]
                tasks.append(
                    Task(
                        key=digest.of_json(["cell", files, known[target.name], formats, tools]),
                        name=name,
                        project=str(project.root.absolute()),
                        target=narrow,
                        quantize=quantize,
                        store=store,
                        tools=tools,
                        cpus=sweep.spec.resources.cpus,
                        gpus=sweep.spec.resources.gpus,
                        memory=memory,
                        label=sweep.spec.resources.labels.get(target.name),
                        seconds=sweep.spec.resources.time_limit,
                    )
                )
    if not tasks:
        faults = [f"{name}: {reason}" for name, reason in left_out.items()]
        raise ProjectError(f"{sweep.file} has no cell that can be:\n" + "\n".join(faults), hint="Name other targets.")
    return Plan(tasks=tuple(tasks), left_out=left_out)


def _settings(sweep: OpenSweep, project: OpenProject) -> Iterator[tuple[tuple[str, str], QuantSpec]]:
    """Yield the names of scheme and settings, and how to quantize by them."""
    tables: dict[str, QuantSpec] = dict(sweep.spec.settings) or {AS_SET: QuantSpec()}
    chosen: tuple[Scheme | None, ...] = sweep.spec.schemes or (None,)
    for scheme in chosen:
        for name, table in tables.items():
            given = {key: getattr(table, key) for key in table.model_fields_set}
            if scheme is not None:
                given["scheme"] = scheme
            merged = {**project.spec.quantize.model_dump(mode="json"), **_plain(given)}
            quantize, faults = schema.check(merged, QuantSpec)
            if quantize is None:
                where = f"{project.root} with the scheme {scheme or AS_SET} and settings.{name}"
                raise ProjectError(schema.report(where, faults), hint="See [quantize] in docs/project.md.")
            yield ("" if scheme is None else str(scheme), name), quantize


def _plain(given: Mapping[str, object]) -> Mapping[str, object]:
    dumped: Mapping[str, object] = QuantSpec.model_construct(**given).model_dump(mode="json", include=set(given))  # type: ignore[arg-type]
    return dumped


def _with(project: OpenProject, quantize: QuantSpec) -> OpenProject:
    return replace(project, spec=project.spec.model_copy(update={"quantize": quantize}))


def _fitting(target: Target, project: OpenProject, quantize: QuantSpec) -> Target:
    """Return a target with those of its formats that the project asks for and the scheme can be in.

    Raises:
        ProjectError: If there is none.
    """
    (narrow,) = schemes.narrowed((target,), project.spec.formats)
    good = [
        format
        for format in narrow.formats
        if schemes.obstacle(schemes.asked(quantize, format) or target.quantization, format) is None
    ]
    if good:
        narrow = narrow.model_copy(update={"formats": tuple(good)})
    schemes.of_target(narrow, quantize)
    return narrow


def _memory(project: OpenProject) -> int:
    """Estimate the bytes that a build takes, by the size of the weights."""
    weights = project.root / (project.spec.model.weights or "")
    size = weights.stat().st_size if weights.is_file() else 0
    return _LEAST + _COPIES * size
