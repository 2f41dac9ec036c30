"""The floors of the house: a room imports only what is below it, and siblings do not import each other."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "sdk" / "edgekit"

# Ground floor first. Rooms on one line are siblings.
FLOORS = (
    ("version", "errors", "values"),
    ("budget",),
    ("versions", "spec", "digest", "progress", "probes", "requirements", "tools"),
    ("schema", "schemes", "samples", "artifact", "cache", "limits"),
    ("runtimes",),
    ("targets", "project", "trace", "preprocess", "postprocess", "truth", "usercode"),
    ("data", "drift", "program", "scaffold", "doctor", "buildkey"),
    ("layers",),
    ("manifest", "profile", "deviceprofile", "graph", "atomic"),
    ("source", "capture", "quantize", "lower", "run", "bundle", "golden", "fingerprint", "timing"),
    ("job", "result", "inspect", "changes"),
    ("legs", "baseline", "comparison", "predict", "lowering", "apps", "device"),
    ("fallback", "render"),
    ("pipeline", "profiling", "phone"),
    ("rebuild",),
    ("api",),
    ("cli",),
    ("__main__",),
)
# Rooms that must stay light: `edgekit targets list` and a GPU server without ExecuTorch load them.
WITHOUT_TORCH = (
    "errors", "values", "budget", "spec", "schema", "schemes", "targets", "project", "manifest", "drift", "trace",
    "samples", "digest", "cache", "buildkey", "bundle", "result", "rebuild", "truth", "usercode", "limits", "changes",
    "layers", "profile", "apps", "runtimes", "golden", "device", "deviceprofile", "phone", "timing",
)  # fmt: skip
TORCH_ALONE = ("baseline", "source", "program", "data", "run/eager")


def floor_of(room: str) -> int:
    """Return the floor that a room lies on."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(path: Path) -> set[str]:
    """Return the dotted names of the modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "edgekit" or node.module.startswith("edgekit."):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    """Return the room that a file belongs to: the first part of its path in the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files() -> list[Path]:
    """Return the package's modules, but for the sample's, which stands for a user's own code."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) not in ("sample", "__init__")]


def test_every_room_has_a_floor() -> None:
    """A new room must be given its place."""
    rooms = {room_of(path) for path in files()}
    assert rooms == {room for floor in FLOORS for room in floor}


def test_rooms_import_only_what_is_below() -> None:
    """Imports point downwards; siblings know nothing of each other."""
    rooms = {room for floor in FLOORS for room in floor}
    wrong = []
    for path in files():
        room = room_of(path)
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] != "edgekit" or len(parts) < 2 or parts[1] not in rooms or parts[1] == room:
                continue
            if floor_of(parts[1]) >= floor_of(room):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_light_rooms_do_not_import_torch() -> None:
    """What the command line needs before a verb runs imports no torch and no onnx."""
    for path in files():
        if room_of(path) in WITHOUT_TORCH:
            heavy = {name for name in imports_of(path) if name.split(".")[0] in ("torch", "onnx", "executorch")}
            assert not heavy, path


def test_the_baseline_needs_torch_alone() -> None:
    """A GPU server records a baseline without ExecuTorch, torchao and ONNX."""
    for path in files():
        place = str(path.relative_to(PACKAGE).with_suffix(""))
        if place.startswith(TORCH_ALONE):
            roots = {name.split(".")[0] for name in imports_of(path)}
            assert not roots & {"executorch", "torchao", "onnx", "onnxruntime", "onnxscript", "onnx_ir"}, path


def test_modules_are_short() -> None:
    """No module is over 400 lines, and half of them are under 150."""
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in files())
    assert lengths[-1] <= 400
    assert lengths[len(lengths) // 2] <= 150
