"""A board that holds native folders: connected, described, used, and left as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgekit.apps.board import facts
from edgekit.apps.board.address import Address
from edgekit.apps.board.keeper import Keeper
from edgekit.apps.board.remote import Remote
from edgekit.apps.board.ssh import Ssh, prepared
from edgekit.apps.native.folder import Assembled
from edgekit.apps.native.machine import Runner
from edgekit.base.progress import Progress
from edgekit.bundles.verified import Board as Facts
from edgekit.errors import DeviceSpaceError, TargetError
from edgekit.spec import Cpu


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board that answers; an `edgekit.apps.native.machine.Machine`."""

    facts: Facts
    bits: str
    """The size of a ``long`` in its programs; empty: unknown."""
    system: str
    """Its operating system, as ``uname -s`` names it."""
    ssh: Ssh
    keeper: Keeper

    @property
    def model(self) -> str:
        """Its processor's kinds of cores."""
        return " + ".join(self.facts.cpu_models) or self.facts.machine

    @property
    def name(self) -> str:
        """What a report calls it."""
        return facts.name(self.facts)

    def check(self, target: str, cpu: Cpu) -> None:
        """Make sure that programs for a target run there.

        Raises:
            TargetError: If they do not.
        """
        if self.system != "Linux":
            raise TargetError(
                f"{self.facts.host} runs {self.system or 'no system that it names'}, and native folders are for Linux.",
                hint="Choose another board.",
            )
        if facts.cpu(self.facts, self.bits) is not cpu:
            kind = f"{self.facts.machine}{' with programs of 32 bits' if self.bits == '32' else ''}"
            raise TargetError(
                f"{target} is for {cpu}, and {self.facts.host} is {kind}.",
                hint="Choose another board, or build for its processor; a board of 64 bits needs a system of 64 bits.",
            )

    @contextmanager
    def holding(self, made: Assembled, room: int) -> Iterator[Runner]:
        """Put a native folder into a new one there, which is gone afterwards.

        Raises:
            DeviceSpaceError: If no folder there has room for it.
            ConnectionLostError: If the board does not answer any more.
        """
        kilobytes = (made.native.bytes + room) // 1024 + 1024
        answer = self.keeper.ask(str(kilobytes))
        folder = facts.value(answer, "folder")
        if not folder:
            unfit = "".join(f"\n  - {line.partition('=')[2]}" for line in answer if line.startswith("unfit="))
            raise DeviceSpaceError(
                f"{self.facts.host} has no folder for {kilobytes / 1024:.0f} MB in which programs may run:{unfit}",
                hint="Free some space there; or have the board's sshd set TMPDIR to another folder.",
            )
        remote = Remote(ssh=self.ssh, folder=folder, name=self.name)
        remote.put(made)
        yield remote
        self.keeper.ask("free")  # after a failure it does so by itself


@contextmanager
def connected(address: Address, progress: Progress) -> Iterator[Board]:
    """Connect to a board for as long as it is needed; nothing of ours is left there, however this ends.

    Args:
        address: The board.
        progress: Told if the board cannot be left as it was.

    Raises:
        UnreachableError, HostKeyError, AuthenticationError, ToolchainError: If that cannot be.
    """
    with prepared(address) as ssh:
        keeper = Keeper(ssh)
        try:
            lines = keeper.facts
            yield Board(
                facts=facts.parsed(address.host, lines),
                bits=facts.value(lines, "bits"),
                system=facts.value(lines, "system"),
                ssh=ssh,
                keeper=keeper,
            )
        finally:
            if not keeper.close():
                progress.note(f"{address} could not be asked to tidy up; it does so once it sees the connection gone.")
