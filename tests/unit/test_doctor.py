"""The doctor's checks, fed with what it could find."""

import sys
from pathlib import Path

import pytest

from edgekit.base import probes, requirements, tools
from edgekit.inspection import doctor

LINES = ["click<9,>=8.1", "executorch==1.5.1", "ruff>=0.11; extra == 'dev'"]


@pytest.mark.parametrize(
    ("version", "allowed", "fits"),
    [
        ("8.1", ">=8.1,<9", True),
        ("8.0.9", ">=8.1,<9", False),
        ("9", ">=8.1,<9", False),
        ("2.13.0+cpu", ">=2.13,<2.14", True),
        ("1.5.1", "==1.5.1", True),
        ("1.5.10", "==1.5.1", False),
        ("1.5.9", "==1.5.*", True),
        ("1.6", "==1.5.*", False),
        ("1.4.9", "~=1.4.2", True),
        ("1.5", "~=1.4.2", False),
        ("10.0", ">9.1", True),
        ("10.0", "!=10", False),
        ("1.0", "", True),
        ("1.0", "===1.0", None),
        ("unknown", ">=1", None),
    ],
)
def test_versions_are_compared_as_numbers(version: str, allowed: str, fits: bool | None) -> None:
    """Not as text: 1.5.10 is not 1.5.1, 10 is more than 9."""
    assert requirements.satisfies(version, allowed) is fits


def test_dependencies() -> None:
    """What is missing or does not fit fails, with the command that mends it; extras are nobody's duty."""
    versions = {"click": "8.3", "executorch": "1.4.1"}
    fine, wrong = doctor.dependencies(LINES, lambda name: versions.get(name))
    assert (fine.name, fine.status) == ("click", "ok")
    assert (wrong.status, wrong.found, wrong.wanted) == ("fail", "1.4.1", "==1.5.1")
    assert wrong.remedy == 'pip install "executorch==1.5.1"'
    assert [check.status for check in doctor.dependencies(LINES, lambda name: None)] == ["fail", "fail"]


def test_without_metadata_versions_are_not_checked() -> None:
    """Run from a checkout that is not installed: a warning, not a guess."""
    (check,) = doctor.dependencies(None, lambda name: None)
    assert check.status == "warn"
    assert "pip install" in check.remedy


def test_real_packages_are_found() -> None:
    """The lookups work on this very environment."""
    assert doctor.installed_version("click")
    assert doctor.installed_version("no-such-package-anywhere") is None


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok"), ((3, 14, 0), "fail")]
)
def test_python(version: tuple[int, ...], status: str) -> None:
    """The range of pyproject.toml."""
    assert doctor.python(version).status == status


def test_python_range_is_the_projects() -> None:
    """One number in two places, held together here."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'requires-python = "{doctor.python((3, 11)).wanted}"' in text


def test_libraries() -> None:
    """A library that does not load is a failure; a machine without a GPU is not."""
    assert doctor.torch({"cuda": None, "devices": []}).status == "warn"
    assert doctor.torch({"cuda": "12.8", "devices": ["H200"]}).status == "ok"
    assert doctor.torch("crashes: SIGSEGV").status == "fail"
    assert doctor.executorch({"backends": ["XnnpackBackend"]}).status == "ok"
    assert doctor.executorch({"backends": []}).status == "fail"
    assert doctor.onnxruntime({"providers": ["CPUExecutionProvider"]}).status == "ok"
    assert doctor.onnxruntime("ImportError: no").status == "fail"


def test_probes_survive_crashes() -> None:
    """What happens in the probe stays in the probe."""
    assert probes.run("import os; os.abort()") == "crashes: SIGABRT"
    assert probes.run("raise ImportError('gone')") == "ImportError: gone"
    assert probes.run("import time; time.sleep(60)", timeout=0.2) == "does not load within 0.2 s"
    assert probes.run(f"print('noise'); print({probes.MARK!r} + '{{\"a\": 1}}')") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        ("processor: 0\nflags\t\t: fpu avx2 avx_vnni\n", "ok", "avx_vnni"),
        ("flags\t\t: fpu avx2\n", "warn", "without"),
        ("Features\t: fp asimd asimddp i8mm\n", "ok", "asimddp, i8mm"),
        ("", "ok", "not told"),
    ],
)
def test_processor(tmp_path: Path, text: str, status: str, found: str) -> None:
    """Dot products are looked for where Linux tells of them."""
    (tmp_path / "cpuinfo").write_text(text)
    check = doctor.processor("any", tmp_path / "cpuinfo")
    assert check.status == status
    assert found in check.found


def test_tools_are_optional() -> None:
    """A missing or old tool never fails, and each has a remedy on each system."""
    for system in ("linux", "darwin"):
        for item in tools.wanted(system):
            check = doctor.tool(item, None)
            assert check.status == "warn"
            assert check.remedy
    jdk = next(item for item in tools.wanted("linux") if item.name == "JDK")
    assert doctor.tool(jdk, "11.0.2").status == "warn"
    assert doctor.tool(jdk, "17.0.15").status == "ok"


def test_versions_of_tools_are_read() -> None:
    """The version is the number with a dot, whatever stands before it."""
    program = "print('\\x1b[1mTool 3.8.7\\x1b[m, built with 17')"
    item = tools.Tool(name="t", command=(sys.executable, "-c", program), purpose="", linux="", mac="")
    assert tools.find(item) == "3.8.7"
    assert tools.find(tools.Tool(name="t", command=("no-such-tool",), purpose="", linux="", mac="")) is None
