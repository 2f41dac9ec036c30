"""Programs beside Python that parts of EdgeKit use. All are optional."""

import re
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tool:
    """An optional program."""

    name: str
    command: tuple[str, ...]
    """Prints the version."""
    purpose: str
    linux: str
    """The command that installs it, on Debian and its relatives."""
    mac: str
    """The same on macOS."""
    least: tuple[int, ...] | None = None
    remedy: str = ""
    """The command for this system."""


NODE = "Node.js"
_TOOLS = (
    Tool(
        name="g++",
        command=("g++", "--version"),
        purpose="compiles the program of native folders",
        linux="sudo apt install g++",
        mac="Needs Linux.",
        least=(11,),
    ),
    Tool(
        name="JDK",
        command=("javac", "-version"),
        purpose="builds the Android demo",
        linux="sudo apt install openjdk-17-jdk-headless",
        mac="brew install openjdk@17",
        least=(17,),
    ),
    Tool(
        name="Maven",
        command=("mvn", "-version"),
        purpose="tests the Android demo without the Android SDK",
        linux="sudo apt install maven",
        mac="brew install maven",
    ),
    Tool(
        name=NODE,
        command=("node", "--version"),
        purpose="runs the files of the target web",
        linux="sudo apt install nodejs npm",
        mac="brew install node",
        least=(18,),
    ),
    Tool(
        name="adb",
        command=("adb", "version"),
        purpose="installs on an Android phone",
        linux="sudo apt install adb",
        mac="brew install --cask android-platform-tools",
    ),
    Tool(
        name="ssh",
        command=("ssh", "-V"),
        purpose="reaches boards with Linux",
        linux="sudo apt install openssh-client",
        mac="It is part of macOS.",
    ),
    Tool(
        name="Swift",
        command=("swift", "--version"),
        purpose="builds the iOS demo's logic",
        linux="Install it from https://www.swift.org/install/linux/; for the tests alone: scripts/test-ios --setup",
        mac="xcode-select --install",
    ),
    Tool(
        name="Xcode",
        command=("xcodebuild", "-version"),
        purpose="builds the iOS demo for a phone",
        linux="Needs a Mac.",
        mac="Install Xcode from the App Store, then: sudo xcode-select -s /Applications/Xcode.app",
    ),
)


def wanted(system: str) -> tuple[Tool, ...]:
    """Return the tools that make sense on a system (``sys.platform``), each with its remedy there."""
    mac = system == "darwin"
    elsewhere = "g++" if mac else "Xcode"
    fitting = [item for item in _TOOLS if item.name != elsewhere]
    return tuple(Tool(**{**vars(item), "remedy": item.mac if mac else item.linux}) for item in fitting)


def find(item: Tool) -> str | None:
    """Return the version of a tool, or None if it is not there or does not start."""
    path = shutil.which(item.command[0])
    if path is None:
        return None
    try:
        # S603: the command is one of the literals above.
        done = subprocess.run([path, *item.command[1:]], capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    said = done.stdout + done.stderr
    # A number with a dot first: Maven paints its name, and the paint has numbers of its own.
    match = re.search(r"\d+(?:\.\d+)+", said) or re.search(r"\d+", said)
    return match[0] if match else "there, version unknown"
