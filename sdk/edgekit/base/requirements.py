"""Whether installed packages satisfy a wheel's requirements.

``packaging`` would do it, but is only somebody else's dependency. Understood is what pyproject.toml uses: a name and
comma separated comparisons of release numbers.
"""

import re
from dataclasses import dataclass

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_CLAUSE = re.compile(r"^\s*(>=|<=|==|!=|<|>|~=)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?\s*$")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A package that must be there, and its allowed versions as written (``>=2.13,<2.14``; empty: any)."""

    name: str
    allowed: str


def parse(lines: list[str]) -> tuple[Requirement, ...]:
    """Return the requirements among ``Requires-Dist`` lines, without those of extras, in their order."""
    found = []
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match and "extra" not in (match[3] or ""):
            found.append(Requirement(name=match[1], allowed=match[2].replace(" ", "")))
    return tuple(found)


def satisfies(version: str, allowed: str) -> bool | None:
    """Return whether a version is allowed, or None if the comparison is of a kind not understood here.

    Local parts (``+cpu``) do not count; a pre-release counts as its release.
    """
    have = release(version)
    verdict = True
    for clause in filter(None, allowed.split(",")):
        match = _CLAUSE.match(clause)
        if match is None or not have:
            return None
        verdict = verdict and _holds(have, match[1], tuple(map(int, match[2].split("."))), prefix=bool(match[3]))
    return verdict


def release(version: str) -> tuple[int, ...]:
    """Return the numbers a version begins with."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _holds(have: tuple[int, ...], operator: str, want: tuple[int, ...], *, prefix: bool) -> bool:
    length = len(want) if prefix else max(len(have), len(want))
    a, b = ((numbers + (0,) * length)[:length] for numbers in (have, want))
    match operator:
        case ">=":
            return a >= b
        case "<=":
            return a <= b
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b
        case ">":
            return a > b
        case _:  # ~=
            return a >= b and have[: len(want) - 1] == want[:-1]
