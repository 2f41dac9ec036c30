"""The notebook of the documentation is run in a kernel of its own, and says what stands in it."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks take nbformat, nbclient and ipykernel")
nbclient = pytest.importorskip("nbclient", reason="notebooks take nbformat, nbclient and ipykernel")
if find_spec("ipykernel") is None:  # imported, it would make a kernel's process of this one for other libraries
    pytest.skip("notebooks take nbformat, nbclient and ipykernel", allow_module_level=True)

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(zmq|jupyter_client|nbclient|tornado)"),
    pytest.mark.filterwarnings("ignore:Kernel is running over TCP"),
]


def run(notebook: Any, folder: Path) -> Any:
    """Run a notebook in a folder, and return it with what its cells say."""
    resources = {"metadata": {"path": str(folder)}}
    return nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


def said(notebook: Any) -> Iterator[set[str]]:
    """Yield the words of what each cell prints and returns, without figures, stages and what libraries print."""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        texts = [one.text for one in outputs if one.get("name") == "stdout"]
        texts += [one.data["text/plain"] for one in outputs if one.output_type == "execute_result"]
        yield set(re.sub(r"[\d.,]+", "0", " ".join(texts)).split())


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty folder, without an error, and with the words that are kept in it; the result is also a table."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    kept = nbformat.read(NOTEBOOK, 4)
    before = list(said(kept))
    ran = run(kept, tmp_path)
    assert list(said(ran)) == before
    assert any("passed" in " ".join(words) for words in before)
    tables = [one.data.get("text/html", "") for cell in ran.cells for one in cell.get("outputs", []) if "data" in one]
    assert any(text.startswith("<table>") for text in tables)
    assert (tmp_path / "artifacts" / "bars" / "android-arm64" / "report.html").is_file()


def test_a_cell_that_fails_is_an_error(tmp_path: Path) -> None:
    """The negative twin."""
    cell = nbformat.v4.new_code_cell("import edgekit\nedgekit.inspect('gone.pte')")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="gone"):
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
