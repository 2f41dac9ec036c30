"""Who gets a native folder, and what is said before any work where none can be had."""

from pathlib import Path

import pytest

from edgekit import targets
from edgekit.apps.emulation import debian, setup
from edgekit.apps.native import toolchain
from edgekit.base.progress import Silent
from edgekit.errors import TargetError, ToolchainError
from edgekit.pipeline import native
from edgekit.spec import Cpu


def test_the_command_line_the_target_and_the_project_ask() -> None:
    """In this order; what the project asks for is meant for its Linux targets alone."""
    own = "linux-x86_64" if toolchain.host_cpu() is Cpu.X86_64 else "linux-arm64"
    linux, android = targets.load(own), targets.load("android-arm64")
    assert native.asked((linux, android), None, None) == {}
    assert native.asked((linux, android), None, "png") == {own: "png"}
    asking = linux.model_copy(update={"native": "jpeg"})
    assert native.asked((asking, android), None, "png") == {own: "jpeg"}
    assert native.asked((asking,), "png", None) == {own: "png"}
    with pytest.raises(TargetError, match="android-arm64 is for android, and native folders are for Linux"):
        native.asked((linux, android), "png", None)


def test_a_compiler_that_is_missing_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package that brings it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    cpu = toolchain.host_cpu()
    assert cpu is not None
    with pytest.raises(ToolchainError) as caught:
        toolchain.find(cpu)
    assert caught.value.hint == "sudo apt install g++"
    other = Cpu.ARM64 if cpu is Cpu.X86_64 else Cpu.X86_64
    with pytest.raises(ToolchainError) as caught:
        native.asked((targets.load("linux-arm64" if other is Cpu.ARM64 else "linux-x86_64"),), "png", None)
    assert "edgekit verify --setup" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its version."""
    for name in ("gcc", "g++"):
        (tmp_path / name).write_text("#!/bin/sh\necho 9.4.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    cpu = toolchain.host_cpu()
    assert cpu is not None
    with pytest.raises(ToolchainError, match=r"g\+\+ is version 9\.4\.0; the native program needs g\+\+ 11"):
        toolchain.find(cpu)


def test_what_cannot_be_set_up_is_said_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a system without apt; nothing is left behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ToolchainError, match=r"this machine has no apt-get, apt-cache, dpkg-deb, tar"):
        setup.set_up(Silent())
    assert not (tmp_path / "cache").exists()


def test_packages_are_looked_for_in_the_systems_own_mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its release and its backports, with folders of our own: nothing of the system's is written."""
    tools = tmp_path / "bin"
    tools.mkdir()
    said = "a://mirror/|trixie|main\na://mirror/|trixie|contrib\nb://vendor/|nodistro|main\na://mirror/|trixie-updates|main\n"
    (tools / "apt-get").write_text(f"#!/bin/sh\nprintf '{said}'\n")
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    monkeypatch.setattr(debian, "_release", lambda: {"ID": "debian", "VERSION_CODENAME": "trixie"})
    made = debian.Debian.of_system(tmp_path / "apt")
    lines = (made.folder / "sources.list").read_text("utf-8").splitlines()
    assert {line.rpartition("] ")[2].removeprefix("deb ") for line in lines} == {
        "a://mirror/ trixie main", "a://mirror/ trixie-updates main", "a://mirror/ trixie-backports main",
        "a://mirror/ stable main",
    }  # fmt: skip
    assert str(tmp_path) in (made.folder / "apt.conf").read_text("utf-8")
    monkeypatch.setattr(debian, "_release", dict)
    with pytest.raises(ToolchainError, match="apt has no source of a known release here"):
        debian.Debian.of_system(tmp_path / "other")
