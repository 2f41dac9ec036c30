"""Messages between two processes: facts as JSON, and arrays of bytes behind them. Nothing in them is ever executed."""

import contextlib
import json
import os
import select
import struct
import time
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

Facts = dict[str, JsonValue]
_HEAD = struct.Struct("<QQ")
_MOST_FACTS = 2**28
_PIECE = 2**20


class ClosedError(Exception):
    """The other side has gone, or says what is no message."""


def send(
    descriptor: int, facts: Facts, parts: Sequence[bytes | memoryview] = (), *, seconds: float | None = None
) -> None:
    """Write a message.

    Args:
        descriptor: Where to write to; one that does not block, if there is a limit of time.
        facts: What to say.
        parts: The bytes behind it.
        seconds: How long to wait for the reader; None: as long as it takes.

    Raises:
        ClosedError: If nobody reads any more.
        TimeoutError: If it takes longer.
    """
    end = None if seconds is None else time.monotonic() + seconds
    sizes = [len(part) for part in parts]
    head = json.dumps({"facts": facts, "sizes": sizes}).encode()
    try:
        for piece in (_HEAD.pack(len(head), sum(sizes)), head, *parts):
            view = memoryview(piece)
            while view:
                _wait((), (descriptor,), end)
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(descriptor, view[:_PIECE]) :]
    except (BrokenPipeError, ConnectionError) as error:
        raise ClosedError(str(error)) from error


def receive(descriptor: int, *, seconds: float | None = None, most: int | None = None) -> tuple[Facts, list[bytes]]:
    """Read a message.

    Args:
        descriptor: Where to read from.
        seconds: How long to wait for all of it; None: as long as it takes.
        most: Bytes of the parts that are taken; None: any number.

    Raises:
        ClosedError: If the other side has gone, or says something else.
        TimeoutError: If it takes longer.
    """
    end = None if seconds is None else time.monotonic() + seconds
    length, total = _HEAD.unpack(_exactly(descriptor, _HEAD.size, end))
    if length > _MOST_FACTS or (most is not None and total > most):
        raise ClosedError(f"{total} bytes were sent where {most} may be")
    try:
        head: dict[str, Any] = json.loads(_exactly(descriptor, length, end))
        facts, sizes = head["facts"], [int(size) for size in head["sizes"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ClosedError(f"no message: {error}") from error
    if not isinstance(facts, dict) or sum(sizes) != total or min(sizes, default=0) < 0:
        raise ClosedError("no message")
    return facts, [_exactly(descriptor, size, end) for size in sizes]


def _exactly(descriptor: int, count: int, end: float | None) -> bytes:
    found = bytearray()
    while len(found) < count:
        _wait((descriptor,), (), end)
        piece = os.read(descriptor, min(count - len(found), _PIECE))
        if not piece:
            raise ClosedError("it has gone")
        found += piece
    return bytes(found)


def _wait(readable: tuple[int, ...], writable: tuple[int, ...], end: float | None) -> None:
    left = None if end is None else max(0.0, end - time.monotonic())
    if not any(select.select(readable, writable, (), left)):
        raise TimeoutError
