"""How much memory a build may take: what is given, what is usual, and what the machine has no say in."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekit.base import memory as memories
from edgekit.base.memory import USUAL, Memory
from edgekit.base.sizes import bytes_of
from edgekit.cli import main
from edgekit.errors import ProjectError
from edgekit.pipeline import buildkey
from edgekit.spec import arguments, project


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GB", 4 * 10**9),
        ("1.5 GB", 15 * 10**8),
        ("512MiB", 2**29),
        ("2gib", 2**31),
        ("800 mb", 8 * 10**8),
        ("100000000", 10**8),
    ],
)
def test_texts_are_numbers_of_bytes(text: str, expected: int) -> None:
    """Decimal and binary units, in letters of any size; a number alone is bytes."""
    assert bytes_of(text) == expected == arguments.memory_of(text) == arguments.memory_of(expected)


@pytest.mark.parametrize("wrong", ["4", "4MB", "4 PB", "GB", "", "-1GB", "lots", 0, -5, 2.5, True, None, ["4GB"]])
def test_anything_else_is_refused(wrong: object) -> None:
    """With an example."""
    with pytest.raises(ProjectError, match="memory") as caught:
        arguments.memory_of(wrong)
    assert "GB" in str(caught.value.hint)


def test_the_project_says_it(tmp_path: Path) -> None:
    """Bytes or a text; the command line goes before it; and another number is another build."""
    for file in project.SAMPLE.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    toml = tmp_path / project.PROJECT_FILE
    text = toml.read_text()
    assert project.load(tmp_path).spec.build.memory == 4 * 10**9
    toml.write_text(text.replace('memory = "4GB"', "memory = 123456789"))
    opened = project.load(tmp_path)
    assert opened.spec.build.memory == 123456789
    assert opened.with_memory(None) is opened
    other = opened.with_memory(2**30)
    assert other.spec.build.memory == 2**30
    assert buildkey.of_files(other) != buildkey.of_files(opened) == buildkey.of_files(opened.with_memory(123456789))
    toml.write_text(text.replace('memory = "4GB"', 'memory = "4 apples"'))
    with pytest.raises(ProjectError, match=r"build\.memory = .*must be a size"):
        project.load(tmp_path)


def test_the_machine_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """It decides where outputs are held, and nothing that a file or a report depends on."""
    found = []
    for machine in (2**28, 2**33, 2**40, None):
        monkeypatch.setattr(memories, "of_machine", lambda machine=machine: machine)
        found.append((Memory().walk, Memory().batch, Memory().ends, Memory().answers, Memory().streams))
        assert Memory().held == min(machine or USUAL, USUAL) // 128
        assert Memory(given=2**30).held == min(machine or USUAL, 2**30) // 128
    assert len(set(found)) == 1
    assert found[0] == (2**28, 2**23, 2**26, 2**29, 5 * 2**26)
    assert Memory(given=USUAL // 4).walk == 2**26
    assert Memory(given=USUAL).walk == Memory().walk


def test_a_limit_of_the_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In either version of control groups; no limit is a word, or a number over what there is."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memories, "_LIMITS", (limit,))
    plain = memories.of_machine()
    assert plain is not None
    for text in ("max\n", f"{2**62}\n"):
        limit.write_text(text)
        assert memories.of_machine() == plain
    limit.write_text("300000000\n")
    assert memories.of_machine() == 300_000_000


@pytest.mark.parametrize("wrong", ["4", "lots"])
def test_the_command_line_says_what_it_takes(wrong: str) -> None:
    """Before anything is read."""
    result = CliRunner().invoke(main, ["build", "--target", "android-arm64", "--memory", wrong])
    assert result.exit_code == 2
    assert "--memory" in result.output
    assert wrong in result.output
