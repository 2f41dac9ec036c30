"""Target profiles: what is shipped, and what a person who writes a new one is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit import chips, targets
from edgekit.errors import TargetError
from edgekit.spec import Cpu, Format, Platform

CPUS = (
    "android-arm64",
    "android-x86_64",
    "ios-arm64",
    "ios-simulator-arm64",
    "linux-arm64",
    "linux-x86_64",
    "linux-x86_64-vnni",
)
CHIPS = (
    "android-vulkan",
    "arm-vgf",
    "cortex-m55",
    "ethos-u55-128",
    "ethos-u85-256",
    "ios-coreai",
    "ios-coreml",
    "openvino-x86_64",
    "snapdragon-8-elite",
    "snapdragon-8-elite-gen-5",
    "snapdragon-8-gen-3",
    "tensorrt",
    "web",
)
SHIPPED = (*CPUS, *CHIPS)


def profile(**changes: str) -> str:
    """Return a shipped profile with lines replaced, by key."""
    lines = (targets.folder() / "android-arm64.toml").read_text(encoding="utf-8").splitlines()
    for key, line in changes.items():
        places = [index for index, old in enumerate(lines) if old.startswith(f"{key} =")]
        lines[places[0]] = line
    return "\n".join(lines)


def test_shipped_names() -> None:
    """The shipped profiles are known by name, in order."""
    assert targets.names() == tuple(sorted(SHIPPED))


@pytest.mark.parametrize("name", CHIPS)
def test_shipped_profiles_of_chips_load(name: str) -> None:
    """Every shipped profile of a chip is valid, and names a chip that there is."""
    target = targets.load(name)
    assert target.name == name
    assert target.chip.name in chips.names()
    assert target.chip.name != "cpu"


@pytest.mark.parametrize("name", CPUS)
def test_shipped_profiles_load(name: str) -> None:
    """Every shipped profile is valid, writes both formats, and is what its name says."""
    target = targets.load(name)
    assert target.name == name
    assert target.formats == (Format.PTE, Format.ONNX)
    assert target.platform is Platform(name.partition("-")[0])
    assert target.cpu is Cpu(name.removesuffix("-vnni").rpartition("-")[2])
    assert len(target.runtimes) == 2
    assert target.budget.total.min_accuracy_ratio == 0.98


@pytest.mark.parametrize("name", CPUS)
def test_weights_are_unsigned_on_x86(name: str) -> None:
    """Signed weights saturate on x86 without VNNI, so profiles of ARM have them, and the one that asks for VNNI."""
    target = targets.load(name)
    unsigned = target.cpu is Cpu.X86_64 and not name.endswith("-vnni")
    assert target.onnx.weights == ("uint8" if unsigned else "int8")


def test_unknown_name_suggests_the_nearest() -> None:
    """A misspelt name is answered with the nearest one and the whole list."""
    with pytest.raises(TargetError, match="did you mean android-arm64") as caught:
        targets.load("android-arm46")
    assert all(name in caught.value.hint for name in SHIPPED)


def test_unknown_name_without_a_near_one() -> None:
    """Nothing is suggested where nothing is near."""
    with pytest.raises(TargetError) as caught:
        targets.load("toaster")
    assert "did you mean" not in caught.value.message


def test_own_profile(tmp_path: Path) -> None:
    """The path of a user's own profile will do."""
    file = tmp_path / "robot.toml"
    file.write_text(profile(name='name = "robot"'))
    assert targets.load(file).name == "robot"
    assert targets.load(str(file)) == targets.load(file)


def test_own_profile_missing(tmp_path: Path) -> None:
    """A path where nothing is says so."""
    with pytest.raises(TargetError, match=r"robot.toml cannot be read"):
        targets.load(tmp_path / "robot.toml")


def test_name_must_be_the_file_name(tmp_path: Path) -> None:
    """A copied profile whose name was not changed is refused."""
    file = tmp_path / "robot.toml"
    file.write_text(profile())
    with pytest.raises(TargetError, match=r"name: is 'android-arm64', the file is named robot.toml"):
        targets.load(file)


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Wrong values, missing and unknown keys come in one report, each with its place and the nearest key."""
    file = tmp_path / "robot.toml"
    file.write_text(
        profile(
            name='name = "robot"',
            cpu='cpuu = "arm64"',
            formats='formats = ["pt", "onnx"]',
            max_share='max_share = "0.35"',
            min_accuracy_ratio="min_accuracy_rate = 0.98",
        )
    )
    with pytest.raises(TargetError) as caught:
        targets.load(file)
    lines = caught.value.message.splitlines()[1:]
    assert sorted(lines) == [
        "  - budget.total.min_accuracy_rate: unknown key; did you mean min_accuracy_ratio?",
        "  - cpu: missing",
        "  - cpuu: unknown key; did you mean cpu?",
        """  - formats[0] = "pt": must be 'pte', 'onnx' or 'aimodel.zip'""",
        '  - size.max_share = "0.35": must be a valid number',
    ]


def test_a_limit_must_be_finite(tmp_path: Path) -> None:
    """``nan`` is TOML, but as a limit it would let everything pass."""
    file = tmp_path / "robot.toml"
    file.write_text(profile(name='name = "robot"', min_accuracy_ratio="min_accuracy_ratio = nan"))
    with pytest.raises(TargetError, match=r"budget.total.min_accuracy_ratio: must be a finite number"):
        targets.load(file)


def test_syntax_error_has_its_place(tmp_path: Path) -> None:
    """A syntax error names line and column."""
    file = tmp_path / "robot.toml"
    file.write_text('name = "robot"\nsummary = \n')
    with pytest.raises(TargetError, match=r"robot.toml is not TOML: .*line 2, column"):
        targets.load(file)


def test_an_installed_package_has_its_own_profiles(tmp_path: Path) -> None:
    """In a wheel the profiles lie in the package; without them the error says what is wrong."""
    package = Path(targets.__file__).parents[1]
    shutil.copytree(package, tmp_path / "edgekit", ignore=shutil.ignore_patterns("sample", "__pycache__"))
    code = "from edgekit import targets; print(targets.folder(), *targets.names())"

    def run() -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )

    assert "The target profiles are not installed" in run().stderr
    shutil.copytree(package.parents[1] / "targets", tmp_path / "edgekit" / "profiles")
    assert run().stdout.split() == [str(tmp_path / "edgekit" / "profiles"), *sorted(SHIPPED)]


def test_importing_stays_light() -> None:
    """Listing the targets needs neither torch nor NumPy."""
    code = (
        "import sys; from edgekit import targets; targets.load(targets.names()[0]);"
        "sys.exit(str({'torch', 'numpy'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
