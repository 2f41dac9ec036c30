"""What a build depends on, as digests: equal keys, equal bundles. Reads files alone, and no torch.

The key holds the content of files, never their place or time: a copy of a project has the key of the original.
"""

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgekit.base import digest, environment, external
from edgekit.base.filekind import FileKind
from edgekit.base.telling import kind_of
from edgekit.data.files import files_named_by
from edgekit.spec import Target
from edgekit.spec.project import PROJECT_FILE, OpenProject

# What a model file may import or read while it makes the model.
_MODEL_SUFFIXES = {".py", ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".txt"}


def of_files(project: OpenProject) -> str | None:
    """Return a digest of all files that a project's bundles are made from, EdgeKit's own source among them.

    Returns:
        The digest in hexadecimal, or None if a file cannot be read: then the build itself says which; or if data comes
        from a function, or the model from a library, of which nobody knows what it reads.
    """
    content = of_content(project)
    return None if content is None else digest.of_json([of_settings(project, content), environment.of_source()])


def of_content(project: OpenProject) -> str | None:
    """Return a digest of the files that a project's bundles are made from, but for the project file and EdgeKit's own.

    Returns:
        The digest in hexadecimal, or None where `of_files` gives none.
    """
    if any(project.data_functions[:2]) or _downloads(project):
        return None
    text, trained = project.spec.text, project.spec.quantize.trained
    try:
        return digest.of_json(
            {
                "code": _code(project),
                "weights": _weights(project),
                "calibration": of_data(project.calibration),
                "evaluation": of_data(project.evaluation),
                "tokenizer": digest.of_file(project.root / text.tokenizer) if text is not None else None,
                "trained": None if trained is None else of_path(project.root / trained),
                "baseline": of_path(project.baseline) if project.baseline.is_file() else None,
            }
        )
    except OSError:
        return None


def of_settings(project: OpenProject, content: str) -> str:
    """Return a digest of a project: of its settings, and of its files as `of_content` has it."""
    return digest.of_json([content, project.spec.model_dump(mode="json"), list(project.notes)])


def of_bundle(files: str, target: Target) -> str:
    """Return the key of one bundle.

    Args:
        files: From `of_files`.
        target: What it is built for.
    """
    return digest.of_json([files, target.model_dump(mode="json"), environment.of_tools(), environment.of_host()])


def of_data(path: Path) -> str:
    """Return a digest of data: of a table, that of every file that it names, too."""
    own = of_path(path)
    named = files_named_by(path)
    return digest.of_json([own, [digest.of_file(file) for file in named]]) if named else own


def of_path(path: Path) -> str:
    """Return a digest of a file's bytes, or of the names and bytes of all files in a folder."""
    if path.is_file():
        return digest.of_file(path)
    files = _walk(path)
    return digest.of_json({file.relative_to(path).as_posix(): digest.of_file(file) for file in files})


def imported_files(project: OpenProject) -> dict[str, str]:
    """Return the digests of the loaded modules that no key covers, by path.

    These are files outside the project that are no installed distribution: a model's code in another checkout. They are
    known only after the model was loaded, and are stored beside what was made with them.
    """
    folders = (*_code_folders(project), environment.PACKAGE, *_library())
    covered = tuple(folder.resolve() for folder in folders)
    found = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        path = Path(name).resolve() if isinstance(name, str) else Path()
        distributed = {"site-packages", "dist-packages"} & set(path.parts)
        if path.is_file() and not distributed and not any(path.is_relative_to(folder) for folder in covered):
            found[str(path)] = digest.of_file(path)
    return dict(sorted(found.items()))


def unchanged(files: Mapping[str, str]) -> bool:
    """Whether files, given with their digests, are what they were."""
    try:
        return all(digest.of_file(Path(path)) == expected for path, expected in files.items())
    except OSError:
        return False


def _downloads(project: OpenProject) -> bool:
    """Whether a library decides which weights a model has."""
    return project.is_program and project.spec.model.weights is None


def _weights(project: OpenProject) -> list[str] | None:
    """Return the digests of the weights and of the files that they name: an ONNX file may keep tensors beside it."""
    if project.spec.model.weights is None:
        return None
    path = project.weights
    beside = external.files(path) if path.is_file() and kind_of(path) is FileKind.ONNX else []
    return [of_path(file) for file in (path, *beside)]


def _code(project: OpenProject) -> list[dict[str, str]]:
    return [
        {
            file.relative_to(folder).as_posix(): digest.of_file(file)
            for file in _walk(folder)
            if file.suffix.lower() in _MODEL_SUFFIXES and file != project.root / PROJECT_FILE
        }
        for folder in _code_folders(project)
    ]


def _code_folders(project: OpenProject) -> tuple[Path, ...]:
    """Return the project's folder and, where they lie elsewhere, those of the model's and the metrics' files."""
    files = [metric[0] for metric in project.metrics if metric is not None]
    if not project.is_program:
        files.insert(0, project.source[0])
    folders = dict.fromkeys(file.parent for file in files)
    root = project.root.resolve()
    return (project.root, *(folder for folder in folders if not folder.resolve().is_relative_to(root)))


def _library() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _walk(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder in order of name, but for hidden ones, bundles and virtual environments.

    Links are followed, as Python's import and the readers of data do; a link to a folder above ends there.
    """
    entries = {entry.name: entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")}
    real = folder.resolve()
    if real in above or (above and ("pyvenv.cfg" in entries or {"manifest.json", "report.json"} <= entries.keys())):
        return
    for entry in entries.values():
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.is_file() and entry.suffix != ".pyc":
            yield entry
