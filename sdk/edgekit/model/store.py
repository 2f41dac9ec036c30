"""Programs as files: torch's own archive (``.pt2``), and beside it in JSON what the nouns add."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from edgekit.model.capture import shapes_of
from edgekit.model.program import Captured, Quantized, Source
from edgekit.spec import Dimension, Scheme, Spec, TensorSpec

_Spec = TypeVar("_Spec", bound=Spec)


def save_captured(captured: Captured, folder: Path, name: str = "captured") -> None:
    """Write ``NAME.pt2`` with the program, ``NAME.json`` with its source, and ``NAME.example.pt``.

    Args:
        captured: The captured program.
        folder: Where to write.
        name: Stem of the files.
    """
    torch.export.save(captured.program, folder / f"{name}.pt2")
    torch.save(captured.example, folder / f"{name}.example.pt")
    source = captured.source
    facts = {
        "name": source.name,
        "inputs": [spec.model_dump(mode="json") for spec in source.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in source.outputs],
        "dimensions": {name: size.model_dump(mode="json") for name, size in source.dimensions.items()},
        "weights_sha256": source.weights_sha256,
        "parameters": source.parameters,
        "float_bytes": source.float_bytes,
        "rows": captured.rows,
        "any_batch": source.batch is not None and captured.any_batch,
    }
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def load_captured(folder: Path, name: str = "captured") -> Captured:
    """Read what `save_captured` wrote. The model's own code is not needed: the program takes its place."""
    program = _load(folder / f"{name}.pt2")
    facts: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    sizes = facts.pop("dimensions")
    rows, any_batch = facts.pop("rows"), facts.pop("any_batch")
    source = Source(
        model=_module(program),
        inputs=_values(TensorSpec, facts.pop("inputs")),
        outputs=_values(TensorSpec, facts.pop("outputs")),
        dimensions=dict(zip(sizes, _values(Dimension, sizes.values()), strict=True)),
        **facts,
    )
    example = torch.load(folder / f"{name}.example.pt", weights_only=True)
    return Captured(
        source=source,
        program=program,
        example=tuple(example),
        dynamic_shapes=shapes_of(source, any_batch=any_batch),
        rows=rows,
    )


def _values(kind: type[_Spec], found: Iterable[object]) -> tuple[_Spec, ...]:
    return tuple(kind.model_validate_json(json.dumps(one)) for one in found)


def save_quantized(quantized: Quantized, folder: Path, name: str) -> None:
    """Write ``NAME.pt2`` with the program, ``NAME.ranges.json`` with its ranges, and what it was quantized from."""
    save_captured(replace(quantized.captured, program=quantized.program), folder, name)
    facts = {
        "scheme": quantized.scheme.value,
        "calibration_sha256": quantized.calibration_sha256,
        "weight_bytes": quantized.weight_bytes,
        "notes": quantized.notes,
        "seen_db": quantized.seen_db,
        "float_layers": quantized.float_layers,
    }
    (folder / f"{name}.quantized.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    ranges = [_range(node) for node in quantized.program.graph.nodes if _kind(node) == "quantize_per_tensor"]
    (folder / f"{name}.ranges.json").write_text(json.dumps(ranges, indent=1) + "\n", encoding="utf-8")


def load_quantized(folder: Path, name: str) -> Quantized:
    """Read what `save_quantized` wrote; its captured program is the quantized one."""
    captured = load_captured(folder, name)
    facts: dict[str, Any] = json.loads((folder / f"{name}.quantized.json").read_text(encoding="utf-8"))
    return Quantized(
        captured=captured,
        program=captured.program,
        scheme=Scheme(facts["scheme"]),
        calibration_sha256=facts["calibration_sha256"],
        weight_bytes=facts["weight_bytes"],
        notes=tuple(facts["notes"]),
        seen_db=facts["seen_db"],
        float_layers=tuple(facts["float_layers"]),
    )


def _load(path: Path) -> ExportedProgram:
    # Registers the operations that quantized programs are made of.
    from torchao.quantization.pt2e import quantize_pt2e  # noqa: F401

    return torch.export.load(path)


def _module(program: ExportedProgram) -> nn.Module:
    module: nn.Module = program.module(check_guards=False)
    return module


def _kind(node: fx.Node) -> str:
    name = str(getattr(node.target, "_schema", node.target)).partition("(")[0]
    return name.partition("::")[2]


def _range(node: fx.Node) -> dict[str, Any]:
    """Describe a rounding: the value, its step, and the least and largest value that the range holds."""
    value, scale, zero, low, high, dtype = node.args[:6]
    assert isinstance(scale, float)
    assert isinstance(zero, int)
    assert isinstance(low, int)
    assert isinstance(high, int)
    return {
        "value": str(value),
        "scale": scale,
        "zero_point": zero,
        "dtype": str(dtype).removeprefix("torch."),
        "low": (low - zero) * scale,
        "high": (high - zero) * scale,
    }
