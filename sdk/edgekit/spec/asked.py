"""A model as it is named on the command line, in place of a project: checked before anything is imported for it."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import JsonValue

from edgekit.base.filekind import PICKLES
from edgekit.base.paths import exists, is_dir, is_file
from edgekit.base.telling import kind_of
from edgekit.errors import ProjectError
from edgekit.spec import programs, schema
from edgekit.spec.tensors import DType

_MODEL = re.compile(r"[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*")
_SHAPE = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>\d+(?:[x,]\d+)*)(?::(?P<dtype>\w+))?")
_FUNCTION = re.compile(r"\.py:\w+$")
_LARGEST = 2**31
# What the parts of a data set are called; of several the first is taken.
_TRAIN, _HELD_OUT = "train", ("val", "valid", "validation", "test", "eval")
_SHAPE_HINT = (
    "The sizes without the batch: --shape 3x224x224; of several inputs --shape tokens=128 --shape mask=128; "
    "with a type --shape tokens=128:int64."
)


@dataclass(frozen=True, kw_only=True)
class AskedShape:
    """An input's sizes without the batch, and its type where it was said."""

    sizes: tuple[int, ...]
    dtype: DType | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was named. Paths are as they were given, from the folder of this process."""

    model: str | None
    """The Python file and the function or class in it, or a name that a library knows; None: the weights hold it."""
    weights: Path | None
    """None: the library's name brings them along."""
    weights_key: str | None = None
    """Which state dict of a training checkpoint."""
    name: str | None = None
    """The model's name; that of its class unless given."""
    shapes: Mapping[str, AskedShape] = field(default_factory=dict)
    """By name of the input; the empty name is the only input."""
    unbatched: bool = False
    """Whether ``forward`` takes one sample without a batch."""
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    """For the function or class."""
    calibration: str | None = None
    evaluation: str | None = None
    data: str | None = None
    """One set of both, of which a part is held out."""

    @property
    def data_files(self) -> tuple[Path, ...]:
        """The files and folders of data, without functions."""
        return tuple(Path(name) for name in self.data_named if not _FUNCTION.search(name))

    @property
    def data_named(self) -> tuple[str, ...]:
        """All data, functions among it."""
        return tuple(name for name in (self.data, self.calibration, self.evaluation) if name is not None)

    @property
    def data_functions(self) -> tuple[tuple[Path, str], ...]:
        """The Python files of functions that return data, and their names."""
        parts = [name.rpartition(":") for name in self.data_named if _FUNCTION.search(name)]
        return tuple((Path(file), function) for file, _, function in parts)

    @property
    def source(self) -> tuple[Path, str]:
        """The Python file, and the function or class in it."""
        file, _, function = str(self.model).rpartition(":")
        return Path(file), function

    @property
    def is_program(self) -> bool:
        """Whether a file, or a name that a library knows, holds the network itself."""
        return programs.is_program(self.model)

    @property
    def home(self) -> Path:
        """The folder that a project of it starts from, where none is named."""
        if not self.is_program:
            return self.source[0].parent
        return Path() if self.weights is None else self.weights.parent


def asked(
    model: str | None,
    weights: Path | None,
    *,
    weights_key: str | None = None,
    name: str | None = None,
    shapes: Iterable[str] = (),
    unbatched: bool = False,
    arguments: Iterable[str] = (),
    calibration: str | None = None,
    evaluation: str | None = None,
    data: str | None = None,
    trust_pickle: bool = False,
) -> Asked:
    """Read what was named, and look whether it is there.

    Args:
        model: ``net.py:Net``, or ``timm:NAME`` and the like; None: the weights hold the program.
        weights: The file of the weights; None: the name brings them along.
        weights_key: Which state dict of a training checkpoint.
        name: The model's name.
        shapes: ``3x224x224``, or ``NAME=SIZES`` of each input, perhaps with ``:DTYPE``.
        unbatched: Whether ``forward`` takes one sample without a batch.
        arguments: ``KEY=VALUE``, the value as JSON or a text.
        calibration: The calibration data.
        evaluation: The evaluation data.
        data: One folder or file of both: its sub-folders ``train`` and ``val`` or ``test``, or all of it.
        trust_pickle: Whether the weights may be a pickle that runs code, a whole model with no ``model`` among them.

    Raises:
        ProjectError: With all that is wrong, one a line.
    """
    faults: list[str] = []
    if data is not None and (calibration is not None or evaluation is not None):
        faults.append("--data is for calibration and evaluation: leave one of them out")
    if data is not None:
        data, calibration, evaluation = _parts(data)
    elif (calibration is None) != (evaluation is None):
        data, calibration, evaluation = calibration or evaluation, None, None
    found = Asked(
        model=model,
        weights=weights,
        weights_key=weights_key,
        name=name,
        shapes=_shapes(shapes, faults),
        unbatched=unbatched,
        arguments=_arguments(arguments, faults),
        calibration=calibration,
        evaluation=evaluation,
        data=data,
    )
    faults += _model_faults(found)
    if weights is not None:
        _look("--weights", weights, faults, folder=True)
        faults += _weights_faults(weights, model, trust_pickle=trust_pickle)
    for option, given in (("--calibration", calibration), ("--evaluation", evaluation), ("--data", data)):
        if given is not None:
            path = Path(given.rpartition(":")[0] if _FUNCTION.search(given) else given)
            _look(option, path, faults, folder=path.suffix != ".py")
    if faults:
        raise ProjectError(schema.report("What was named", faults), hint="`edgekit init --help` says what each takes.")
    return found


def _model_faults(named: Asked) -> list[str]:
    if named.is_program:
        return []
    faults: list[str] = []
    if _MODEL.fullmatch(str(named.model)):
        _look("--model", named.source[0], faults)
    else:
        faults.append(f"--model {named.model}: must be FILE.py:NAME, the function or class that makes the nn.Module")
    if named.weights is None:
        faults.append("--weights FILE: missing; its trained weights")
    return faults


def _weights_faults(weights: Path, model: str | None, *, trust_pickle: bool) -> list[str]:
    if not exists(weights) or ((kind := kind_of(weights)) in PICKLES and trust_pickle):
        return []
    if kind.hint:
        return [f"--weights {weights}: is {kind.words}. {kind.hint}"]
    if model is None and kind not in programs.PROGRAMS:
        return [f"--model FILE.py:NAME: missing; {weights} is {kind.words}, which holds no network"]
    return []


def _parts(data: str) -> tuple[str | None, str | None, str | None]:
    """Return one set, or what of it is for calibration and what for evaluation, where the names of folders say it."""
    held_out = [name for name in _HELD_OUT if is_dir(Path(data) / name)]
    if not held_out or not is_dir(Path(data) / _TRAIN):
        return data, None, None
    return None, (Path(data) / _TRAIN).as_posix(), (Path(data) / held_out[0]).as_posix()


def _look(option: str, path: Path, faults: list[str], *, folder: bool = False) -> None:
    if is_file(path) or (folder and is_dir(path)):
        return
    if exists(path):
        faults.append(f"{option} {path}: is no file")
        return
    beside = [other.name for other in path.parent.iterdir()] if is_dir(path.parent) else []
    faults.append(f"{option} {path}: does not exist{schema.did_you_mean(path.name, beside)}")


def _shapes(texts: Iterable[str], faults: list[str]) -> dict[str, AskedShape]:
    found: dict[str, AskedShape] = {}
    for text in texts:
        match = _SHAPE.fullmatch(text.strip())
        sizes = tuple(int(size) for size in re.split("[x,]", match["sizes"])) if match else ()
        if match is None or not all(0 < size < _LARGEST for size in sizes):
            faults.append(f"--shape {text}: is no shape. {_SHAPE_HINT}")
            continue
        dtype, known = match["dtype"], get_args(DType)
        if dtype is not None and dtype not in known:
            faults.append(f"--shape {text}: there is no type {dtype}{schema.did_you_mean(dtype, known)}")
            continue
        if (name := match["name"] or "") in found or (found and "" in {name, *found}):
            faults.append(f"--shape {text}: there is another; of several inputs each has its name. {_SHAPE_HINT}")
        found[name] = AskedShape(sizes=sizes, dtype=dtype)  # type: ignore[arg-type]
    return found


def _arguments(texts: Iterable[str], faults: list[str]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            faults.append(f"--argument {text}: must be KEY=VALUE, for instance --argument classes=10")
            continue
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
        if found[key] is None:
            faults.append(f"--argument {text}: a project file has no null; let the model's default stand for it")
    return found
