"""Read a pickle without running it: the operations are followed, calls are written down in place of being made.

`pickletools.genops` takes the operations apart; here they work on a stack of plain values. Steps are counted, for an
operation of one byte may make an object of hundreds.
"""

import gc
import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.model.weights.objects import call, stored
from edgekit.model.weights.values import Global, PickleError, Storage, Unmade, printable

MOST_STEPS = 1_000_000
"""A checkpoint of thirty thousand tensors, those of its optimizer among them, has 800,000."""
MOST_BYTES = 2**27
"""Of a pickle, without the tensors, which lie beside it."""
_LARGE = 2**60


@dataclass(frozen=True, kw_only=True)
class Pickled:
    """What a pickle says."""

    value: Any
    """Of dict, list, tuple, str, bytes, int, float, bool and None, with the values of `values` in between."""
    globals: tuple[Global, ...]
    """All that it names, in order of appearance."""
    storages: Mapping[str, Storage]
    """What its tensors are views of, by key."""
    end: int
    """Where it ends in the data."""


def read(data: bytes, start: int = 0) -> Pickled:
    """Follow a pickle.

    Raises:
        PickleError: If it is damaged, has more than `MOST_STEPS` operations, or takes what only a process can give.
    """
    stream = io.BytesIO(data)
    stream.seek(start)
    machine = _Machine()
    collecting = gc.isenabled()
    gc.disable()  # it would look at every value that was made so far again and again
    try:
        for step, (code, argument, _) in enumerate(pickletools.genops(stream)):
            if step == MOST_STEPS:
                raise PickleError(f"it has more than {MOST_STEPS:,} operations")
            if code.name in _ARGUMENTS:
                machine.stack.append(argument)
            else:
                machine.do(code.name, argument)
    except PickleError:
        raise
    except Exception as error:  # whatever the bytes: it is a parser of foreign data
        raise PickleError(f"its pickle is damaged: {error}"[:200]) from error
    finally:
        if collecting:
            gc.enable()
    return Pickled(value=machine.result(), globals=tuple(machine.globals), storages=machine.storages, end=stream.tell())


class _Machine:
    """The stack, the marks in it, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.globals: dict[Global, None] = {}
        self.storages: dict[str, Storage] = {}

    def result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise PickleError("its pickle ends without a value")
        return self.stack[0]

    def do(self, code: str, argument: Any) -> None:
        if (make := _CONSTANTS.get(code)) is not None:
            self.stack.append(make())
        elif (work := _WORK.get(code)) is not None:
            work(self, argument)
        else:
            raise PickleError(f"its pickle takes {code}, which is not read")

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PickleError("its pickle takes what is not there")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise PickleError("its pickle takes what is not there")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        if not self.marks:
            raise PickleError("its pickle takes what is not there")
        place = self.marks.pop()
        taken = self.stack[place:]
        del self.stack[place:]
        return taken

    def named(self, module: Any, name: Any) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("its pickle names a class by what is no text")
        found = Global(module, name)
        self.globals[found] = None
        return found

    def called(self, what: Any, arguments: Any, keywords: Any = None) -> None:
        if not isinstance(arguments, tuple):
            raise PickleError("its pickle makes a call without arguments")
        # What a call returned may be called again, as in getattr(...)(...): it is as unmade as the first.
        target = what if isinstance(what, Global) else Global("?", "call of a result")
        if not isinstance(what, Global):
            self.globals[target] = None
        made = call(target, arguments)
        if isinstance(made, Unmade) and isinstance(keywords, dict):
            made.items.update(keywords)
        self.stack.append(made)

    def put(self, pairs: list[Any]) -> None:
        target = self.top()
        if len(pairs) % 2 or not isinstance(target, dict | Unmade):
            raise PickleError("its pickle sets items of what has none")
        items = target if isinstance(target, dict) else target.items
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            items[_key(key)] = value

    def add(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, list | Unmade):
            raise PickleError("its pickle appends to what is no list")
        (target if isinstance(target, list) else target.members).extend(values)

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        if isinstance(target, Unmade):
            target.state = state
        elif not isinstance(target, dict | list):  # an OrderedDict has attributes: the _metadata of a state dict
            raise PickleError("its pickle fills what cannot be filled")


def _key(value: Any) -> Any:
    """Return what can be a key here: tuples may be so deep that hashing them ends the process."""
    if isinstance(value, int) and not -_LARGE < value < _LARGE:
        return str(value) if abs(value) < 10**99 else "(large)"
    return value if value is None or isinstance(value, str | int | float | bytes) else f"({type(value).__name__})"


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list, "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple, "EMPTY_SET": list,
}  # fmt: skip
_ARGUMENTS = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8",
))  # fmt: skip


def _pairs(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise PickleError("its pickle has a key without a value")
    return {_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    def work(machine: _Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(values)))

    return work


def _put(machine: _Machine, place: Any) -> None:
    machine.memo[int(place)] = machine.top()


def _get(machine: _Machine, place: Any) -> None:
    if int(place) not in machine.memo:
        raise PickleError("its pickle takes what is not in its memo")
    machine.stack.append(machine.memo[int(place)])


def _global(machine: _Machine, text: Any) -> None:
    module, _, name = str(text).partition(" ")
    machine.stack.append(machine.named(module, name))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.stack.append(machine.named(module, name))


def _instance(machine: _Machine, text: Any) -> None:
    module, _, name = str(text).partition(" ")
    machine.called(machine.named(module, name), tuple(machine.marked()))


def _object(machine: _Machine, _: Any) -> None:
    what, *arguments = machine.marked() or [None]
    machine.called(what, tuple(arguments))


def _call(machine: _Machine, _: Any) -> None:
    arguments, what = machine.pop(), machine.pop()
    machine.called(what, arguments)


def _call_with_keywords(machine: _Machine, _: Any) -> None:
    keywords, arguments, what = machine.pop(), machine.pop(), machine.pop()
    machine.called(what, arguments, keywords)


def _persistent(machine: _Machine, _: Any) -> None:
    found = stored(machine.pop())
    machine.stack.append(found)
    if isinstance(found, Storage) and machine.storages.setdefault(found.key, found) != found:
        raise PickleError(f"its storage {printable(found.key)} is described in two ways")


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.put([key, value])


def _append(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.add([value])


def _pop(machine: _Machine, _: Any) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


_WORK: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": _pop,
    "POP_MARK": lambda machine, _: machine.marked().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "LIST": lambda machine, _: machine.stack.append(machine.marked()),
    "FROZENSET": lambda machine, _: machine.stack.append(machine.marked()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
    "DICT": lambda machine, _: machine.stack.append(_pairs(machine.marked())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "APPEND": _append,
    "APPENDS": lambda machine, _: machine.add(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.add(machine.marked()),
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: machine.put(machine.marked()),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_keywords,
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": _persistent,
}
