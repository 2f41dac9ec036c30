"""Whether the tensors of a file can be a float model's weights: of a kind that holds them, and with values in them."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from edgekit.errors import SourceError
from edgekit.model.weights.state import Described
from edgekit.model.weights.values import printable

_SHOWN = 6
_FLOATS = {"float64", "float32", "float16", "bfloat16"}
_WHOLE = {"uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "bool"}
_FLOAT_HINT = "EdgeKit quantizes by itself: give the float checkpoint that it was made from."


def types(where: str, have: Mapping[str, Described], want: Mapping[str, Described]) -> tuple[str, ...]:
    """Hold the types of a file's tensors against the model's, both by the model's names.

    Returns:
        Notes, of floats that are converted.

    Raises:
        SourceError: If some are quantized, complex, or integers where floats should be, or the other way.
    """
    quantized = [name for name, one in have.items() if one.quantized or one.dtype.startswith(("float8", "float4"))]
    if quantized:
        kind = have[quantized[0]].dtype
        raise SourceError(
            f"{where} is quantized: {listed(quantized)} of {kind}, whose scales the model does not have.",
            hint=_FLOAT_HINT,
        )
    wrong: dict[tuple[str, str], list[str]] = {}
    converted: dict[tuple[str, str], int] = {}
    for name, one in have.items():
        in_file, in_model = one.dtype, want[name].dtype
        if in_file in _FLOATS and in_model in _FLOATS:
            if in_file != in_model:
                converted[in_file, in_model] = converted.get((in_file, in_model), 0) + 1
        elif not (in_file == in_model or {in_file, in_model} <= _WHOLE):
            wrong.setdefault((in_file, in_model), []).append(name)
    if wrong:
        lines = [f"  - {listed(names)}: {old} in the file, {new} in the model" for (old, new), names in wrong.items()]
        whole = any(old in _WHOLE for old, _ in wrong)
        raise SourceError(
            f"{where} has numbers of another kind than the model:\n" + "\n".join(lines),
            hint=_FLOAT_HINT if whole else "Save the model's own float weights.",
        )
    return tuple(
        f"{count} tensors of the weights were converted from {old} to {new}." for (old, new), count in converted.items()
    )


def values(where: str, have: Mapping[str, Tensor], parameters: Iterable[str]) -> tuple[str, ...]:
    """Look at the values of a file's tensors, one at a time.

    Returns:
        Notes, of weights that are all zero or all one number.

    Raises:
        SourceError: If a parameter has values that are not finite; buffers may, as masks do.
    """
    own = set(parameters)
    matrices = 0
    broken: list[str] = []
    zero: list[str] = []
    constant: list[str] = []
    for name, tensor in have.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        least, most = (float(one) for one in torch.aminmax(tensor.detach()))
        if name in own and not (abs(least) < float("inf") and abs(most) < float("inf")):  # NaN compares as False
            broken.append(name)
        if tensor.ndim > 1 and tensor.numel() > 1 and name in own:
            matrices += 1
            if least == most:
                (zero if least == 0 else constant).append(name)
    if broken:
        raise SourceError(
            f"{where} has weights that are not finite: {listed(broken)}.",
            hint="The training diverged, or the file is damaged: take an earlier checkpoint.",
        )
    notes = []
    if matrices and len(zero) == matrices:
        notes.append("All weights are zero: is it the right file?")
    elif zero:
        notes.append(f"Weights that are all zero: {listed(zero)}.")
    if constant:
        notes.append(f"Weights that are all one number: {listed(constant)}.")
    return tuple(notes)


def listed(names: list[str]) -> str:
    """Return names as text, some of them."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more
