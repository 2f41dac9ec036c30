"""Prove a lowered file as an app would use it: fresh loads, every order of batches and lengths, one thread and four.

What a row gets must not depend on what was asked before, on what stands beside it, or on how many samples there are to
try it with. Every answer is held against that of a load that has seen nothing else, and the whole against the program.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.data.rows import Array, Rows, chunks
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.drift.pairs import mean_of_rows
from edgekit.drift.statistics import Doubles
from edgekit.errors import RunError, SourceError
from edgekit.execution import orders
from edgekit.execution.artifact import OpenArtifact, open_artifact
from edgekit.execution.steady import shares_range
from edgekit.model.artifact import Artifact
from edgekit.model.program import Source
from edgekit.spec import Cpu, Dimension, Format, Scheme, TensorSpec

# Answers to the same row may differ by float rounding that tips an int8 step, not by more: in dB, of all rows. Where
# the steps are wide against what varies, as behind a mean, a few that tip cost as much as quantization did.
_SAME_DB = 30.0
_TIPPED_DB = 15.0
_SAME_FLOAT_DB = 50.0
# ONNX quantizes a dynamic activation with one range for all samples of the batch: what else is in it counts.
_SAME_RANGE_DB = 20.0
# A single row may be off by more than all together.
_ROW_DB = 10.0
# An output that hardly varies is measured by its size: a share of the largest value.
_LEAST_SHARE = 1 / 16
# Of integers and truth values, the share that must be equal.
_SAME_SHARE = 0.95
# An artifact may be further from its program than from itself: its kernels round elsewhere, layer by layer. It computes
# something else when that noise is below this, and ten times what quantization cost.
_PROGRAM_DB = 20.0
_TIMES_DB = 10.0
# A model that chooses, experts or places of the largest values, chooses otherwise for a few rows where two are nearly
# alike. The drift of the whole says what that costs; another computation is one that hardly any row survives.
_FEW_ROWS = 1 / 8
_THREADS = {Format.PTE: (None,), Format.ONNX: (1, 4)}
# ExecuTorch's one pool of threads cannot be replaced while somebody else in the process holds a method.
Program = Callable[[Samples], Mapping[str, Rows]]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far answers to the same rows may be apart."""

    ratio_db: float

    def excess(self, expected: Rows, got: Rows, *, are_amounts: bool = False) -> str | None:
        """Say how the answers differ that should be the same, or None where they do not.

        Args:
            expected: Shape (rows, ...).
            got: The same; of another shape it differs.
            are_amounts: Whether integers may be near, as floats may; else they are the same or are not.
        """
        if expected.shape != got.shape:
            return f"has shape {got.shape} in place of {expected.shape}"
        if not are_amounts and not np.issubdtype(expected.dtype, np.floating):
            same = sum(int((part == got[rows]).sum()) for rows, part in chunks(expected)) / max(expected.size, 1)
            return None if same >= _SAME_SHARE or not expected.size else f"differs in {1 - same:.0%} of its values"
        errors = [_error(part, got[rows]) for rows, part in chunks(expected)]
        rows, worst = (np.concatenate([one[place] for one in errors]) for place in (0, 1))
        allowed = _energy(expected) * 10 ** (-self.ratio_db / 10)
        if rows.mean() <= allowed and rows.max() <= allowed * 10 ** (_ROW_DB / 10):  # false for NaN, too
            return None
        return f"is off by up to {worst.max():.4g}, row {int(np.argmax(rows))} most"


def _error(expected: Array, got: Array) -> tuple[Doubles, Doubles]:
    """Return the mean square and the largest error of each row."""
    wanted, found = expected.astype(np.float64), got.astype(np.float64)
    error = np.subtract(wanted, found, out=np.zeros_like(wanted), where=wanted != found)  # infinity may be right
    flat = np.abs(error.reshape(len(error), -1))
    return np.square(flat).mean(axis=1), flat.max(axis=1)


def _energy(values: Rows) -> float:
    """Return the mean square of what varies from row to row, and no less than that of a share of the largest value."""

    def parts() -> Iterator[Doubles]:
        for _, part in chunks(values):
            yield np.where(np.isfinite(part), part, 0.0).astype(np.float64)

    mean = mean_of_rows(parts())
    seen = [(np.square(part - mean).reshape(len(part), -1).mean(axis=1), np.abs(part).max()) for part in parts()]
    varying = float(np.concatenate([rows for rows, _ in seen]).mean())
    return max(varying, float(np.square(max(most for _, most in seen) * _LEAST_SHARE)))


def prove(
    artifact: Artifact,
    source: Source,
    samples: Samples,
    cpu: Cpu,
    program: Program,
    costs: Mapping[str, float] | None = None,
) -> None:
    """Run a file in the orders of `orders`, on fresh loads, and hold every answer against that of a call by itself.

    Args:
        artifact: The file.
        source: The model that it was made from.
        samples: What to feed it: any number.
        cpu: The processor family of the target.
        program: Computes the program that the file was lowered from, for the samples cut off or repeated along symbolic
            dimensions.
        costs: What `quantization_db` returns; None: steps are narrow.

    Raises:
        RunError: If it does not load or run, or if a row gets another answer than by itself.
    """
    tolerances = _tolerances(artifact, source, costs or {})
    batch = orders.batch_sizes(source)
    rows = orders.few(samples, batch)

    def load(threads: int | None = None) -> OpenArtifact:
        return open_artifact(artifact.format, artifact.data, cpu, source.inputs, source.outputs, threads=threads)

    alone = load(_THREADS[artifact.format][0]).run(rows, batch.least)
    tests = orders.orders(batch)
    kinds = _THREADS[artifact.format]
    for number in range(max(len(tests), len(kinds))):
        threads = kinds[number % len(kinds)]
        _run_order(artifact.file, load(threads), tests[number % len(tests)], rows, alone, tolerances, threads)
    if sizes := orders.lengths(source):
        _prove_lengths(artifact.file, source, rows, sizes, load, tolerances, program)


def _tolerances(artifact: Artifact, source: Source, costs: Mapping[str, float]) -> dict[str, Tolerance]:
    """Return how far answers to the same rows may be apart, for each output."""
    scheme = artifact.scheme
    db = _SAME_FLOAT_DB if scheme is Scheme.FLOAT else _SAME_DB
    ratio = _SAME_RANGE_DB if shares_range(artifact.format, scheme) else db
    return {
        spec.name: Tolerance(ratio_db=min(ratio, max(costs.get(spec.name, ratio), _TIPPED_DB)))
        for spec in source.outputs
    }


def _run_order(
    file: str,
    opened: OpenArtifact,
    order: tuple[int, ...],
    rows: Samples,
    alone: Mapping[str, Rows],
    tolerances: Mapping[str, Tolerance],
    threads: int | None,
) -> None:
    for number, size in enumerate(order):
        taken = (np.arange(size) + number) % len(rows)
        for name, got in opened.run(rows.rows(taken), size).items():
            if what := tolerances[name].excess(alone[name][taken], got):
                before = f" after {', '.join(map(str, order[:number]))}" if number else ""
                raise RunError(
                    f"{file} gives other answers at batch {size}{before} than for each sample by itself"
                    f"{f', with {threads} threads' if threads else ''}: {name} {what}.",
                    hint="The model may mix the samples of a batch. Otherwise fix the batch, [dimensions] batch = 1 or "
                    'max_batch=1, or leave the format out: formats = ["onnx"] or ["pte"].',
                )


def _prove_lengths(
    file: str,
    source: Source,
    rows: Samples,
    sizes: Mapping[str, Dimension],
    load: Callable[[], OpenArtifact],
    tolerances: Mapping[str, Tolerance],
    program: Program,
) -> None:
    """Run one load with lengths that grow and shrink, against fresh loads and against the program."""
    batch = orders.batch_sizes(source)
    steps = [
        {name: orders.middle(size) for name, size in sizes.items()},
        {name: size.max for name, size in sizes.items()},
        *({**{other: one.max for other, one in sizes.items()}, name: size.least} for name, size in sizes.items()),
        {name: orders.middle(size) for name, size in sizes.items()},
    ]
    opened, amounts, refused = load(), _amounts(source.outputs), 0
    for step in steps:
        part = orders.at_length(rows, source.inputs, step)
        where = ", ".join(f"{name} {size}" for name, size in step.items())
        try:
            computed = program(part)
        except SourceError as error:  # the range is wider than what the model computes
            refused += 1
            if refused == len(steps):
                raise RunError(
                    f"{source.name} computes none of the sizes that were tried for {', '.join(sizes)}, {where} for "
                    f"instance, though they are within the ranges given: {error.message}",
                    hint="Fix these dimensions: give them as numbers in [[inputs]].shape.",
                ) from error
            continue
        alone, got = load().run(part, batch.least), opened.run(part, batch.least)
        for name, expected in alone.items():
            if what := tolerances[name].excess(expected, got[name]):
                raise RunError(
                    f"{file} gives other answers at {where} after other sizes: {name} {what}.",
                    hint="Fix these dimensions: give them as numbers in [[inputs]].shape.",
                )
            nearer = Tolerance(ratio_db=_PROGRAM_DB - _TIMES_DB)
            if what := nearer.excess(computed[name], expected, are_amounts=name in amounts):
                raise RunError(
                    f"{file} computes something else than its program at {where}: {name} {what}.",
                    hint="Fix these dimensions: give them as numbers in [[inputs]].shape.",
                )


def try_out(artifact: Artifact, source: Source, samples: Samples, cpu: Cpu) -> None:
    """Load a file and run it on few and on many samples: whether it runs at all.

    Raises:
        RunError: If it does not load or run.
    """
    batch = orders.batch_sizes(source)
    rows = orders.few(samples, batch)
    opened = open_artifact(artifact.format, artifact.data, cpu, source.inputs, source.outputs)
    for size in dict.fromkeys((batch.least, batch.max)):
        opened.run(rows.rows(np.arange(size) % len(rows)), size)


def hold_against_program(
    file: str, found: Trace, program: Trace, float_model: Trace, outputs: tuple[TensorSpec, ...] = ()
) -> None:
    """Make sure that an artifact computes its program, to rounding.

    Args:
        file: The artifact's name.
        found: Its answers.
        program: Those of the program that it was lowered from, for the same samples.
        float_model: Those of the model.
        outputs: What they mean: integers that are amounts may be some steps off.

    Raises:
        RunError: If it is clearly further from its program than the program is from the model.
    """
    amounts = _amounts(outputs)
    for name, expected in program.outputs.items():
        are_amounts = name in amounts or np.issubdtype(expected.dtype, np.floating)
        what = Tolerance(ratio_db=_PROGRAM_DB).excess(expected, found.outputs[name], are_amounts=are_amounts)
        if what is None:
            continue
        if found.outputs[name].shape == expected.shape:
            measured, times = (_noise, 10 ** (_TIMES_DB / 10)) if are_amounts else (_share_apart, 1.0)
            cost, noise = (measured(expected, one.outputs[name]) for one in (float_model, found))
            if noise <= cost * times or (are_amounts and _only_few_differ(expected, found.outputs[name])):
                continue
        raise RunError(
            f"{file} computes something else than the program that it was lowered from: {name} {what}.",
            hint="Keep the layers in float that it comes from, [quantize] float_layers, or leave the format out; the "
            "other format can be built alone: formats = [...].",
        )


def _only_few_differ(expected: Rows, got: Rows) -> bool:
    """Whether all but a few rows are as near as rounding leaves them, and none is no number."""
    errors = np.sort(np.concatenate([_error(part, got[rows])[0] for rows, part in chunks(expected)]))
    near = errors[: len(errors) - int(len(errors) * _FEW_ROWS)]
    return bool(np.isfinite(errors).all() and near.mean() <= _energy(expected) * 10 ** (-_PROGRAM_DB / 10))


def quantization_db(program: Mapping[str, Rows], float_model: Mapping[str, Rows]) -> dict[str, float]:
    """Return how far quantization took the float outputs of a program from the model: SQNR of what varies, in dB.

    Args:
        program: The program's answers, by output.
        float_model: The model's, for the same samples.
    """
    found = {}
    for name, expected in float_model.items():
        if np.issubdtype(expected.dtype, np.floating) and expected.shape == program[name].shape:
            noise = _noise(expected, program[name])
            if noise > 0:  # false for NaN, too
                found[name] = 10 * float(np.log10(_energy(expected) / noise))
    return found


def _noise(expected: Rows, got: Rows) -> float:
    """Return the mean square of the difference."""
    squares = (np.square(got[rows].astype(np.float64) - part) for rows, part in chunks(expected))
    return float(np.concatenate([one.reshape(len(one), -1).mean(axis=1) for one in squares]).mean())


def _share_apart(expected: Rows, got: Rows) -> float:
    """Return the share of values that differ; the places of what rounding made equal are others in each runtime."""
    return sum(int((part != got[rows]).sum()) for rows, part in chunks(expected)) / max(expected.size, 1)


def _amounts(outputs: tuple[TensorSpec, ...]) -> set[str]:
    """Return the names of outputs that are near where they are close."""
    return {spec.name for spec in outputs if not spec.is_counted}
