"""What the runtimes say is put into words."""

import pytest

from edgekit.execution.pte import explain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Failed to load program, error: 0x:23", "truncated"),
        ("method->set_inputs() for method 'forward' failed with error 0x10", "shape"),
        ("loading method forward failed with error 0x14", "operator is missing"),
        ("loading method forward failed with error 0x20", "backend is not linked"),
    ],
)
def test_codes_have_words(text: str, words: str) -> None:
    """A person gets the reason and keeps the code."""
    assert words in explain(RuntimeError(text))
    assert text in explain(RuntimeError(text))


def test_an_unknown_code_stays_as_it_is() -> None:
    """Nothing is made up."""
    assert explain(RuntimeError("error 0x99")) == "error 0x99"
