"""``edgekit.toml``: which model, with which weights and data, quantized how, and what drift is allowed.

Reading a project finds all faults at once: unknown keys, wrong types, parts that disagree and files that are missing.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.base.paths import is_dir, is_file
from edgekit.errors import ProjectError
from edgekit.spec import labels, programs, schema
from edgekit.spec.agreement import disagreements
from edgekit.spec.media import Text
from edgekit.spec.quantization import QuantSpec
from edgekit.spec.sections import Project

PROJECT_FILE = "edgekit.toml"
SAMPLE = Path(__file__).parent / "samples" / "digits"
_HINT = "`edgekit init` writes a project that works, to compare with."
_START = "`edgekit init FOLDER` starts a project; with --model FILE:NAME and --weights FILE, one of a model of yours."


# Data that a person's own function returns.
_FUNCTION = re.compile(r"[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, kw_only=True)
class OpenProject:
    """A project and the folder that its paths start from."""

    root: Path
    spec: Project
    notes: tuple[str, ...] = ()
    """What a reader of the report must know of how it came to be."""

    def with_memory(self, memory: int | None) -> "OpenProject":
        """Return the project built with so many bytes; None: what it says itself."""
        if memory is None:
            return self
        build = self.spec.build.model_copy(update={"memory": memory})
        return replace(self, spec=self.spec.model_copy(update={"build": build}))

    def with_quantize(self, spec: QuantSpec) -> "OpenProject":
        """Return the project with other settings of the quantizer."""
        return replace(self, spec=self.spec.model_copy(update={"quantize": spec}))

    @property
    def is_sample(self) -> bool:
        """Whether it is the sample that ships in the package."""
        return self.root == SAMPLE

    @property
    def source(self) -> tuple[Path, str]:
        """The Python file that makes the model, and the function in it.

        Raises:
            ProjectError: If the model is a program.
        """
        if self.is_program:
            raise ProjectError(f"{self.spec.model.name} is made by no Python file.")
        file, _, function = str(self.spec.model.source).rpartition(":")
        return self.root / file, function

    @property
    def is_program(self) -> bool:
        """Whether a file, or a name that a library knows, holds the network itself."""
        return programs.is_program(self.spec.model.source)

    @property
    def metrics(self) -> tuple[tuple[Path, str] | None, ...]:
        """For each output the Python file and the function of the project's own metric, if there is one."""
        sources = [output.metric and output.metric.rpartition(":") for output in self.spec.outputs]
        return tuple((self.root / source[0], source[2]) if source else None for source in sources)

    @property
    def weights(self) -> Path:
        """The weights file, or the file that holds the program.

        Raises:
            ProjectError: If the model's name brings its weights along.
        """
        if self.spec.model.weights is None:
            raise ProjectError(f"{self.spec.model.name} has no file of weights.")
        return self.root / self.spec.model.weights

    @property
    def calibration(self) -> Path:
        """The calibration data: a file, a folder, or the Python file of a function."""
        return self.root / _without_function(self.spec.data.named[0])

    @property
    def evaluation(self) -> Path:
        """The evaluation data, in the same forms; the calibration's own where one set is split."""
        return self.root / _without_function(self.spec.data.named[1])

    @property
    def training(self) -> Path:
        """What `edgekit finetune` trains with, in the same forms; the calibration's own unless it is named."""
        return self.root / _without_function(self.spec.data.named[2])

    @property
    def data_functions(self) -> tuple[str | None, ...]:
        """The functions that return calibration, evaluation and training data, in those files; None: it is read."""
        return tuple(name.rpartition(":")[2] if _FUNCTION.match(name) else None for name in self.spec.data.named)

    @property
    def baseline(self) -> Path:
        """The recorded reference; may not exist yet."""
        return self.root / self.spec.baseline.file


def load(folder: Path) -> OpenProject:
    """Read a project.

    Raises:
        ProjectError: If there is none, or with all its faults.
    """
    file = folder / PROJECT_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ProjectError(f"{folder} has no {PROJECT_FILE}{_nearest(folder)}", hint=_START) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} cannot be read: {error}", hint=_START) from error
    data, misnamed = labels.read_in(schema.parse_table(text, where=str(file), error=ProjectError), folder)
    project, faults = schema.check(data, Project)
    faults += misnamed + _missing_files(folder, data) + programs.faults(folder, data)
    if project is not None and not misnamed and not programs.undescribed(project):
        faults += disagreements(project)
    if faults or project is None:
        raise ProjectError(schema.report(str(file), faults), hint=_HINT)
    return OpenProject(root=folder, spec=project)


def _nearest(folder: Path) -> str:
    """Return what there is in a folder that may have been meant by the project file."""
    beside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return schema.did_you_mean(PROJECT_FILE, beside) or "."


def _without_function(name: str) -> str:
    return name.rpartition(":")[0] if _FUNCTION.match(name) else name


def _missing_files(root: Path, data: dict[str, Any]) -> list[str]:
    """Look for the named files in the raw data, so that they are reported beside wrong keys."""
    faults = []
    named = [("model", "source"), ("model", "weights"), ("quantize", "trained")]
    named += [("data", key) for key in ("calibration", "evaluation", "training", "source")]
    places = [(f"{table}.{key}", data.get(table), key) for table, key in named]
    text = data.get("text")
    if isinstance(text, dict):
        places.append(("text.tokenizer", {"tokenizer": Text().tokenizer, **text}, "tokenizer"))
    outputs = data.get("outputs")
    if isinstance(outputs, list):
        places += [(f"outputs[{index}].metric", section, "metric") for index, section in enumerate(outputs)]
    for place, section, key in places:
        if not isinstance(section, dict):
            continue
        value = section.get(key)
        if not isinstance(value, str) or not value or (key == "source" and programs.is_program(value)):
            continue
        in_data = place.startswith("data.")
        code = key in ("source", "metric") and not in_data
        path = root / (value.rpartition(":")[0] or value if code else _without_function(value))
        folders = in_data or key == "trained" or (key == "weights" and programs.is_program(section.get("source")))
        if is_file(path) or (folders and is_dir(path)):
            continue
        beside = [other.name for other in path.parent.iterdir()] if is_dir(path.parent) else []
        reason = "is a folder" if is_dir(path) else f"does not exist{schema.did_you_mean(path.name, beside)}"
        faults.append(f"{place}: {path} {reason}")
    return faults
