"""The first connection to a board: it describes the board and keeps a folder there, and both end with it."""

import os
import select
import subprocess
import tempfile
import time
from contextlib import suppress

from edgekit.apps.board import script
from edgekit.apps.board.ssh import SSH_FAILED, Ssh, text_of
from edgekit.errors import AuthenticationError, ConnectionLostError, EdgeKitError, UnreachableError

_ANSWER_S = 60.0
_END_S = 20.0
_END = "end"
_MOST = 2**20


class Keeper:
    """A script on the board that answers line by line, and tidies up when it ends or nobody listens any more."""

    def __init__(self, ssh: Ssh) -> None:
        """Connect.

        Args:
            ssh: How the board is spoken to.

        Raises:
            UnreachableError, HostKeyError, AuthenticationError, ToolchainError: If that cannot be.
        """
        self._ssh, self._rest, self._greeted, self._before = ssh, b"", False, ""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        try:
            self._process = ssh.start(script.keeper(), out=subprocess.PIPE, err=self._said, first=True)
        except EdgeKitError:
            self._said.close()
            raise
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, line: str) -> list[str]:
        """Return the lines that answer one.

        Raises:
            ConnectionLostError: If the board does not answer any more.
        """
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):  # the answer says why
            pipe.write(f"{line}\n".encode())
            pipe.flush()
        return self._answer()

    def close(self) -> bool:
        """End the connection; return whether the board has tidied up."""
        # What cannot be written to it is of no use to it any more.
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            code = SSH_FAILED
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._said.close()
        return code == 0

    def _answer(self) -> list[str]:
        lines: list[str] = []
        end, room = time.monotonic() + _ANSWER_S, _MOST
        while True:
            line = self._line(end)
            room -= len(line) + 1
            if room < 0:
                raise ConnectionLostError(f"{self._ssh.address} answers without end.", hint="Log in there by hand.")
            if not self._greeted:  # whatever a login prints comes first
                self._greeted, self._before = line == script.HELLO, line
            elif line == _END:
                return lines
            else:
                lines.append(line)

    def _line(self, end: float) -> str:
        pipe = self._process.stdout
        assert pipe is not None
        while b"\n" not in self._rest:
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                kind = ConnectionLostError if self._greeted else UnreachableError
                raise kind(
                    f"{self._ssh.address} has not answered for {_ANSWER_S:.0f} s.",
                    hint="Log in there by hand, with ssh.",
                )
            data = os.read(pipe.fileno(), 65536)
            if not data or len(self._rest) > _MOST:
                raise self._ended()
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def _ended(self) -> EdgeKitError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        said = text_of(self._said)
        if self._process.returncode in (SSH_FAILED, None) or self._greeted:
            return self._ssh.fault(said, answered=self._greeted)
        last = (said.strip() or self._before).splitlines() or ["it says nothing"]
        return AuthenticationError(
            f"{self._ssh.address} gives you no shell: {last[-1][:300]}",
            hint="EdgeKit needs one that runs /bin/sh there.",
        )
