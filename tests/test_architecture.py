"""The shape of the package: wings on floors, each importing only what lies below, and what may import torch."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sdk" / "edgekit"

# Ground floor first. Wings on one line are siblings: neither imports the other.
FLOORS = (
    ("errors",),
    ("base",),
    ("spec",),
    ("targets", "data"),
    ("drift",),
    ("model",),
    ("quantization", "lowering", "execution"),
    ("chips", "bundles"),
    ("apps", "inspection"),
    ("render",),
    ("pipeline",),
    ("api", "cli"),
)
# What the command line and a phone's data need must stay light: folders, or modules.
WITHOUT_TORCH = (
    "errors", "base", "spec", "targets", "data", "drift", "bundles", "apps", "render", "model/artifact", "model/curve",
    "model/layers", "model/onchip", "pipeline/buildkey", "pipeline/rebuild", "model/weights/values",
    "model/weights/machine",
    "model/weights/objects", "model/weights/torchfile", "model/weights/shards", "model/weights/state",
    "model/weights/danger", "model/weights/beside", "model/weights/checkpoint", "model/weights/fit",
    "model/weights/guess", "model/weights/stated", "model/weights/trust",
)  # fmt: skip
TORCH_ALONE = ("pipeline/baseline", "model/source", "model/program", "data", "execution/eager")
# Samples stand for a user's own code.
SAMPLES = tuple(file.parent for file in PACKAGE.glob("spec/samples/*/edgekit.toml"))


def floor_of(wing: str) -> int:
    """Return the floor that a wing lies on."""
    return next(number for number, wings in enumerate(FLOORS) if wing in wings)


def place_of(path: Path) -> str:
    """Return a module's path in the package, without its ending."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def wing_of(path: Path) -> str:
    """Return the wing that a file belongs to: the first part of its path in the package."""
    return place_of(path).split("/")[0]


def files() -> list[Path]:
    """Return the package's modules, but for the samples' and the faces of the package itself."""
    found = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent not in SAMPLES]
    return [path for path in found if wing_of(path) not in ("__init__", "__main__")]


def wings() -> list[Path]:
    """Return the folders of the wings."""
    return sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


@cache
def imports_of(path: Path) -> set[str]:
    """Return the dotted names that a file imports, wherever in the file: modules, and what is taken from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "edgekit" or node.module.startswith("edgekit."):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_package_is_seen_at_a_glance() -> None:
    """At most twenty entries, and all of them have a place on a floor."""
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    entries.remove("py.typed")  # empty: type checkers look for it in this place
    assert len(entries) <= 20, sorted(entries)
    placed = {wing for floor in FLOORS for wing in floor}
    assert {wing_of(path) for path in files()} == placed
    assert len(FLOORS) <= 12


def test_wings_import_only_what_is_below() -> None:
    """Imports point downwards; siblings know nothing of each other."""
    wrong = []
    for path in files():
        wing = wing_of(path)
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] != "edgekit" or len(parts) < 2 or parts[1] in (wing, "__version__"):
                continue
            if floor_of(parts[1]) >= floor_of(wing):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_no_wing_takes_private_names_of_another() -> None:
    """A name with a leading underscore stays in its module."""
    wrong = []
    for path in files():
        for name in imports_of(path):
            private = [part for part in name.split(".")[1:] if re.match(r"_(?!_)", part)]
            if name.startswith("edgekit.") and private:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


@pytest.mark.parametrize("wing", wings(), ids=lambda path: path.name)
def test_a_wing_says_what_it_is(wing: Path) -> None:
    """In one sentence, and it hands on only what others use."""
    module = ast.parse((wing / "__init__.py").read_text(encoding="utf-8"))
    summary = (ast.get_docstring(module) or "").split("\n\n")[0]
    assert summary.endswith(".")
    assert len(summary) > 30
    handed_on = {
        element.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
        for element in getattr(node.value, "elts", [])
    }
    everywhere = [*files(), *PACKAGE.glob("__*__.py"), *ROOT.glob("tests/**/*.py")]
    outside = [path for path in everywhere if wing not in path.parents]
    texts = [path.read_text(encoding="utf-8") for path in outside]
    used = set().union(*(_taken_from(text, wing.name) for text in texts))
    assert handed_on <= used, sorted(handed_on - used)


def _taken_from(text: str, wing: str) -> set[str]:
    """Return the names that a file takes from a wing itself: ``from edgekit.x import a`` and ``x.a``."""
    taken = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == f"edgekit.{wing}":
            taken |= {alias.name for alias in node.names}
    return taken | set(re.findall(rf"\b(?:{wing}|profiles)\.(\w+)", text))


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    """The page names every wing in the order of the floors, and every file that it mentions is there."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^    ([\w.]+)(?:/|\.py)? {2,}\S", page, flags=re.MULTILINE)
    assert [name.removesuffix(".py") for name in drawn] == [
        *(wing for floor in FLOORS[:-1] for wing in floor), "cli", "api"
    ]  # fmt: skip
    line = re.search(r"^Ground first: (.*?)\.$", page, flags=re.MULTILINE | re.DOTALL)
    assert line is not None
    assert tuple(tuple(re.findall(r"`(\w+)`", floor)) for floor in line[1].split("·")) == FLOORS
    named = {place.rstrip("/") for place in re.findall(r"`([\w/]+/[\w./-]*)`", page) if "/x" not in place}
    missing = [
        name for name in sorted(named) if not any((root / name).exists() for root in (PACKAGE, ROOT, ROOT / "sdk"))
    ]
    assert not [name for name in missing if not name.startswith(("targets/NAME", "artifacts/", "scripts/", "edgekit/"))]


def test_light_modules_do_not_import_torch() -> None:
    """What the command line needs before a verb runs imports no torch and no onnx."""
    for path in files():
        if place_of(path).startswith(WITHOUT_TORCH):
            heavy = {name for name in imports_of(path) if name.split(".")[0] in ("torch", "onnx", "executorch")}
            assert not heavy, path


def test_the_baseline_needs_torch_alone() -> None:
    """A GPU server records a baseline without ExecuTorch, torchao and ONNX."""
    for path in files():
        # A model that is an ONNX file needs onnx, and is read where it is named.
        if place_of(path).startswith(TORCH_ALONE) and not place_of(path).startswith("model/programs/onnx/"):
            roots = {name.split(".")[0] for name in imports_of(path)}
            assert not roots & {"executorch", "torchao", "onnx", "onnxruntime", "onnxscript", "onnx_ir"}, path


def test_modules_are_short() -> None:
    """No module is over 300 lines, and half of them are at most 130."""
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in files())
    assert lengths[-1] <= 300
    assert lengths[len(lengths) // 2] <= 130
