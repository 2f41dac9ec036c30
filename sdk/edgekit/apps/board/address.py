"""``ssh:user@host:port``: which board is meant. What could be anything else than a name is refused."""

import re
from dataclasses import dataclass

_SCHEME = "ssh"
# Neither a name nor a user begins with a dash, which would be an option, or holds what a shell reads.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_MOST_LETTERS = 255


@dataclass(frozen=True, kw_only=True)
class Address:
    """A board."""

    host: str
    """A name, which the person's ssh configuration may explain, or an address."""
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        return f"{user}{f'[{self.host}]' if port and ':' in self.host else self.host}{port}"

    @property
    def options(self) -> tuple[str, ...]:
        """The words that tell ssh."""
        port = () if self.port is None else ("-p", str(self.port))
        user = () if self.user is None else ("-l", self.user)
        return (*port, *user, "--", self.host)


def parse(text: str) -> Address:
    """Return the board that is meant by ``ssh:[USER@]HOST[:PORT]``; an IPv6 address stands in brackets.

    Raises:
        ValueError: If none is, with the reason.
    """
    scheme, _, rest = text.partition(":")
    if scheme != _SCHEME or not rest:
        raise ValueError(f"{text!r} is not ssh:HOST, ssh:USER@HOST or ssh:USER@HOST:PORT.")
    before, at, place = rest.rpartition("@")
    if at and (not _USER.fullmatch(before) or len(before) > _MOST_LETTERS):
        raise ValueError(f"{before!r} is no user's name: letters, digits and _ . + - @, and no dash first.")
    host, port = _parted(place)
    if not (_HOST.fullmatch(host) or (":" in host and _IPV6.fullmatch(host))) or len(host) > _MOST_LETTERS:
        raise ValueError(
            f"{host!r} is no host's name: letters, digits and _ . -, and no dash first; [...] for an IPv6 address. "
            "Give others a name in ~/.ssh/config."
        )
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        raise ValueError(f"{port!r} is no port: a number from 1 to 65535.")
    return Address(host=host, user=before if at else None, port=None if port is None else int(port))


def _parted(place: str) -> tuple[str, str | None]:
    if place.startswith("[") and "]" in place:
        host, _, rest = place[1:].partition("]")
        return (host, None) if not rest else (host if rest.startswith(":") else place, rest[1:])
    host, colon, port = place.partition(":")
    return host, port if colon else None
