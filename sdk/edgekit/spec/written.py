"""A project as the text of an ``edgekit.toml``, in which what was guessed is marked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.base.text import line
from edgekit.spec.sections import Project

_HEAD = """\
# Written by `edgekit init`. Paths are relative to this file. What is marked as guessed was told by the model, the
# weights or the data, and is worth a look; docs/project.md has every key.
"""
_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Guess:
    """Something that nobody said."""

    place: str
    """The key in the project: ``inputs[0].shape``, ``preprocessing.mean``."""
    value: str
    """What was guessed, in words."""
    reason: str
    """What tells it, or that nothing does."""

    def __str__(self) -> str:
        return f"{self.place} = {self.value}: {self.reason}"


def written(project: Project, guesses: Sequence[Guess]) -> str:
    """Return the text of a project file; reading it gives the project again."""
    marks = {guess.place: guess.reason for guess in guesses}
    data = project.model_dump(mode="json", exclude_unset=True)
    lines = [_HEAD, *_keys({key: value for key, value in data.items() if not _is_table(value)}, "", marks)]
    for key, value in data.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *_keys(value, f"{key}.", marks)]
        elif _is_table(value):
            for number, table in enumerate(value):
                lines += ["", f"[[{key}]]", *_keys(table, f"{key}[{number}].", marks)]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _keys(table: Mapping[str, Any], prefix: str, marks: Mapping[str, str]) -> Iterator[str]:
    for key, value in table.items():
        if value is None:
            continue
        mark = marks.get(prefix + key)
        text = f"{_key(key)} = {_value(value)}"
        comment = "" if mark is None else f"# guessed: {line(mark)}"
        if comment and len(text) + len(comment) > _WIDTH:
            yield comment
            yield text
        else:
            yield f"{text}  {comment}".rstrip()


def _value(value: Any) -> str:
    match value:
        case dict():
            pairs = (f"{_key(key)} = {_value(one)}" for key, one in value.items() if one is not None)
            return "{ " + ", ".join(pairs) + " }"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            return _text(value)
    return json.dumps(value)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _text(key)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
