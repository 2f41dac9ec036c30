"""Scores: what the rounding of each layer costs the answers, from a few passes, however many layers there are.

What rounding changes in a layer's output, weighted by how much the answers hang on it there. The answers' derivatives
are projected on random signs, Hutchinson's estimate of the squared error to first order: for signs v and an error e of
a layer's output, the mean of (v J e)^2 is the squared length of J e.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.data.samples import Samples
from edgekit.quantization.grouping import ANNOTATION
from edgekit.quantization.portions import parts
from edgekit.quantization.simulate import Simulation
from edgekit.quantization.static import tensors
from edgekit.quantization.switches import Plan

_SEED = 0
# Projections of each part of the samples.
_SIGNS = 4


def scores(simulation: Simulation, samples: Samples) -> Mapping[str, float]:
    """Return what each layer alone costs in int8: the squared error of the answers as a share of their square.

    Args:
        simulation: From `simulate`.
        samples: A few; each is passed forwards twice, and backwards a few times.
    """
    generator = torch.Generator().manual_seed(_SEED)
    found = dict.fromkeys(simulation.layers, 0.0)
    plan = simulation.without(())
    energy = 0.0
    for part in parts(simulation.captured, samples):
        errors, answers = _errors(simulation, plan, tensors(simulation.captured, part))
        energy += sum(float(one.detach().double().square().sum()) for one in answers)
        reached = [value for value, _ in errors.values()]
        for sign in range(_SIGNS):
            signs = [_signs(one, generator) for one in answers]
            slopes = torch.autograd.grad(answers, reached, signs, retain_graph=sign + 1 < _SIGNS, allow_unused=True)
            slope_of = dict(zip(errors, slopes, strict=True))
            for path, nodes in simulation.nodes.items():
                change = sum(_along(slope_of[node], errors[node][1]) for node in nodes if node in errors)
                if isinstance(change, Tensor):
                    found[path] += float(change.square().sum()) / _SIGNS
    return {path: value / max(energy, float(np.finfo(np.float32).tiny)) for path, value in found.items()}


def _along(slope: Tensor | None, error: Tensor) -> Tensor | float:
    """Return what an error does to each sample's answers, float64 of shape (samples,)."""
    return 0.0 if slope is None else (slope.double() * error.double()).flatten(1).sum(1)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, like.shape, generator=generator).to(like.dtype) * 2 - 1


def _errors(
    simulation: Simulation, plan: Plan, inputs: tuple[Tensor, ...]
) -> tuple[dict[fx.Node, tuple[Tensor, Tensor]], list[Tensor]]:
    """Walk the graph in float; return each rounded node's value with its rounding error alone, and the answers."""
    graph, parameters = simulation.graph, simulation.parameters
    values: dict[fx.Node, object] = {}
    waiting = list(inputs)
    errors: dict[fx.Node, tuple[Tensor, Tensor]] = {}
    for node in graph.order[:-1]:
        if node.op == "placeholder":
            value = waiting.pop(0)
            values[node] = value.clone().requires_grad_() if value.is_floating_point() else value
            continue
        assert callable(node.target)

        def real(source: fx.Node) -> Any:
            origin = graph.sources.get(source, source)
            return parameters.original[str(origin.target)] if origin.op == "get_attr" else values[origin]

        value = node.target(*fx.map_arg(node.args, real), **fx.map_arg(node.kwargs, real))
        values[node] = value
        if ANNOTATION in node.meta and isinstance(value, Tensor) and value.requires_grad:
            with torch.no_grad():
                errors[node] = value, _rounded(simulation, plan, node, values) - value
    end: list[fx.Node] = []
    fx.map_arg(graph.order[-1].args, end.append)
    answers = [values[graph.sources.get(node, node)] for node in end]
    return errors, [one for one in answers if isinstance(one, Tensor) and one.requires_grad]


def _rounded(simulation: Simulation, plan: Plan, node: fx.Node, values: Mapping[fx.Node, object]) -> Tensor:
    """Return what a node gives with its inputs, its weights and its output rounded, and nothing before it."""
    graph, parameters = simulation.graph, simulation.parameters

    def read(source: fx.Node) -> Any:
        origin = graph.sources.get(source, source)
        if source in plan.rounded.get(node, ()):
            if origin.op == "get_attr":
                return parameters.rounded[source]
            value = values[origin]
            assert isinstance(value, Tensor)
            return graph.observers[source].quantize(value)
        return parameters.mended[str(origin.target)] if origin.op == "get_attr" else values[origin]

    assert callable(node.target)
    value = node.target(*fx.map_arg(node.args, read), **fx.map_arg(node.kwargs, read))
    assert isinstance(value, Tensor)
    if node.meta[ANNOTATION].output_qspec is None:
        return value
    own = next((seen for seen, origin in graph.sources.items() if origin is node), None)
    return value if own is None else graph.observers[own].quantize(value)
