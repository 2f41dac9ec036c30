"""A native folder on a board: put there, started there, its answers fetched. Everything goes through ssh and tar."""

import io
import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from edgekit.apps.board import script
from edgekit.apps.board.ssh import Ssh
from edgekit.apps.native.folder import Assembled, executables
from edgekit.apps.native.launch import Done, failure
from edgekit.apps.native.machine import checked, predicting
from edgekit.bundles.native import NATIVE_FILE, NATIVE_FOLDER
from edgekit.data.rows import Array
from edgekit.errors import ConnectionLostError, DeviceSpaceError, EdgeKitError, RunError, ToolchainError

_COPY_S = 3600.0
_FULL = ("No space left on device", "Disk quota exceeded")
_INPUTS = "in"
_SAID = 2**16
# What a shell says of a program that it cannot start.
_NOT_STARTED = (126, 127)
_NO_LIBRARY = ("GLIBC", "cannot open shared object")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A native folder on a board; an `edgekit.apps.native.machine.Runner`."""

    ssh: Ssh
    folder: str
    """Where it lies there: letters, digits and ``/._+-``."""
    name: str
    """What a report calls the board."""

    def put(self, made: Assembled) -> None:
        """Copy it there.

        Raises:
            DeviceSpaceError: If there is no room for it.
            ConnectionLostError: If the board does not answer any more.
        """
        run = executables(made.files)
        described = {NATIVE_FILE.removeprefix(f"{NATIVE_FOLDER}/"): made.native.to_json().encode()}

        def send(pipe: IO[bytes]) -> None:
            with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
                for name, data in {**made.files, **described}.items():
                    _add(archive, name, data, 0o755 if name in run else 0o644)

        self._take(NATIVE_FOLDER, send)

    def selftest(self, *, seconds: float) -> Done:
        """Compute the golden vectors."""
        with tempfile.TemporaryFile() as out:
            return self._run(["selftest"], out, seconds)[0]

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str], *, seconds: float) -> dict[str, Array]:
        """Compute samples."""

        def send(pipe: IO[bytes]) -> None:
            with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
                for number, array in enumerate(inputs.values()):
                    written = io.BytesIO()
                    np.save(written, array)
                    _add(archive, f"{number}.npy", written.getvalue(), 0o644)

        self._take(_INPUTS, send)
        files = {name: f"{_INPUTS}/{number}.npy" for number, name in enumerate(inputs)}
        with tempfile.TemporaryFile() as out:
            done, found = self._run(predicting(files, "out"), out, seconds)
            if done.code != 0:
                raise self._failure(done)
            if missing := [name for name in outputs if name not in found]:
                raise RunError(f"{self.name} gives no {', '.join(missing)}.", hint="Build the bundle again.")
            return {name: checked(found[name], name, inputs) for name in outputs}

    def _take(self, into: str, send: Callable[[IO[bytes]], None]) -> None:
        with tempfile.TemporaryFile() as out:
            code, said = self.ssh.call(script.take(self.folder, into), send, out, seconds=_COPY_S)
        if code != 0:
            raise self._refused(said, "takes no files")

    def _run(self, words: list[str], out: IO[bytes], seconds: float) -> tuple[Done, dict[str, Array]]:
        """Start the program; return what it says, and the arrays that it writes."""
        code, said = self.ssh.call(script.run(self.folder, words), lambda pipe: None, out, seconds=seconds)
        out.seek(0)
        ended = next((line for line in out if line.startswith(script.RAN.encode())), b"").split()
        if len(ended) != 2 or not ended[1].isdigit() or code != 0:
            raise self._refused(said, "gives no answers")
        texts, arrays = {"log": "", "err": ""}, {}
        try:
            with tarfile.open(fileobj=out, mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is None:
                        continue
                    if member.name in texts:
                        texts[member.name] = file.read(_SAID).decode(errors="replace")
                    elif (match := re.fullmatch(r"out/(\w+)\.npy", member.name)) is not None:
                        arrays[match[1]] = np.load(io.BytesIO(file.read()))
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise ConnectionLostError(f"{self.name} gives half an answer: {error}.", hint="Repeat it.") from error
        return Done(code=int(ended[1]), out=texts["log"], error=texts["err"]), arrays

    def _refused(self, said: str, what: str) -> EdgeKitError:
        lines = said.strip().splitlines() or ["it says nothing"]
        if any(words in said for words in _FULL):
            return self._full(lines[0])
        if "tar" in said and "not found" in said:
            return ToolchainError(f"{self.name} has no tar.", hint="Install it there; BusyBox's will do.")
        return RunError(f"{self.name} {what}: {lines[-1][:300]}", hint="Repeat it.")

    def _full(self, reason: str) -> DeviceSpaceError:
        return DeviceSpaceError(f"{self.name} has no space left: {reason[:300]}", hint="Free some space there.")

    def _failure(self, done: Done) -> EdgeKitError:
        if any(words in done.error for words in _FULL):
            return self._full(done.reason)
        if done.code in _NOT_STARTED or any(words in done.error for words in _NO_LIBRARY):
            return ToolchainError(
                f"The native program does not start on {self.name}: {done.reason}",
                hint="It needs a Linux with glibc 2.34 and libstdc++, as Debian 12 and Ubuntu 22.04 have them.",
            )
        if done.code > 128:
            return RunError(
                f"The native program was ended on {self.name} by signal {done.code - 128}.",
                hint="Signal 9 is what a board without enough memory does." if done.code == 137 else "Repeat it.",
            )
        return failure(done, f"The native program fails on {self.name}")


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))
