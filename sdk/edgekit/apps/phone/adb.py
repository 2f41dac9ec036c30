"""Android's debug bridge: find one phone, run commands on it, fetch files. What goes wrong is said in its own words."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit.base import tools
from edgekit.errors import ToolchainError

_COMMAND_S = 60.0
_PULL_S = 300.0
# `adb devices -l`: a serial number (of a phone found by Wi-Fi it may hold blanks), a state, and qualifiers.
_LINE = re.compile(
    r"^(?P<serial>\S.*?)\s+(?P<state>device|offline|unauthorized|authorizing|connecting|no permissions|recovery|rescue"
    r"|sideload|bootloader|host|detached)\b(?P<rest>.*)$"
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One line of ``adb devices -l``."""

    serial: str
    state: str
    model: str
    """As the phone names itself; empty where adb does not know."""

    @property
    def words(self) -> str:
        """Serial number, model and state."""
        return " ".join(filter(None, (self.serial, self.model, f"({self.state})")))


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command on the phone gave."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed, errors first."""
        return f"{self.err}\n{self.out}".strip()


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A phone that answers."""

    adb: str
    serial: str
    model: str

    def shell(self, command: str, *, timeout: float = _COMMAND_S) -> Done:
        """Run a command line in the phone's shell; its exit code is not judged here.

        Raises:
            ToolchainError: If the phone does not answer any more.
        """
        done = _run([self.adb, "-s", self.serial, "shell", command], timeout)
        _check_connection(done, self.serial)
        return done

    def pull(self, remote: str, local: Path) -> None:
        """Copy a folder from the phone to ``local``, which must not exist.

        Raises:
            ToolchainError: If the phone does not answer any more, or does not give it.
        """
        done = _run([self.adb, "-s", self.serial, "pull", remote, str(local)], _PULL_S)
        _check_connection(done, self.serial)
        if done.code != 0 or not local.is_dir():
            denied = "permission denied" in done.said.lower()
            raise ToolchainError(
                f"adb cannot copy {remote} from the phone: {_first(done.said)}",
                hint="This phone keeps the files of apps from adb; try another one." if denied else "Try once more.",
            )


def find(serial: str | None = None) -> Phone:
    """Return the phone with a serial number, or the only one.

    Raises:
        ToolchainError: If adb is missing, or there is no such phone, or several, or it is not ready.
    """
    adb = shutil.which("adb")
    if adb is None:
        remedy = next(tool.remedy for tool in tools.wanted(sys.platform) if tool.name == "adb")
        raise ToolchainError("There is no adb on the PATH.", hint=f"Install it: {remedy}")
    done = _run([adb, "devices", "-l"], _COMMAND_S)
    if done.code != 0:
        raise ToolchainError(
            f"adb does not start: {_first(done.said)}", hint="Try: adb kill-server && adb start-server"
        )
    there = listed(done.out)
    return Phone(adb=adb, serial=(one := _chosen(there, serial)).serial, model=one.model)


def listed(text: str) -> tuple[Listed, ...]:
    """Return the phones in the output of ``adb devices -l``."""
    _, _, table = text.replace("\r\n", "\n").partition("List of devices attached")
    found = []
    for line in table.splitlines():
        match = None if line.startswith("*") else _LINE.match(line)
        if match is not None:
            model = re.search(r"\bmodel:(\S+)", match["rest"])
            found.append(
                Listed(
                    serial=match["serial"],
                    state=match["state"],
                    model=model[1].replace("_", " ") if model else "",
                )
            )
    return tuple(found)


def _chosen(there: tuple[Listed, ...], serial: str | None) -> Listed:
    if serial is not None:
        found = [one for one in there if one.serial == serial]
        if not found:
            names = "".join(f"\n  - {one.words}" for one in there) or " none"
            raise ToolchainError(
                f"adb knows no phone with the serial number {serial}. There is:{names}",
                hint="Give a serial number as `adb devices` lists it; a phone on Wi-Fi needs `adb connect` first.",
            )
        return _ready(found[0])
    if not there:
        raise ToolchainError(
            "adb finds no phone.",
            hint="Connect one by USB and switch on USB debugging in its developer options: `adb devices` lists it.",
        )
    usable = [one for one in there if one.state == "device"]
    if len(usable) > 1:
        names = "".join(f"\n  - {one.words}" for one in usable)
        raise ToolchainError(f"adb finds several phones:{names}", hint=f"Say which: --device adb:{usable[0].serial}")
    return _ready(usable[0] if usable else there[0])


def _ready(one: Listed) -> Listed:
    match one.state:
        case "device":
            return one
        case "unauthorized" | "authorizing":
            reason = "has not authorized this computer"
            hint = "Unlock it and allow USB debugging in the dialog; if there is none: adb kill-server, and replug it."
        case "no permissions":
            reason = "may not be opened by this user"
            hint = "Install udev rules (on Debian: sudo apt install android-sdk-platform-tools-common), and replug it."
        case "offline" | "connecting":
            reason = f"does not answer: it is {one.state}"
            hint = "Replug it, or: adb reconnect offline"
        case _:
            reason = f"is not running Android: it is in the state {one.state}"
            hint = "Let it start: adb reboot"
    raise ToolchainError(f"The phone {one.serial} {reason}.", hint=hint)


def _check_connection(done: Done, serial: str) -> None:
    """Tell errors of adb itself from those of the command that it runs."""
    if done.code == 0:
        return
    for line in done.err.splitlines():
        if not line.startswith(("adb: ", "error: ")):
            continue
        for state in ("unauthorized", "offline"):
            if f"device {state}" in line:
                _ready(Listed(serial=serial, state=state, model=""))
        if any(text in line for text in (f"device '{serial}' not found", "error: closed", "protocol fault")):
            raise ToolchainError(
                f"The phone {serial} has gone: {line}", hint="Check the cable, and that it does not switch USB modes."
            )


def _run(command: list[str], timeout: float) -> Done:
    try:
        # S603: adb, as found on the path, with words of our own.
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise ToolchainError(f"adb does not start: {error.strerror}", hint="Install it again.") from error
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(
            f"adb {command[-2] if len(command) > 2 else command[-1]} has not answered for {timeout:.0f} s.",
            hint="Unlock the phone and replug it, or: adb kill-server",
        ) from error
    texts = [data.decode("utf-8", errors="replace").replace("\r\n", "\n") for data in (done.stdout, done.stderr)]
    return Done(code=done.returncode, out=texts[0], err=texts[1])


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "it says nothing")
