"""What a verb imports: nothing heavy before it is needed."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "onnx", "onnxruntime", "executorch", "torchao", "numpy", "PIL", "jinja2"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["build", "--help"],
        ["compare", "--help"],
        ["drop", "--help"],
        ["targets", "list"],
        ["targets", "list", "--json"],
        ["cache", "show"],
    ],
)
def test_light_verbs_import_nothing_heavy(arguments: list[str]) -> None:
    """Help and the list of targets answer at once."""
    program = (
        "import sys, contextlib\n"
        "from edgekit.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    main({arguments!r})\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_verbs_stay_functions() -> None:
    """Also the one that shares its name with its module, and is asked for twice."""
    program = "import edgekit; print(*(callable(getattr(edgekit, n)) for n in ('predict', 'drop') for _ in range(2)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4


def test_verbs_that_look_at_bundles_need_no_torch() -> None:
    """Nor do their names."""
    program = "import sys, edgekit; [getattr(edgekit, n) for n in ('drop', 'inspect', 'compare', 'run', 'report')]"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not {"torch", "onnx", "onnxruntime", "executorch"} & set(done.stdout.split())


def test_looking_into_a_trace_needs_no_torch() -> None:
    """Baselines can be read where only the light dependencies are installed."""
    program = "import sys, edgekit.inspection.trace, edgekit.render.tables; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "onnxruntime", "executorch"} & set(done.stdout.split())


def test_measuring_and_comparing_drift_need_no_torch() -> None:
    """What two builds measured is compared, and traces are held against a budget, by the light dependencies."""
    program = (
        "import sys, edgekit.drift.compare, edgekit.bundles.compare, edgekit.render.changes, edgekit.render.markdown\n"
        "import edgekit.render.junit\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "onnxruntime", "executorch", "pycocotools", "jinja2"} & set(done.stdout.split())


def test_pages_need_no_torch() -> None:
    """What was measured elsewhere is shown anywhere."""
    program = "import sys, edgekit.render.page.build, edgekit.render.page.changes; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "onnxruntime", "executorch"} & set(done.stdout.split())
