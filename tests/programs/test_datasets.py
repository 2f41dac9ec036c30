"""The data of a project: functions of its own, one set split in two, limits, and what is noted."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.base.memory import Memory
from edgekit.errors import DataError, ProjectError
from edgekit.pipeline import buildkey, datasets
from edgekit.spec import project
from edgekit.spec.project import OpenProject

DATA = """
import numpy as np, torch
from torch.utils.data import DataLoader, Dataset, TensorDataset
import beside

def rows(count=70, seed=0):
    return np.random.default_rng(seed).random((count, 1, 32, 32), dtype=np.float32), np.arange(count) % 10

def array(): return rows()[0]
def pair(): return rows()
def mapping(): return {"image": rows()[0], "labels": rows()[1]}
def tensors(): return torch.from_numpy(rows()[0]).double()
def dataset(): return TensorDataset(*map(torch.from_numpy, rows()))
def loader(): return DataLoader(dataset(), batch_size=32)
def generator():
    for start in range(0, 70, 30):
        yield tuple(part[start:start + 30] for part in rows())
def batches(): return list(generator())

class Own(Dataset):
    def __len__(self): return 70
    def __getitem__(self, row): return rows()[0][row], int(rows()[1][row])
def own(): return Own()

def number(): return 7
def none(): return None
def wrong_shape(): return np.zeros((4, 1, 8, 8), np.float32)
def wrong_class(): return rows()[0], np.full(70, 10)
def nan(): return np.full((4, 1, 32, 32), np.nan, np.float32)
def empty(): return []
def fails(): raise KeyError("no such file")
def exits(): raise SystemExit(0)
def fails_later():
    yield rows()[0]
    raise OSError("the disk is gone")
def takes(argument): return rows()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the sample beside functions that return data."""
    copy = tmp_path / "sample"
    shutil.copytree(project.SAMPLE, copy)
    (copy / "data.py").write_text(DATA)
    (copy / "beside.py").write_text("")
    return copy


def opened(folder: Path, **data: object) -> OpenProject:
    """Return the project with another ``[data]``."""
    file = folder / "edgekit.toml"
    before, _, rest = file.read_text().partition("[data]\n")
    _, bracket, after = rest.partition("\n[")
    lines = "".join(
        f"{key} = {str(value) if isinstance(value, int | float) else repr(value)}\n" for key, value in data.items()
    )
    file.write_text(f"{before}[data]\n{lines}{bracket}{after}")
    return project.load(folder)


@pytest.mark.parametrize(
    "name", ["array", "pair", "mapping", "tensors", "dataset", "loader", "generator", "batches", "own"]
)
def test_functions_of_the_project(folder: Path, name: str) -> None:
    """Whatever the function returns, it becomes the same samples; such a build is never taken from the cache."""
    one = opened(folder, calibration="calibration.npz", evaluation=f"data.py:{name}")
    found = datasets.of_project(one, Memory())
    expected = np.random.default_rng(0).random((70, 1, 32, 32), dtype=np.float32)
    np.testing.assert_array_equal(found.evaluation.array("image"), expected)
    assert (found.evaluation.labels is None) == (name in ("array", "tensors"))
    assert datasets.evaluation_of(one, Memory()).digest == found.evaluation.digest
    assert buildkey.of_files(one) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("number", "is a int, which holds no batches"),
        ("none", "is a NoneType"),
        ("wrong_shape", "image has shape (4, 1, 8, 8)"),
        ("wrong_class", "has the class 10; there are 10"),
        ("nan", "image contains NaN"),
        ("empty", "is empty"),
        ("fails", "data.py:31 failed: KeyError: 'no such file'"),
        ("exits", "sys.exit(0) was called, which would end EdgeKit itself"),
        ("fails_later", "failed: OSError: the disk is gone"),
        ("takes", "missing 1 required positional argument"),
        ("arrays", "has no function arrays; did you mean array?"),
    ],
)
def test_wrong_functions_are_refused(folder: Path, name: str, expected: str) -> None:
    """With the place in the person's own code where there is one."""
    one = opened(folder, calibration=f"data.py:{name}", evaluation="evaluation.npz")
    with pytest.raises(DataError) as caught:
        datasets.of_project(one, Memory())
    assert expected in caught.value.message
    assert caught.value.hint


def test_one_set_is_split(folder: Path) -> None:
    """By one line; nothing is on both sides; the baseline has the same samples; the seed is in the key."""
    keys = set()
    for seed in (0, 1):
        one = opened(folder, source="evaluation.npz", split=0.25, seed=seed)
        found = datasets.of_project(one, Memory())
        assert (len(found.calibration), len(found.evaluation)) == (448, 149)
        assert not {*found.calibration.contents} & {*found.evaluation.contents}
        assert any("448 samples are for calibration and 149" in note for note in found.notes)
        assert datasets.evaluation_of(one, Memory()).digest == found.evaluation.digest
        keys.add(buildkey.of_files(one))
    assert len(keys) == 2
    function = datasets.of_project(opened(folder, source="data.py:pair", limit=30), Memory())
    assert (len(function.calibration), len(function.evaluation)) == (30, 14)


def test_a_limit(folder: Path) -> None:
    """Both sets have so many samples at most; samples that are in both are told."""
    one = opened(folder, calibration="evaluation.npz", evaluation="evaluation.npz", limit=100)
    found = datasets.of_project(one, Memory())
    assert (len(found.calibration), len(found.evaluation)) == (100, 100)
    assert found.notes == ("100 of 100 evaluation samples are calibration samples, too: drift may be more on others.",)


def test_a_table_and_what_it_names_are_in_the_key(folder: Path) -> None:
    """A picture outside of the project that a table names changes the key."""
    (folder.parent / "p.bin").write_bytes(b"1")
    (folder / "t.csv").write_text("path\n../p.bin\n")
    one = opened(folder, calibration="t.csv", evaluation="evaluation.npz")
    before = buildkey.of_files(one)
    (folder.parent / "p.bin").write_bytes(b"2")
    assert before != buildkey.of_files(one)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"calibration": "calibration.npz"}, "evaluation is missing; or name one set, source"),
        ({"source": "evaluation.npz", "evaluation": "evaluation.npz"}, "name it alone"),
        ({"calibration": "calibration.npz", "evaluation": "evaluation.npz", "split": 0.5}, "only what source names"),
        ({"source": "evaluation.npz", "split": 1.0}, "data.split"),
        ({"source": "evaluation.npz", "group": "("}, "no regular expression"),
        ({"source": "evaluation.npz", "limit": 0}, "data.limit"),
        ({"source": "evaluatio.npz"}, "did you mean evaluation.npz?"),
        ({"source": "dat.py:pair"}, "did you mean data.py?"),
    ],
)
def test_wrong_tables_of_data_are_refused(folder: Path, data: dict[str, object], expected: str) -> None:
    """While the project is read."""
    with pytest.raises(ProjectError) as caught:
        opened(folder, **data)
    assert expected in caught.value.message
