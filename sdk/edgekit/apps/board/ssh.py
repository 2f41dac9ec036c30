"""The system's ssh with the person's own configuration, agent and known hosts.

Nothing is asked: whoever needs a password gets an error.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit.apps.board.address import Address
from edgekit.errors import (
    AuthenticationError,
    ConnectionLostError,
    EdgeKitError,
    HostKeyError,
    RunError,
    ToolchainError,
    UnreachableError,
)

SSH_FAILED = 255
"""The exit code of ssh itself."""
_OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3", "RequestTTY=no",
    "RemoteCommand=none", "PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes",
    "LogLevel=INFO",
)  # fmt: skip
_LONGEST_SOCKET = 80
_CHANGED = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "REVOKED HOST KEY", "differs from the key for the IP")
_UNKNOWN_KEY = ("Host key verification failed", "No matching host key", "host key is known for")
_REFUSED = ("Permission denied", "Too many authentication failures", "No supported authentication methods",
            "account is currently not available", "account has expired", "Authentication failed")  # fmt: skip
_WRONG = ("Bad configuration option", "bad configuration options", "Bad owner or permissions", "unknown option",
          "illegal option", "Unsupported option")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How a board is spoken to."""

    address: Address
    program: str
    socket: str = ""
    """Where the first connection listens, so that others go through it; empty: the person's configuration says it."""

    def command(self, script: str, *, first: bool = False) -> list[str]:
        """Return the command that runs a script in the board's POSIX shell."""
        shared = (f"ControlMaster={'yes' if first else 'no'}", "ControlPersist=no", f"ControlPath={self.socket}")
        options = [word for one in (*_OPTIONS, *(shared if self.socket else ())) for word in ("-o", one)]
        return [self.program, *options, *self.address.options, f"exec /bin/sh -c {shlex.quote(script)}"]

    def start(
        self, script: str, *, out: int | IO[bytes], err: IO[bytes], first: bool = False
    ) -> "subprocess.Popen[bytes]":
        """Start a script, whose standard input is a pipe.

        It is in a session of its own: an interrupt from the keyboard is for us to handle.

        Raises:
            ToolchainError: If ssh does not start.
        """
        try:
            return subprocess.Popen(  # noqa: S603 - the system's ssh, with words that are checked and quoted
                self.command(script, first=first),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as error:
            raise ToolchainError(
                f"{self.program} does not start: {error.strerror}.", hint="Install ssh again."
            ) from error

    def call(
        self, script: str, send: Callable[[IO[bytes]], None], out: IO[bytes], *, seconds: float
    ) -> tuple[int, str]:
        """Run a script.

        Args:
            script: What the board's shell is told.
            send: Writes what the script reads.
            out: Where what it prints goes.
            seconds: How long it may take.

        Returns:
            Its exit code, and what was written to standard error.

        Raises:
            RunError: If it takes longer.
            ConnectionLostError: If the board does not answer any more.
        """
        with tempfile.TemporaryFile() as err:
            process = self.start(script, out=out, err=err)
            late = threading.Event()

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, stop)
            timer.start()
            try:
                _feed(process, send)
                code = process.wait()
            finally:
                timer.cancel()
                _end(process)
            said = text_of(err)
        if late.is_set():
            raise RunError(f"{self.address} takes longer than {seconds:.0f} s.", hint="Give it less to compute.")
        if code == SSH_FAILED:
            raise self.fault(said, answered=True)
        return code, said

    def fault(self, said: str, *, answered: bool) -> EdgeKitError:
        """Return what is wrong when ssh itself has failed, by what it says.

        Args:
            said: What it wrote to standard error.
            answered: Whether the board has answered before.
        """
        reason = _reason(said)
        if any(words in said for words in _CHANGED):
            return HostKeyError(
                f"The host key of {self.address} is another one than before: {reason}",
                hint="Find out why. If the board was set up anew, forget the old one: ssh-keygen -R HOST",
            )
        if any(words in said for words in _UNKNOWN_KEY):
            return HostKeyError(
                f"The host key of {self.address} is not known here.",
                hint="Connect once by hand, with ssh, and compare its fingerprint with the board's.",
            )
        if any(words in said for words in _REFUSED):
            return AuthenticationError(
                f"{self.address} does not let you in: {reason}",
                hint="EdgeKit asks for no password: put your key there (ssh-copy-id) and into your agent (ssh-add).",
            )
        if any(words in said for words in _WRONG):
            return ToolchainError(f"ssh does not take its configuration: {reason}", hint="Mend ~/.ssh/config.")
        if answered:
            return ConnectionLostError(
                f"The connection to {self.address} was lost: {reason}",
                hint="Check its power and network, and repeat it.",
            )
        return UnreachableError(
            f"{self.address} does not answer: {reason}", hint="Check its name, its port, and that its ssh server runs."
        )


@contextmanager
def prepared(address: Address) -> Iterator[Ssh]:
    """Find ssh; connections share one unless the person's configuration has them share another.

    Raises:
        ToolchainError: If there is no ssh, or it does not take its configuration.
    """
    program = shutil.which("ssh")
    if program is None:
        raise ToolchainError("There is no ssh on the PATH.", hint="sudo apt install openssh-client")
    ssh = Ssh(address=address, program=program)
    done = subprocess.run(  # noqa: S603 - as above
        [program, "-G", *address.options], capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
    if done.returncode != 0:
        raise ToolchainError(f"ssh does not take its configuration: {_reason(done.stderr)}", hint="Mend ~/.ssh/config.")
    own = re.search(r"^controlpath (?!none$)", done.stdout, re.MULTILINE)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        socket = str(Path(folder) / "ssh")
        if own is None and len(socket) < _LONGEST_SOCKET and re.fullmatch(r"[\w./-]+", socket):
            ssh = Ssh(address=address, program=program, socket=socket)
        yield ssh


def text_of(file: IO[bytes]) -> str:
    """Return what was written to a temporary file, as text."""
    file.seek(0)
    return file.read(2**20).decode(errors="replace")


def _feed(process: "subprocess.Popen[bytes]", send: Callable[[IO[bytes]], None]) -> None:
    pipe = process.stdin
    assert pipe is not None
    with suppress(BrokenPipeError):  # it has ended, and its exit code says why
        send(pipe)
    with suppress(BrokenPipeError):
        pipe.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    with suppress(BrokenPipeError):
        if process.stdin is not None:
            process.stdin.close()


def _reason(said: str) -> str:
    """Return the line that says most: the last one of ssh's own that is no mere consequence."""
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip(" @\r")]
    own = [line for line in lines if not line.startswith(("Warning:", "mux_client", "Killed by"))] or lines
    return f"{own[-1][:300]}." if own else "it says nothing."
