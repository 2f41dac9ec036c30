"""Complex numbers: a captured program computes with pairs of real ones in their place.

Neither runtime has kernels for complex numbers, and neither format stores them. What audio models (short-time Fourier
transforms), filters in frequency and rotary embeddings use of them is arithmetic, and transforms of fixed lengths,
which are products with constant matrices.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from edgekit.errors import CaptureError
from edgekit.model import graph
from edgekit.model.constants import Constants
from edgekit.model.pairs.rules import PARTWISE, RULES, SPECTROGRAMS
from edgekit.model.pairs.writer import Pair, Writer

_HINT = (
    "Write it with the real and the imaginary part, or with operations that EdgeKit writes so: sums, products, "
    "quotients, absolute values, angles, polar coordinates, Fourier transforms, and whatever moves values."
)


def without_complex(program: ExportedProgram, again: Callable[[fx.GraphModule], ExportedProgram]) -> ExportedProgram:
    """Return a program that computes the same with real numbers alone.

    Args:
        program: The captured program, which is left as it was.
        again: Captures a graph as the program was captured.

    Raises:
        CaptureError: If an operation has no such form, with its place in the model's code, or the model returns
            complex numbers.
    """
    if not any(map(_is_spectral, program.graph.nodes)):
        return program
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    pairs = dict[fx.Node, Pair]()
    writer = Writer(module=module, known=Constants(module), place=module.graph.output_node())
    for node in list(module.graph.nodes):
        writer.place = node
        if _is_complex(node) and (value := writer.known.tensor(node)) is not None:
            pairs[node] = _parts(writer, node, value)
        elif node.op == "call_function" and (_is_spectral(node) or not pairs.keys().isdisjoint(node.all_input_nodes)):
            _write(writer, node, pairs)
        elif node.op == "output" and not pairs.keys().isdisjoint(node.all_input_nodes):
            raise CaptureError(
                "The model returns complex numbers, which no artifact has.", hint="Return torch.view_as_real(...)."
            )
    for node in reversed(module.graph.nodes):
        if not node.users and (node in pairs or node.op == "call_function"):
            module.graph.erase_node(node)
    module.recompile()
    return again(module)


def _is_spectral(node: fx.Node) -> bool:
    """Whether a node gives complex numbers, or their parts of real ones."""
    return _is_complex(node) or node.target in SPECTROGRAMS


def _is_complex(node: fx.Node) -> bool:
    value: Any = node.meta.get("val")
    parts = value if isinstance(value, tuple | list) else (value,)
    return any(isinstance(part, Tensor) and part.is_complex() for part in parts)


def _parts(writer: Writer, node: fx.Node, value: Tensor) -> Pair:
    """Return the parts of what is known, as constants of single precision."""
    plain = torch.view_as_real(value.resolve_conj()).to(torch.float32)
    names = (f"{node.name}_real", f"{node.name}_imag")
    real, imag = (writer.constant(name, part) for name, part in zip(names, plain.unbind(-1), strict=True))
    return Pair(real=real, imag=imag)


def _write(writer: Writer, node: fx.Node, pairs: dict[fx.Node, Pair]) -> None:
    """Write one operation that takes or gives complex numbers."""
    if node.target in PARTWISE or node.target is operator.getitem:
        pairs[node] = _partwise(writer, node, pairs)
        return
    rule = RULES.get(node.target)
    found = rule(writer, node, pairs) if rule is not None else None
    if found is None:
        raise CaptureError(
            f"{graph.place(node, with_line=True)} computes with complex numbers, which devices' runtimes do not have.",
            hint=_HINT,
        )
    if isinstance(found, Pair):
        pairs[node] = found
    else:
        node.replace_all_uses_with(found)


def _partwise(writer: Writer, node: fx.Node, pairs: dict[fx.Node, Pair]) -> Pair:
    """Apply to each part what moves, adds up or leaves out values whatever they are."""
    given = [pairs[source] for source in node.all_input_nodes if source in pairs]
    keywords = {key: value for key, value in node.kwargs.items() if key != "dtype"}
    found: list[fx.Node | None] = []
    for part in ("real", "imag"):
        if all(getattr(pair, part) is None for pair in given):
            found.append(None)
            continue

        def taken(source: fx.Node, part: str = part) -> fx.Node:
            pair = pairs.get(source, Pair(real=source, imag=None))
            other = pair.imag if part == "real" else pair.real
            is_tensor = isinstance(source.meta.get("val"), Tensor) and source.meta["val"].is_floating_point()
            if source not in pairs and not is_tensor:
                return source  # a size, places, truth values
            return writer.node(getattr(pair, part), other)

        args, kwargs = fx.map_arg((node.args, keywords), taken)
        found.append(writer.call(node.target, *args, **kwargs))
    return Pair(real=found[0], imag=found[1])
