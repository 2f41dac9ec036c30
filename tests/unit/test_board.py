"""Boards without a board: which address is meant, what ssh says of a failure, what a board says of itself."""

import pytest

from edgekit.apps.board import facts, script
from edgekit.apps.board.address import Address, parse
from edgekit.apps.board.ssh import Ssh
from edgekit.spec import Cpu

# The end of a Raspberry Pi 5's answer, and an Orange Pi's with two kinds of cores.
PI = (
    "system=Linux", "machine=aarch64", "kernel=6.6.31", "bits=64", "cores=4", "board=Raspberry Pi 5 Model B Rev 1.0",
    "os=Debian GNU/Linux 12 (bookworm)", "CPU implementer\t: 0x41", "CPU part\t: 0xd0b",
    "Features\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
)  # fmt: skip
BIG_LITTLE = (
    "machine=aarch64",
    "bits=32",
    "cores=x",
    "CPU implementer\t: 0x41",
    "CPU part\t: 0xd05",
    "CPU part\t: 0xd0b",
)


@pytest.mark.parametrize(
    ("text", "address", "options"),
    [
        ("ssh:pi", Address(host="pi"), ("--", "pi")),
        ("ssh:me@pi.local", Address(host="pi.local", user="me"), ("-l", "me", "--", "pi.local")),
        ("ssh:me@corp@pi:22", Address(host="pi", user="me@corp", port=22), ("-p", "22", "-l", "me@corp", "--", "pi")),
        ("ssh:[fe80::1%eth0]:2222", Address(host="fe80::1%eth0", port=2222), ("-p", "2222", "--", "fe80::1%eth0")),
        ("ssh:[::1]", Address(host="::1"), ("--", "::1")),
    ],
)
def test_an_address_is_read(text: str, address: Address, options: tuple[str, ...]) -> None:
    """It comes back as it was given, and ssh gets it behind the end of its options."""
    assert parse(text) == address
    assert address.options == options
    assert parse(f"ssh:{address}" if address.port or ":" not in address.host else text) == address


@pytest.mark.parametrize(
    "text",
    [
        "ssh:-oProxyCommand=touch X", "ssh:-oProxyCommand=touch", "ssh:root@-oProxyCommand=touch", "ssh:-F@pi",
        "ssh:pi;touch X", "ssh:$(touch X)", "ssh:pi pi", "ssh:'pi'", 'ssh:"pi"', "ssh:pi\n", "ssh:a b@pi", "ssh:",
        "ssh:@pi", "ssh:pi:", "ssh:pi:22x", "ssh:pi:0", "ssh:pi:99999", "ssh:[::1", "ssh:[-o]:22", "ssh:pi:-p", "pi",
        "adb:pi", "ssh:[::1]22", "ssh:[pi]x:22", "ssh:p\u0131", "ssh:pi:\u0662", f"ssh:{'a' * 256}", "ssh:[]",
        "ssh:pi:1" + "0" * 9, "ssh:[:%-o]",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    """No option of ssh, no word of a shell, nothing that another name looks like."""
    with pytest.raises(ValueError, match=r" is no(t|) "):
        parse(text)


@pytest.mark.parametrize(
    ("said", "answered", "kind"),
    [
        ("Host key verification failed.", False, "HostKeyError"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", False, "HostKeyError"),
        ("me@pi: Permission denied (publickey,password).", False, "AuthenticationError"),
        ("Received disconnect from ::1 port 22:2: Too many authentication failures", False, "AuthenticationError"),
        ("ssh: connect to host pi port 22: No route to host", False, "UnreachableError"),
        ("kex_exchange_identification: Connection closed by remote host", False, "UnreachableError"),
        ("/home/me/.ssh/config: terminating, 1 bad configuration options", False, "ToolchainError"),
        ("Timeout, server pi not responding.", True, "ConnectionLostError"),
        ("client_loop: send disconnect: Broken pipe", True, "ConnectionLostError"),
        ("", True, "ConnectionLostError"),
        ("", False, "UnreachableError"),
    ],
)
def test_what_ssh_says_decides_the_class(said: str, answered: bool, kind: str) -> None:
    """Its exit code is always 255."""
    error = Ssh(address=Address(host="pi"), program="ssh").fault(said, answered=answered)
    assert type(error).__name__ == kind
    assert error.hint


def test_a_board_is_described() -> None:
    """ARM's kernel gives numbers, which have names; cores of several kinds are all named."""
    found = facts.parsed("pi", PI)
    assert facts.name(found) == "Cortex-A76 of Raspberry Pi 5 Model B Rev 1.0 (pi)"
    assert found.features == ("asimddp", "fphp", "asimdhp")
    assert (found.cores, found.system) == (4, "Debian GNU/Linux 12 (bookworm)")
    assert facts.cpu(found, facts.value(PI, "bits")) is Cpu.ARM64
    other = facts.parsed("pi", BIG_LITTLE)
    assert other.cpu_models == ("Cortex-A55", "Cortex-A76")
    assert other.cores == 0
    assert facts.cpu(other, "32") is None


def test_scripts_have_no_single_quotes() -> None:
    """What they are wrapped in is read alike by every shell that a login may have."""
    scripts = script.keeper(), script.take("/tmp/edgekit-aB3", "in"), script.run("/tmp/edgekit-aB3", ["selftest"])  # noqa: S108
    assert not any("'" in text or "@" in text.replace('"$@"', "") for text in scripts)
