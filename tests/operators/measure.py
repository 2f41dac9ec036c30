"""Build one row of the matrix as a user would, and measure the files from outside with their own runtimes."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from executorch.runtime import Runtime
from onnxruntime.quantization import QuantType
from torch import Tensor

import edgekit
from edgekit.bundles.manifest import ArtifactInfo
from edgekit.errors import EdgeKitError
from tests.operators import stock
from tests.operators.rows import Row

Values = npt.NDArray[np.float64]
Computes = Literal["int8", "partly int8", "float", "refused"]
Batch = Literal["fixed", "symbolic"]
_SAMPLES, _HELD_OUT = 48, 16
# The batch is drawn by these, on one load: it grows and shrinks.
_ORDER = (1, 3, 8, 2, 16)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one format made of a row."""

    computes: Computes
    sqnr_db: float | None
    """Of the varying part of the output, against float; None: identical, or no file."""
    delegated: float
    """Share of the operations that delegates take."""
    outside: tuple[str, ...]
    """Operations outside of the delegate, each with its module."""
    says: str
    """The refusal, with its hint; else what the report notes of this format."""
    any_batch: bool = True
    """Whether it takes any number of samples up to the largest, where that is asked for."""


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What the stock recipe of a format makes of a row: the best of its variants."""

    sqnr_db: float | None
    """As in `Found`; None: there is no file that runs."""
    says: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One row with one kind of batch."""

    row: str
    group: str
    batch: Batch
    formats: dict[str, Found]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def measure(row: Row, batch: Batch, folder: Path) -> Measured:
    """Build both formats of a row, and hold the files against the float model.

    A row whose build fails is tried again a format at a time.

    Args:
        row: The row.
        batch: Whether the batch is fixed to one sample, or may be up to sixteen.
        folder: Where to build.
    """
    began = time.process_time()
    model, data = network(row)
    formats = _build(model, data, batch, folder, ("pte", "onnx"))
    if any(found.computes == "refused" for found in formats.values()):
        formats |= {one: _build(model, data, batch, folder / one, (one,))[one] for one in formats}
    return Measured(
        row=row.name, group=row.group, batch=batch, formats=formats, seconds=round(time.process_time() - began, 1)
    )


def measure_stock(row: Row, folder: Path, draw: int = 0) -> dict[str, Stock]:
    """Build a row by the stock recipes, with a batch of one, and measure in the same way."""
    model, data = network(row, draw)
    fit, held = [tensor[:_SAMPLES] for tensor in data], [tensor[_SAMPLES:] for tensor in data]
    with torch.no_grad():
        reference = _flat(model(*held))
    recipes: dict[str, list[Callable[[Path], None]]] = {
        "pte": [lambda place: stock.pte(model, fit, place)],
        "onnx": [
            lambda place: stock.onnx(model, fit, place, QuantType.QInt8),
            lambda place: stock.onnx(model, fit, place, QuantType.QUInt8),
        ],
    }
    return {format: _best(format, variants, reference, held, folder) for format, variants in recipes.items()}


def measure_draw(row: Row, draw: int, folder: Path) -> dict[str, float]:
    """Return by how many dB other weights and samples of a row are above the best stock recipe, with a batch of one.

    Args:
        row: The row.
        draw: Which weights and samples; 0 are those of `measure`.
        folder: Where to build.

    Returns:
        The difference for each format of which both files are there and not equal to the float model.
    """
    model, data = network(row, draw)
    ours, recipes = _build(model, data, "fixed", folder, ("pte", "onnx")), measure_stock(row, folder, draw)
    pairs = {format: (one.sqnr_db, recipes[format].sqnr_db) for format, one in ours.items()}
    return {
        format: round(one - other, 2) for format, (one, other) in pairs.items() if one is not None and other is not None
    }


def _best(
    format: str, variants: list[Callable[[Path], None]], reference: list[Values], held: list[Tensor], folder: Path
) -> Stock:
    best = Stock(sqnr_db=None, says="")
    for number, build in enumerate(variants):
        place = folder / f"stock-{format}-{number}"
        place.mkdir(parents=True)
        try:
            build(place)
            answers = (_pte if format == "pte" else _onnx)(place, held, (1,))
        except Exception as error:  # whatever a library raises: the recipe has no file
            best = replace(best, says=best.says or f"{type(error).__name__}: {str(error).strip()[:200]}")
            continue
        ratios = [_varying_db(one, other) for one, other in zip(reference, answers, strict=True)]
        ratio = min((one for one in ratios if one is not None), default=999.0)
        if best.sqnr_db is None or ratio > best.sqnr_db:
            best = Stock(sqnr_db=round(ratio, 2), says="")
    return best


def network(row: Row, draw: int = 0) -> tuple[torch.nn.Module, tuple[Tensor, ...]]:
    """Return the network of a row in eval mode, and its samples; each draw has other weights and samples."""
    torch.manual_seed(draw)
    model = row.make().eval()
    generator = torch.Generator().manual_seed(draw + 1)
    count = _SAMPLES + _HELD_OUT
    if row.tokens:
        return model, tuple(torch.randint(0, row.tokens, (count, *shape), generator=generator) for shape in row.shapes)
    return model, tuple(torch.randn(count, *shape, generator=generator) for shape in row.shapes)


def _build(
    model: torch.nn.Module, data: tuple[Tensor, ...], batch: Batch, folder: Path, formats: tuple[str, ...]
) -> dict[str, Found]:
    fit, held = ([tensor[:_SAMPLES] for tensor in data], [tensor[_SAMPLES:] for tensor in data])
    try:
        result = edgekit.build(
            model,
            [tensor[:1] for tensor in data],
            target="linux-x86_64",
            calibration=[tuple(fit)],
            evaluation=[tuple(held)],
            output=folder,
            name="row",
            formats=formats,
            max_batch=1 if batch == "fixed" else 16,
            cache=False,
        )
    except EdgeKitError as error:
        says = f"{type(error).__name__}: {error.message} | {error.hint}"
        refused = Found(computes="refused", sqnr_db=None, delegated=0.0, outside=(), says=says)
        return dict.fromkeys(formats, refused)
    built = result.bundles[0]
    with torch.no_grad():
        reference = _flat(model(*held))
    found = {}
    for info in built.manifest.artifacts:
        order = (1,) if batch == "fixed" or max(info.verified_batches) == 1 else _ORDER
        run = _pte if info.format == "pte" else _onnx
        ratios = [_varying_db(one, other) for one, other in zip(reference, run(built.folder, held, order), strict=True)]
        known = [ratio for ratio in ratios if ratio is not None]
        found[str(info.format)] = Found(
            computes=_computes(info),
            sqnr_db=round(min(known), 2) if known else None,
            delegated=round(info.delegated_fraction, 3),
            outside=info.not_delegated,
            any_batch=batch == "fixed" or max(info.verified_batches) > 1,
            says=" ".join(note for note in built.manifest.drift.notes if info.file in note),
        )
    missing = Found(
        computes="refused", sqnr_db=None, delegated=0.0, outside=(), says="; ".join(built.manifest.drift.notes)
    )
    return {one: found.get(one, missing) for one in formats}


def _computes(info: ArtifactInfo) -> Computes:
    if info.int8_fraction == 0:
        return "float"
    return "int8" if info.int8_fraction >= 0.999 else "partly int8"


def _flat(result: object) -> list[Values]:
    tensors = [result] if isinstance(result, Tensor) else list(result)  # type: ignore[call-overload]
    return [np.asarray(tensor.numpy(), np.float64) for tensor in tensors]


def _varying_db(reference: Values, candidate: Values) -> float | None:
    """Return the SQNR of what varies over the samples; None: identical."""
    noise = np.square(reference - candidate).sum()
    if noise == 0:
        return None
    signal = np.square(reference - reference.mean(0)).sum()
    return float(10 * np.log10(max(signal, 1e-30) / noise)) if np.isfinite(noise) else float("-inf")


def _parts(count: int, order: tuple[int, ...]) -> list[slice]:
    parts: list[slice] = []
    start = 0
    while start < count:
        size = min(order[len(parts) % len(order)], count - start)
        parts.append(slice(start, start + size))
        start += size
    return parts


def _pte(folder: Path, inputs: list[Tensor], order: tuple[int, ...]) -> list[Values]:
    method = Runtime.get().load_program(str(folder / "model.pte")).load_method("forward")
    assert method is not None
    rows = [
        [
            torch.as_tensor(one).clone().numpy()
            for one in method.execute([tensor[part].contiguous() for tensor in inputs])
        ]
        for part in _parts(len(inputs[0]), order)
    ]
    return [np.concatenate(output).astype(np.float64) for output in zip(*rows, strict=True)]


def _onnx(folder: Path, inputs: list[Tensor], order: tuple[int, ...]) -> list[Values]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # the exact kernels, as on ARM
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    rows = [
        session.run(None, {name: tensor[part].numpy() for name, tensor in zip(names, inputs, strict=True)})
        for part in _parts(len(inputs[0]), order)
    ]
    return [np.concatenate(output).astype(np.float64) for output in zip(*rows, strict=True)]
