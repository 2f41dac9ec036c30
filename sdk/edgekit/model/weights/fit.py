"""How a state dict of a file fits a model: by names and shapes, with the prefixes that wrappers leave."""

import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from edgekit.model.weights.state import Described, State
from edgekit.model.weights.values import printable
from edgekit.spec.schema import did_you_mean

Shape = tuple[int, ...]
# What torch.compile, FSDP and activation checkpointing put into the middle of names.
_WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# What profilers leave in the state of every module.
_LEAVINGS = ("total_ops", "total_params")
_OPTIONAL = "num_batches_tracked"
_MODULES, _NAMES, _ALIKE = 10, 6, 500
_PREFIXES, _TRIED = 12, 3


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a model has."""

    tensors: Mapping[str, Described]
    """Its state dict."""
    shared: Mapping[str, int]
    """A number for each name; those of one number are one tensor, which a file may hold once."""
    temporary: Mapping[str, Shape]
    """Buffers that it makes by itself and that are not part of its state dict; older files may hold them."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How names of a file are those of a model, and what does not fit."""

    names: Mapping[str, str]
    """The model's name of each tensor that is taken, by the file's name."""
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: Mapping[str, tuple[Shape, Shape]]
    """Shapes in the file and in the model, by the model's name."""
    notes: tuple[str, ...] = field(default=())

    @property
    def faults(self) -> int:
        """The number of names that do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.wrong)


def fitted(state: State, wanted: Wanted) -> Fit:
    """Return how a state dict fits best: as it is, or without, or with, one prefix."""
    clean = {name: name if name in wanted.tensors else _WRAPPERS.sub("", name) for name in state.tensors}
    prefixes = _prefixes(clean.values(), wanted.tensors)
    ways = [_way(state, wanted, clean, prefix, add) for prefix, add in prefixes]
    return min(ways, key=lambda way: way.faults)


def report(fit: Fit) -> str:
    """Return the lines that say what does not fit, one a module."""
    modules: dict[str, list[str]] = {}
    for text, names in (("missing", fit.missing), ("unexpected", fit.unexpected)):
        for module, inner in _grouped(names).items():
            shown = ", ".join(map(printable, inner[:_NAMES])) + (
                f" and {len(inner) - _NAMES} more" * (len(inner) > _NAMES)
            )
            others = fit.unexpected if text == "missing" else fit.missing
            near = did_you_mean(module, list(_grouped(others[:_ALIKE]))) if module else ""
            modules.setdefault(module, []).append(f"{text} {shown}{near}")
    for module, inner in _grouped(fit.wrong).items():
        parts = []
        for name in inner[:_NAMES]:
            in_file, in_model = fit.wrong[f"{module}.{name}" if module else name]
            parts.append(f"{printable(name)} is {in_file}, the model has {in_model}")
        modules.setdefault(module, []).append("; ".join(parts))
    lines = [
        f"  - {printable(module) or '(the model itself)'}: {'; '.join(parts)}" for module, parts in modules.items()
    ]
    more = [f"  - and {len(lines) - _MODULES} more modules"] if len(lines) > _MODULES else []
    return "\n".join(lines[:_MODULES] + more)


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        module, _, inner = name.rpartition(".")
        found.setdefault(module, []).append(inner)
    return found


def _prefixes(have: Collection[str], want: Collection[str]) -> list[tuple[str, bool]]:
    """Return prefixes that may be too much in the file, and (True) too little."""
    found: dict[tuple[str, bool], None] = {("", False): None}
    for names, others, add in ((have, want, False), (want, have, True)):
        for other in itertools.islice(others, _TRIED):
            ends = (name.removesuffix(other) for name in names if name.endswith(f".{other}"))
            found |= {(prefix, add): None for prefix in itertools.islice(ends, _PREFIXES)}
    return list(found)


def _way(state: State, wanted: Wanted, clean: Mapping[str, str], prefix: str, add: bool) -> Fit:
    """Return how a state dict fits with a prefix less or more.

    Args:
        state: What the file holds.
        wanted: What the model has.
        clean: The file's names without what wrappers put into their middle.
        prefix: The prefix.
        add: Put it before the file's names; else it is stripped from them.
    """
    names: dict[str, str] = {}
    outside, twice, taken = [], [], set()
    for name, plain in clean.items():
        own = prefix + plain if add else plain.removeprefix(prefix)
        if not add and not plain.startswith(prefix):
            outside.append(name)
        elif own in taken:
            twice.append(name)
        else:
            names[name] = own
            taken.add(own)
    notes = []
    if any(name != plain for name, plain in clean.items()):
        notes.append("Names of the file have wrappers in them (torch.compile or the like), which were left out.")
    if prefix:
        notes.append(f"{printable(prefix)} {'was put before' if add else 'was stripped from'} the names of the file.")
    if outside:
        shown = ", ".join(map(printable, list(_grouped(outside))[:_NAMES]))
        notes.append(
            f"{len(outside)} tensors of the file were left out, which are outside of {printable(prefix)}: {shown}."
        )
    found = _compared(state, wanted, names, notes)
    return replace(found, unexpected=(*found.unexpected, *twice)) if twice else found


def _compared(state: State, wanted: Wanted, names: dict[str, str], notes: list[str]) -> Fit:
    have = {names[name]: described for name, described in state.tensors.items() if name in names}
    present = {wanted.shared[name] for name in have if name in wanted.shared}
    missing = [
        name
        for name in wanted.tensors
        if name not in have and wanted.shared.get(name) not in present and not name.endswith(_OPTIONAL)
    ]
    extra = [name for name in have if name not in wanted.tensors]
    spare = {name: None for name in extra if name.rpartition(".")[2] in _LEAVINGS or name in wanted.temporary}
    if spare:
        shown = ", ".join(map(printable, list(spare)[:_NAMES]))
        notes = [
            *notes,
            f"{len(spare)} tensors of the file are no part of the model's state and were left out: {shown}.",
        ]
    wrong = {
        name: (described.shape, wanted.tensors[name].shape)
        for name, described in have.items()
        if name in wanted.tensors and described.shape != wanted.tensors[name].shape
    }
    return Fit(
        names={name: own for name, own in names.items() if own in wanted.tensors},
        missing=tuple(missing),
        unexpected=tuple(name for name in extra if name not in spare),
        wrong=wrong,
        notes=tuple(notes),
    )
