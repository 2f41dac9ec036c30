"""Who gets a native folder, and what is said before any work where none can be had."""

from pathlib import Path

import pytest

from edgekit import targets
from edgekit.apps.native import toolchain
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
