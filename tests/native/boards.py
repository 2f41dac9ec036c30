"""A board: a real sshd on the loopback interface, with keys and configurations in a temporary folder."""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
_PLAIN = 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'


@dataclass(frozen=True, kw_only=True)
class Sshd:
    """A server, and what its clients need."""

    folder: Path
    port: int

    @property
    def files(self) -> Path:
        """Where the board keeps temporary files."""
        return self.folder / "board"

    @property
    def binaries(self) -> Path:
        """Holds an ``ssh`` with this configuration and no other."""
        return self.folder / "bin"

    def plant(self, script: str) -> None:
        """Have the board's shell do something for each command, which is in SSH_ORIGINAL_COMMAND."""
        self.gate.write_text(f"#!/bin/sh\n{script}{_PLAIN}", encoding="utf-8")

    @property
    def gate(self) -> Path:
        """Every command goes through it."""
        return self.folder / "gate"

    def left(self, seconds: float = 20) -> list[str]:
        """Return what lies on the board once that is nothing, or no more time is left."""
        end = time.monotonic() + seconds
        while (found := sorted(path.name for path in self.files.iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Sshd]:
    """Start a server; skip the test where there is none."""
    if _SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd on this machine: apt install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # where sshd, as root, drops its rights
    for name in ("host", "other", "key", "foreign"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Sshd(folder=folder, port=port)
    found.files.mkdir()
    found.plant("")
    found.gate.chmod(0o755)
    _configure(found)
    server = subprocess.Popen([_SSHD, "-D", "-E", folder / "log", "-f", folder / "sshd_config"])
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end and server.poll() is None:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        login = subprocess.run(
            [found.binaries / "ssh", "-o", "BatchMode=yes", "pi", "true"], capture_output=True, check=False
        )
        if login.returncode != 0:
            pytest.skip(
                f"no login through sshd here: {login.stderr.decode()[-300:]} {(folder / 'log').read_text()[-300:]}"
            )
        yield found
    finally:
        server.terminate()
        server.wait()


def _configure(found: Sshd) -> None:
    folder, known = found.folder, f"[127.0.0.1]:{found.port}"
    (folder / "authorized").write_text((folder / "key.pub").read_text())
    (folder / "known").write_text(f"{known} {(folder / 'host.pub').read_text()}")
    (folder / "known_other").write_text(f"{known} {(folder / 'other.pub').read_text()}")
    lines = (
        f"Port {found.port}", "ListenAddress 127.0.0.1", f"HostKey {folder / 'host'}", "StrictModes no", "UsePAM no",
        f"AuthorizedKeysFile {folder / 'authorized'}", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
        "PidFile none", "PermitRootLogin prohibit-password", f"SetEnv TMPDIR={found.files}",
        f"ForceCommand {found.gate}",
    )  # fmt: skip
    (folder / "sshd_config").write_text("\n".join((*lines, "")))
    hosts = {
        "pi": "",
        "stranger": "UserKnownHostsFile /dev/null",
        "changed": f"UserKnownHostsFile {folder / 'known_other'}",
        "refusing": f"IdentityFile {folder / 'foreign'}",
        "silent": "Port 1",
        "nowhere": "HostName nowhere.invalid",
    }
    text = "".join(f"Host {host}\n  {line}\n" for host, line in hosts.items())
    usual = (
        "HostName 127.0.0.1", f"Port {found.port}", f"User {getpass.getuser()}", "IdentitiesOnly yes",
        "GlobalKnownHostsFile /dev/null", f"UserKnownHostsFile {folder / 'known'}", "IdentityAgent none",
    )  # fmt: skip
    text += "Host *\n" + "".join(f"  {line}\n" for line in usual)
    text += f"Host !refusing *\n  IdentityFile {folder / 'key'}\n"
    (folder / "config").write_text(text)
    found.binaries.mkdir()
    program = found.binaries / "ssh"
    ssh = shutil.which("ssh")
    assert ssh is not None
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(ssh)} -F {folder / "config"} "$@"\n')
    program.chmod(0o755)
