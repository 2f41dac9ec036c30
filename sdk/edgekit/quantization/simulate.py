"""Simulation: a calibrated graph is walked node by node with the roundings of each layer switched on or off.

Nothing is converted, exported or lowered, so a question about one layer costs part of a forward pass: walks share what
lies before the first node that they treat differently.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model.layers import Layer
from edgekit.model.program import Captured
from edgekit.quantization.attributes import attribute
from edgekit.quantization.correction import bias_of
from edgekit.quantization.grouping import ANNOTATION, describe, group
from edgekit.quantization.static import at_once, mend, prepare, tensors, walked
from edgekit.quantization.switches import Layout, Plan, alone, layout, without
from edgekit.quantization.walk import Parameters, Walk, first_difference
from edgekit.spec import QuantSpec, Scheme

Outputs = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A calibrated graph whose layers can be switched between int8 and float."""

    captured: Captured
    graph: Layout
    """The calibrated graph."""
    nodes: Mapping[str, tuple[fx.Node, ...]]
    """The quantized nodes of each layer, by its path, in the order of the graph."""
    layers: Mapping[str, Layer]
    """The layers that can be quantized, by path."""
    kept_weights: int
    """Weights that the settings keep in float."""
    weights: int
    """Weights of all layers, also of those that are never quantized."""
    parameters: Parameters
    """With the biases that are right when all layers are in int8."""
    calibration: tuple[Tensor, ...] | None
    """The samples that biases are corrected with; None if they are not."""

    def without(self, paths: Collection[str]) -> Plan:
        """Return the plan with these layers in float and all others in int8."""
        return without(self.graph, [node for path in paths for node in self.nodes[path]])

    def alone(self, path: str) -> Plan:
        """Return the plan with this layer in int8 and all others in float."""
        return alone(self.graph, self.nodes[path])


def simulate(captured: Captured, spec: QuantSpec, calibration: Samples) -> Simulation:
    """Prepare a captured program as `quantize` does, and keep what is needed to take the layers apart again.

    Args:
        captured: The float program, which is left as it was.
        spec: The steps to take; layers that it keeps in float are none of the simulation's.
        calibration: Samples that are typical of what the model will see.

    Raises:
        QuantizeError: If the settings name a layer that is not there.
    """
    prepared, kept = prepare(captured, Scheme.INT8, spec, calibration)
    held = {str(node.target): attribute(prepared, node) for node in prepared.graph.nodes if node.op == "get_attr"}
    original = {path: tensor.clone() for path, tensor in held.items()}
    mend(prepared, captured, Scheme.INT8, spec, calibration)
    graph = layout(prepared)
    rounded = {
        node: graph.observers[node].quantize(held[str(source.target)])
        for node, source in graph.sources.items()
        if source.op == "get_attr"
    }
    parameters = Parameters(original=original, mended=held, rounded=rounded)
    everything = {path: describe(path, nodes) for path, nodes in group(prepared.graph).items()}
    nodes = {
        path: marked
        for path, members in group(prepared.graph).items()
        if (marked := tuple(node for node in members if ANNOTATION in node.meta))
    }
    return Simulation(
        captured=captured,
        graph=graph,
        nodes=nodes,
        layers={path: describe(path, marked) for path, marked in nodes.items()},
        kept_weights=sum(everything[path].weights for path in kept),
        weights=sum(layer.weights for layer in everything.values()),
        parameters=parameters,
        calibration=tensors(captured, at_once(captured, calibration)) if spec.bias_correction else None,
    )


def run(simulation: Simulation, samples: Samples, kept: Collection[str] = ()) -> Outputs:
    """Return the outputs with some layers in float and all others in int8.

    Args:
        simulation: From `simulate`.
        samples: What to feed it.
        kept: Paths of the layers in float.
    """
    return sweep(simulation, samples, simulation.without(kept), {})[0]


def sweep(
    simulation: Simulation, samples: Samples, base: Plan, plans: Mapping[str, Plan]
) -> tuple[Outputs, dict[str, Outputs]]:
    """Run one plan, and others that fork from it where they first differ.

    Args:
        simulation: From `simulate`.
        samples: What to feed it.
        base: The plan that the others share their beginning with.
        plans: The others, under names of the caller's.

    Returns:
        The outputs of the base, and those of each plan.
    """
    graph, start = simulation.graph, simulation.parameters
    forks = sorted((first_difference(graph, base, plan), name) for name, plan in plans.items())
    parts: dict[str | None, list[tuple[Tensor, ...]]] = {name: [] for name in (None, *plans)}
    with torch.no_grad():  # not in inference mode: corrections take gradients
        parameters = dict.fromkeys(parts, start)
        if simulation.calibration is not None:
            floats = replace(start, mended=start.original)
            beside = Walk(graph, simulation.without(simulation.nodes), floats, simulation.calibration)
            walk = Walk(graph, base, floats, simulation.calibration, beside)
            for place, name in forks:
                walk.to(place)
                parameters[name] = _corrected(simulation, walk.fork(plans[name]), plans[name])
            parameters[None] = _corrected(simulation, walk, base)
        size = walked(simulation.captured)
        for part in samples.batches(size, multiple=1 if simulation.captured.any_batch else size):
            walk = Walk(graph, base, parameters[None], tensors(simulation.captured, part))
            for place, name in forks:
                walk.to(place)
                parts[name].append(walk.fork(plans[name], parameters[name]).finish())
            parts[None].append(walk.finish())
    names = [spec.name for spec in simulation.captured.source.outputs]
    outputs = {
        name: {
            key: np.concatenate([row[place].numpy() for row in rows])[: len(samples)] for place, key in enumerate(names)
        }
        for name, rows in parts.items()
    }
    return outputs[None], {name: outputs[name] for name in plans}


def _corrected(simulation: Simulation, walk: Walk, plan: Plan) -> Parameters:
    """Go on to the last layer whose bias there is to correct, and return the parameters."""
    layers = [place for place, node in enumerate(simulation.graph.order) if node in plan.int8 and bias_of(node)]
    walk.to(max(layers, default=-1) + 1)
    return replace(simulation.parameters, mended={**simulation.parameters.mended, **walk.biases})
