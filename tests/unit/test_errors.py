"""The exception tree: exit codes, and the drawing in its docstring."""

import re

import pytest

from edgekit import errors
from edgekit.errors import EdgeKitError

CLASSES = tuple(value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, EdgeKitError))


def test_every_class_has_an_exit_code_of_its_own() -> None:
    """A script can tell the failures apart, and from usage errors and interrupts."""
    codes = [kind.exit_code for kind in CLASSES]
    assert len(codes) == len(set(codes)) > 10
    assert not {0, 2, 130} & set(codes)


def test_the_drawing_lists_every_class_with_its_code() -> None:
    """The docstring is the documentation; it may not fall behind."""
    drawn = dict(re.findall(r"(\w+Error)\s+(\d+)\s", errors.__doc__ or ""))
    assert drawn == {kind.__name__: str(kind.exit_code) for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_carries_message_and_hint(kind: type[EdgeKitError]) -> None:
    """Whoever catches one has both in words."""
    error = kind("it is broken", hint="mend it")
    assert (str(error), error.message, error.hint) == ("it is broken", "it is broken", "mend it")
