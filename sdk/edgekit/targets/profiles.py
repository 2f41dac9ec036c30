"""Target profiles: one TOML file each, shipped in the package or written by the user, read into `spec.Target`."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from edgekit.errors import EdgeKitError, ProjectError, TargetError, ToolchainError
from edgekit.spec import Target, schema
from edgekit.targets import extras, runtimes

_SUFFIX = ".toml"
ALL = "all"
"""Stands for every shipped profile."""


def folder() -> Traversable:
    """Return the folder of the shipped profiles.

    Raises:
        TargetError: If the installation is incomplete.
    """
    packaged = files("edgekit") / "profiles"
    checkout = Path(__file__).parents[3] / "targets"
    for place in (packaged, checkout):
        if place.is_dir():
            return place
    raise TargetError("The target profiles are not installed.", hint="Install edgekit again.")


def names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in folder().iterdir() if file.name.endswith(_SUFFIX)))


def load(name: str | Path) -> Target:
    """Read a profile.

    Args:
        name: The name of a shipped profile, or the path of a TOML file, which ends in ``.toml``.

    Raises:
        TargetError: If there is none of this name, or with all faults of the profile.
    """
    name = str(name)
    if name.endswith(_SUFFIX):
        return _read(Path(name), where=name)
    known = names()
    if name not in known:
        raise TargetError(
            f"There is no target {name!r}{_nearest(name, known)}",
            hint=f"Targets: {', '.join(known)}. The path of a {_SUFFIX} file of your own will do, too.",
        )
    return _read(folder() / f"{name}{_SUFFIX}", where=f"{name}{_SUFFIX}")


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean ...?``, or a full stop where nothing is near.

    The first word says what it is for, and what is suggested is for the same: of ``ios-am64`` a target for iOS. Where
    it is missing, all that have the rest are named: ``arm64`` is nearest to ``ios-arm64`` for its length only.
    """
    if same := [one for one in known if one.endswith(f"-{name}") or one.startswith(f"{name}-")]:
        return f"; did you mean {' or '.join(same)}?"
    first = get_close_matches(name.partition("-")[0], {one.partition("-")[0] for one in known}, n=1)
    family = [one for one in known if one.partition("-")[0] in first]
    return schema.did_you_mean(name, family or known) or "."


def asked(
    wanted: Sequence[str | Path], fits: Callable[[Target], object] = lambda target: None
) -> tuple[tuple[Target, ...], Mapping[str, EdgeKitError]]:
    """Return the profiles that are asked for, each once, and of all those that cannot be built, with the reason.

    Args:
        wanted: Names, or paths of TOML files; ``all`` stands for every shipped profile.
        fits: Raises `ProjectError` if a profile has nothing of what is to be built.

    Raises:
        TargetError: If there is none of a name, or a profile is faulty.
        ToolchainError: If one that is named lacks what is to be installed for it.
        ProjectError: If one that is named does not fit.
    """
    every = set(names()) - set(wanted) if ALL in wanted else set[str]()
    chosen = [load(name) for name in dict.fromkeys((*(one for one in wanted if one != ALL), *sorted(every)))]
    lacking = {}
    for target in chosen:
        try:
            fits(target)
            extras.check(target)
        except (ProjectError, ToolchainError) as error:
            if target.name not in every:
                raise
            lacking[target.name] = error
    return tuple(target for target in chosen if target.name not in lacking), lacking


def _read(file: Traversable, *, where: str) -> Target:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{where} cannot be read: {error}", hint="See `edgekit targets list`.") from error
    hint = "Compare it with a shipped profile: edgekit targets show android-arm64"
    target = schema.parse_toml(text, Target, where=where, error=TargetError, hint=hint)
    if f"{target.name}{_SUFFIX}" != file.name:
        # Bundles and messages use the one, command lines the other: they may not differ.
        raise TargetError(schema.report(where, [f"name: is {target.name!r}, the file is named {file.name}"]), hint=hint)
    if target.runtimes or not target.chip.pinned:
        return target
    return target.model_copy(update={"runtimes": runtimes.pinned(target.platform)})
