"""``.pt2`` archives of ``torch.export.save``, read without executing anything that they say.

``torch.export.load`` by itself would: it unpickles what it cannot read otherwise, looks functions up by any name below
``torch``, hands text to sympy, which evaluates it, and imports the modules of enums. So the archive is read first, and
what is none of the plain things that an exported program consists of is refused.
"""

import json
import logging
import math
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch.export import ExportedProgram

from edgekit.base import zips
from edgekit.errors import SourceError
from edgekit.model.programs.devices import on_cpu

_AGAIN = "Save the program again, with the installed torch: torch.export.save(torch.export.export(model, args), path)."
_OPERATOR = re.compile(r"torch\.ops\.(aten|prims|higher_order|torchvision)\.\w+(\.\w+)?|torch\.sym_\w+|math\.\w+")
# Operations that read or write files.
_FILES = re.compile(r"torch\.ops\.aten\.(from_file|save|load)\b.*")
_PYTHON = {
    f"_operator.{name}"
    for name in (
        "add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pos", "pow", "abs", "eq", "ne", "lt", "le", "gt",
        "ge", "and_", "or_", "not_", "xor", "invert", "lshift", "rshift", "getitem", "index",
    )
}  # fmt: skip
_NUMBER = r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?"
_SYMBOL = r"Symbol\('[a-z]+_?[0-9]+'(, [a-z_]+=(True|False))*\)|Float\('[0-9.e+-]+', precision=[0-9]+\)"
_WORDS = (
    r"[suz]+f?[0-9]+|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|Abs|Eq|Ne|Ge|Gt|Le|Lt|Equality|Unequality|StrictLessThan"
    r"|StrictGreaterThan|LessThan|GreaterThan|And|Or|Not|Piecewise|ExprCondPair|floor|ceiling|oo|int_oo|true|false|True"
    r"|False"
)
_FUNCTIONS = (
    r"FloorDiv|CeilDiv|PythonMod|CleanDiv|ModularIndexing|IntTrueDiv|FloatTrueDiv|PowByNatural|FloatPow|TruncToInt"
    r"|TruncToFloat|CeilToInt|FloorToInt|RoundToInt|RoundDecimal|ToFloat|Identity|LShift|RShift|Where|IsNonOverlapping\w*"
)
_EXPRESSION = re.compile(rf"(\s|{_SYMBOL}|{_NUMBER}|\b({_WORDS}|{_FUNCTIONS})\b|[-+*/(),<>=&|~])*")
_LONGEST = 10_000
_TREES = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "torch.Size", None}


def load_archive(path: Path) -> ExportedProgram:
    """Return the program of an archive.

    Raises:
        SourceError: If it is none, is damaged, was written by another version, or holds what would be executed.
    """
    try:
        zips.check_growth(zips.members(path), path.stat().st_size, zips.PROGRAM_ROOM)
        with path.open("rb") as file:
            _check(path, file)
            with on_cpu(file) as archive, _nothing_unpickled():
                return torch.export.load(archive)
    except SourceError:
        raise
    except Exception as error:  # torch raises anything for what its reader does not expect
        lines = (str(error) or type(error).__name__).strip().splitlines()
        raise SourceError(f"{path} cannot be read: {lines[0]}", hint=_AGAIN) from error


@contextmanager
def _nothing_unpickled() -> Iterator[None]:
    """Let ``torch.load`` read weights alone, also where the library asks for more."""
    name, before = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ[name] = "1"
    level = logging.getLogger("torch.export").level
    logging.getLogger("torch.export").setLevel(logging.ERROR)  # what it retries is told by the error alone
    try:
        yield
    finally:
        logging.getLogger("torch.export").setLevel(level)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _check(path: Path, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise SourceError(f"{path} is damaged: {damaged} is not what was written.", hint=_AGAIN)
        if not (programs := [name for name in archive.namelist() if re.search(r"(^|/)models/[^/]+\.json$", name)]):
            raise SourceError(f"{path} holds no exported program that this torch can read.", hint=_AGAIN)
        if len(programs) > 1:
            raise SourceError(f"{path} holds {len(programs)} programs.", hint="Save the one to build by itself.")
        for name in archive.namelist():
            parts = name.split("/")
            if name.endswith("_config.json"):
                folder = name.rpartition("/")[0]
                sizes = {info.filename: info.file_size for info in archive.infolist()}
                _check_payload(path, json.loads(archive.read(name)), folder, sizes)
            elif "sample_inputs" in parts and archive.getinfo(name).file_size:
                with archive.open(name) as member:
                    _check_weights_only(path, name, member)
            elif {"weights", "constants"} & set(parts) and name.endswith(".pt"):
                raise SourceError(f"{path} holds its tensors in a pickle, {name}.", hint=_AGAIN)
        _check_program(path, json.loads(archive.read(programs[0])))


def _check_payload(path: Path, config: Any, folder: str, sizes: dict[str, int]) -> None:
    for name, payload in config["config"].items():
        if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
            raise SourceError(
                f"{path}: {name} is no plain tensor but a pickled object, which would be executed.",
                hint="Export a model whose weights and constants are plain tensors.",
            )
        elements = math.prod(size["as_int"] for size in payload["tensor_meta"]["sizes"])
        if sizes.get(f"{folder}/{payload['path_name']}", 0) < elements:  # torch would take zeros for it
            raise SourceError(f"{path} is damaged: {name} is cut off.", hint=_AGAIN)


def _check_weights_only(path: Path, name: str, member: Any) -> None:
    from io import BytesIO

    try:
        torch.load(BytesIO(member.read()), map_location="meta", weights_only=True)
    except Exception as error:
        raise SourceError(
            f"{path}: {name}, the example, is no plain tensors but pickled objects, which would be executed.",
            hint="Export with tensors alone as example inputs.",
        ) from error


def _check_program(path: Path, content: Any, key: str = "") -> None:
    """Refuse the names of functions, the text and the containers that no exported program needs."""
    match content:
        case dict():
            for inner, value in content.items():
                _check_program(path, value, str(inner))
        case list():
            for value in content:
                _check_program(path, value, key)
        case str() if key in ("target", "as_operator") and not _is_operation(content):
            raise SourceError(f"{path} calls {content[:100]}, which is no operation of torch.", hint=_AGAIN)
        case str() if key == "expr_str" and not (len(content) < _LONGEST and _EXPRESSION.fullmatch(content)):
            raise SourceError(f"{path} has a size that is no expression: {content[:100]}", hint=_AGAIN)
        case str() if key in ("in_spec", "out_spec") and content:
            _check_tree(path, json.loads(content))


def _is_operation(name: str) -> bool:
    return name in _PYTHON or (_OPERATOR.fullmatch(name) is not None and _FILES.fullmatch(name) is None)


def _check_tree(path: Path, content: Any) -> None:
    match content:
        case {"type": kind, "children_spec": list(children), **rest}:
            if kind not in _TREES or "__enum__" in str(rest.get("context")):
                raise SourceError(
                    f"{path} takes or returns a {kind}, a class that is not in the file.",
                    hint="Export a module that takes tensors and returns tensors, tuples or dicts of them.",
                )
            for child in children:
                _check_tree(path, child)
        case list():
            for value in content:
                _check_tree(path, value)
        case dict():
            raise SourceError(f"{path} takes or returns what is no container.", hint=_AGAIN)
