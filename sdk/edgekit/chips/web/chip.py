"""Run an .onnx in ONNX Runtime's WebAssembly, by Node.js, and put a page beside it that runs it in a browser."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import lowering
from edgekit.base import digest
from edgekit.base.versions import installed
from edgekit.chips import cpu
from edgekit.chips.chip import Chip, Copy, Trial, Tried
from edgekit.chips.measure import measured, not_executed
from edgekit.chips.simulator import Simulator, start
from edgekit.chips.web.library import PACKAGE, Library, find
from edgekit.data.rows import Rows, at_once, cuts
from edgekit.data.trace import Trace
from edgekit.drift.metrics import is_counted, sqnr_db
from edgekit.errors import RunError
from edgekit.execution import artifact as runs
from edgekit.execution.calls import Call
from edgekit.model.narrow import source_with_batch
from edgekit.model.onchip import Beside, Executed, OnChip
from edgekit.spec import Format

FOLDER = "web"
"""The folder of a bundle that the page is in."""
_HERE = Path(__file__).parent
_PAGE = ("index.html", "page.css", "page.js", "picture.js", "preprocess.js", "runtime.js", "selftest.js")
_NEAR_DB = 100
_FIGURE = "db_from_onnxruntime_cpu"
_NEAR = f"samples_within_{_NEAR_DB}_db"


def run(trial: Trial) -> Tried:
    """Run an .onnx in the library that a browser loads, on all samples there is time for.

    Raises:
        CompatibilityError: If the version that the target pins lacks something that the file needs.
        RunError: If the library refuses it, or it computes something else than its program.
    """
    artifact, pinned = trial.artifact, trial.target.runtimes.get(PACKAGE)
    lacking = cpu.compatible(artifact, trial.target, trial.quantized)
    page = page_files()
    beside = tuple(Beside(file=file, sha256=digest.of_bytes(data), bytes=len(data)) for file, data in page.items())
    library = f"the target pins no {PACKAGE}" if pinned is None else find(pinned)
    if isinstance(library, str):
        tried = not_executed(trial, "web", library, beside)
        return replace(tried, files=page, notes=(*lacking, *tried.notes))
    answers, named = _in_node(trial, library)
    told = OnChip(
        chip="web",
        executed=Executed.HOST,
        library=named,
        samples=len(answers),
        figures=_figures(trial, answers),
        page=beside,
    )
    return Tried(answers=answers, on_chip=told, batches=(trial.source.batch or 1,), files=page, notes=lacking)


def page_files() -> dict[str, bytes]:
    """Return the page that loads a bundle in a browser, by path within the bundle."""
    return {f"{FOLDER}/{name}": (files("edgekit.chips.web") / "page" / name).read_bytes() for name in _PAGE}


def _in_node(trial: Trial, library: Library) -> tuple[Trace, str]:
    """Run the samples, and name what ran them."""
    source = source_with_batch(trial.source, trial.artifact.batch)
    copy = Copy(data=trial.artifact.data, outputs=source.outputs, source=source, target=trial.target)
    process = _started(copy, library)
    versions = {PACKAGE: trial.target.runtimes[PACKAGE], "node": library.node_version, **installed("numpy")}
    return measured(trial, process.call, process.title, versions), process.title


def opened(copy: Copy) -> Call:
    """Load a copy in the library that a browser loads.

    Raises:
        RunError: If the library is not here, or refuses it.
    """
    pinned = copy.target.runtimes.get(PACKAGE)
    library = f"the target pins no {PACKAGE}" if pinned is None else find(pinned)
    if isinstance(library, str):
        raise RunError(f"{copy.target.name} cannot be run: {library}", hint="See docs/web.md.")
    return _started(copy, library).call


def _started(copy: Copy, library: Library) -> Simulator:
    return start(
        f"{PACKAGE} {copy.target.runtimes[PACKAGE]} WASM in Node.js {library.node_version}",
        str(_HERE / "runner.mjs"),
        copy.data,
        {"outputs": [spec.name for spec in copy.outputs]},
        copy.outputs,
        program=(library.node,),
        arguments=(str(library.folder),),
    )


def _figures(trial: Trial, answers: Trace) -> dict[str, float]:
    """Return how far the answers are from those of ONNX Runtime's kernels for processors, and how many are near.

    What is computed in float between integers is added up in another order, some 140 dB away; where a value then tips
    to the next step, that sample is as far off as a step is.
    """
    artifact, samples = trial.artifact, trial.samples.rows(slice(0, len(answers)))
    source = source_with_batch(trial.source, artifact.batch)
    sizes = (source.batch or 1,)
    _, expected = runs.answers(artifact, source, samples, cpu=trial.target.cpu, sizes=sizes, memory=trial.memory)
    pairs = [(rows, answers.outputs[name]) for name, rows in expected.outputs.items() if not is_counted(rows)]
    ratios = [ratio for ratio in (sqnr_db(*pair) for pair in pairs) if ratio is not None]
    near = sum(int(one.sum()) for one in _near(pairs, len(answers)))
    return {**({_FIGURE: min(ratios)} if ratios else {}), _NEAR: near}


def _near(pairs: list[tuple[Rows, Rows]], count: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield for some samples at a time whether their outputs are as near as another order of sums leaves them."""
    for rows in cuts(count, min((at_once(one.shape) for one, _ in pairs), default=count)):
        found = np.ones(rows.stop - rows.start, dtype=np.bool_)
        for one, other in pairs:
            expected = one[rows].astype(np.float64).reshape(len(found), -1)
            error = expected - other[rows].astype(np.float64).reshape(len(found), -1)
            found &= (error**2).sum(axis=1) * 10 ** (_NEAR_DB / 10) <= (expected**2).sum(axis=1)
        yield found


CHIP = Chip(
    title="web browser", name_of=lowering.name, lower=cpu.lower, run=run, open=opened, formats=frozenset({Format.ONNX})
)
