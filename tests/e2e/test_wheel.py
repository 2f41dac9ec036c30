"""The wheel holds all that a build needs: profiles, sample, schema."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; its failure is the test's."""
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("edgekit-*.whl"))


def test_the_wheel_holds_the_data(wheel: Path) -> None:
    """Target profiles, the sample, the schema and the parts of pages are inside; tests and scripts are not."""
    names = zipfile.ZipFile(wheel).namelist()
    profiles = {f"edgekit/profiles/{path.name}" for path in (ROOT / "targets").glob("*.toml")}
    assert len(profiles) >= 6
    assert profiles <= set(names)
    sample = ("edgekit.toml", "model.py", "weights.safetensors", "calibration.npz", "evaluation.npz", "baseline.npz")
    assert {f"edgekit/spec/samples/digits/{name}" for name in sample} <= set(names)
    for name in ("efficientnet_lite0", "minilm"):
        assert {f"edgekit/spec/samples/{name}/{file}" for file in ("edgekit.toml", "model.py")} <= set(names)
    assert "edgekit/bundles/schemas/manifest-1.json" in names
    runtimes = "edgekit/targets/runtimes"
    lists = {f"{runtimes}/{path.name}" for path in (ROOT / "sdk" / runtimes).glob("*.[jt]*")}
    assert len(lists) == 8  # two runtimes on three platforms, ONNX Runtime in browsers, and the pins
    assert lists <= set(names)
    page = ROOT / "sdk" / "edgekit" / "render" / "page"
    parts = {f"edgekit/render/page/{path.relative_to(page)}" for path in page.rglob("*.*") if path.suffix != ".pyc"}
    assert {Path(part).suffix for part in parts} == {".py", ".jinja", ".css", ".js"}
    assert parts <= set(names)
    program = ROOT / "sdk" / "edgekit" / "apps" / "native" / "source"
    assert {f"edgekit/apps/native/source/{path.name}" for path in program.iterdir()} <= set(names)
    assert "edgekit/apps/native/source/edgekit.h" in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "targets/"))]


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that never saw the repository, with the wheel installed.

    The libraries are those that are here already; a path file lends them to the new environment, where the editable
    install of the repository is not seen. That the wheel's own list of dependencies suffices is shown by
    ``scripts/edgekit``, which installs from it.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    (site_of(home) / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return home


def site_of(home: Path) -> Path:
    """Return where an environment keeps what is installed."""
    print_it = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run(home / "bin" / "python", "-c", print_it, cwd=home).strip())


CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

TYPED = """
from pathlib import Path

import edgekit
import torch
from edgekit.spec import QuantSpec, Scheme

model, data = torch.nn.Linear(4, 2), torch.zeros(8, 4)
result = edgekit.build(
    model, data[:1], target="linux-x86_64", calibration=data, output=Path("out"),
    quantization=QuantSpec(scheme=Scheme.INT8),
)
digest: str = result.bundles[0].manifest.artifacts[0].sha256
captured = edgekit.capture(model, data[:1])
size: int = len(edgekit.lower(edgekit.quantize(captured, data), target="linux-x86_64", format="pte").data)
"""


def test_a_script_is_type_checked_against_the_installed_wheel(home: Path, tmp_path: Path) -> None:
    """The wheel says that it is typed: what is right passes strictly, and a wrong type is found."""
    script, wrong = tmp_path / "script.py", tmp_path / "wrong.py"
    script.write_text(TYPED)
    wrong.write_text(TYPED.replace("digest: str", "digest: int"))
    checker = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(home / "bin" / "python")]
    settings = ["--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache")]
    done = [
        subprocess.run(
            [*checker, *settings, str(file)], capture_output=True, text=True, cwd=tmp_path, check=False, env=CLEAN
        )
        for file in (script, wrong)
    ]
    assert done[0].returncode == 0, done[0].stdout
    assert done[1].returncode == 1
    assert "wrong.py" in done[1].stdout
    assert "[assignment]" in done[1].stdout


def test_the_wheel_builds_the_sample_outside_the_repository(home: Path, tmp_path: Path) -> None:
    """Installed in an environment that never saw the repository, the package builds the sample."""
    python, site, elsewhere, clean = home / "bin" / "python", site_of(home), tmp_path, CLEAN
    where = run(python, "-c", "import edgekit; print(edgekit.__file__)", cwd=elsewhere, environment=clean).strip()
    assert where.startswith(str(site))
    run(home / "bin" / "edgekit", "build", "--target", "ios-arm64", "--no-cache", cwd=elsewhere, environment=clean)
    assert (elsewhere / "artifacts" / "digits" / "ios-arm64" / "report.html").is_file()
