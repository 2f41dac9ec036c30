"""Which project is meant: one that is named, the one in this folder, or the sample where nothing else can be meant."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.spec.project import PROJECT_FILE, SAMPLE, OpenProject, load

# What models, and code that makes them, are kept in.
_MODELS = (
    ".py", ".ipynb", ".pt", ".pth", ".pt2", ".ptl", ".pkl", ".ckpt", ".bin", ".safetensors", ".onnx", ".pte", ".tflite",
    ".gguf", ".h5", ".keras", ".pb", ".mlmodel", ".mlpackage",
)  # fmt: skip
_WEIGHTS = tuple(suffix for suffix in _MODELS if suffix not in (".py", ".ipynb"))
_NEAR = 0.75
# What nobody writes a project into, whatever its name.
_OUTPUT = (".log", ".out", ".err")
_SHOWN = 3
_HINT = (
    "`edgekit build --model FILE:NAME --weights FILE` builds a model without a project, `edgekit init` writes one; "
    "--project FOLDER names one, and --sample asks for the sample."
)


def find(folder: Path | None, *, sample: bool = False, strict: bool = True) -> OpenProject:
    """Return the project that is meant.

    Args:
        folder: What was named; None: the folder that this process is in.
        sample: The sample is asked for.
        strict: Whether the sample is refused beside a model; where a file is asked about it may stand there.

    Raises:
        ProjectError: With all faults of the project; if a named folder has none; or if none is named and something is
            there that may be meant, so that the sample cannot be.
    """
    if sample and folder is not None:
        raise ProjectError(f"Both --sample and --project {folder} say what to take.", hint="Leave one of them out.")
    if sample:
        return load(SAMPLE)
    here = Path() if folder is None else folder
    if folder is not None or (here / PROJECT_FILE).exists():
        return load(here)
    if found := [*_misnamed(here), *(_elsewhere(here) if strict else ())]:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ProjectError(
            f"There is no {PROJECT_FILE} in {here.resolve()}, but {', '.join(found[:_SHOWN])}{more}: "
            "what to take is not clear.",
            hint=_HINT,
        )
    return load(SAMPLE)


def _misnamed(here: Path) -> Iterator[str]:
    """Yield what may be meant for the project file: one of nearly its name, or a link of its name to nothing."""
    for path in sorted(here.iterdir()):
        name = path.name.lower()
        if not name.endswith(_OUTPUT) and difflib.SequenceMatcher(None, name, PROJECT_FILE).ratio() >= _NEAR:
            yield path.name


def _elsewhere(here: Path) -> Iterator[str]:
    """Yield what may be meant instead: projects above and below, code and weights in the folder, weights one below."""
    yield from (str(path) for path in sorted(here.glob(f"*/{PROJECT_FILE}")))
    yield from (str(above / PROJECT_FILE) for above in here.resolve().parents if (above / PROJECT_FILE).is_file())
    yield from (path.name for path in sorted(here.iterdir()) if path.name.lower().endswith(_MODELS))
    yield from (str(path) for path in sorted(here.glob("*/*")) if path.name.lower().endswith(_WEIGHTS))
