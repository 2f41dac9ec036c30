"""Simulation: a calibrated graph is walked node by node with the roundings of each layer switched on or off.

Nothing is converted, exported or lowered, so a question about one layer costs part of a forward pass: walks share what
lies before the first node that they treat differently.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.data.rows import Array
from edgekit.data.samples import Samples
from edgekit.model.layers import Layer
from edgekit.model.program import Captured, Quantized
from edgekit.quantization.attributes import attribute
from edgekit.quantization.correction import bias_of
from edgekit.quantization.grouping import ANNOTATION, describe, group
from edgekit.quantization.portions import parts, taken
from edgekit.quantization.static import convert, mend, prepare, tensors
from edgekit.quantization.switches import Layout, Plan, alone, layout, without
from edgekit.quantization.walk import Parameters, Walk, first_difference
from edgekit.spec import QuantSpec, Scheme

Outputs = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A calibrated graph whose layers can be switched between int8 and float."""

    captured: Captured
    spec: QuantSpec
    prepared: fx.GraphModule
    """The calibrated graph, with the parameters that are right when all layers are in int8."""
    graph: Layout
    """The same, taken apart."""
    nodes: Mapping[str, tuple[fx.Node, ...]]
    """The quantized nodes of each layer, by its path, in the order of the graph."""
    layers: Mapping[str, Layer]
    """The layers that can be quantized, by path."""
    kept: tuple[str, ...]
    """Paths of the layers that the settings keep in float."""
    kept_weights: int
    """Weights that the settings keep in float."""
    weights: int
    """Weights of all layers, also of those that are never quantized."""
    parameters: Parameters
    """With the biases that are right when all layers are in int8."""
    calibration: Samples
    """All samples that it was calibrated with."""
    correcting: Samples | None
    """Those of them that biases are corrected with, see `portions`; None if they are not."""

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
        spec=spec,
        prepared=prepared,
        graph=graph,
        nodes=nodes,
        layers={path: describe(path, marked) for path, marked in nodes.items()},
        kept=kept,
        kept_weights=sum(everything[path].weights for path in kept),
        weights=sum(layer.weights for layer in everything.values()),
        parameters=parameters,
        calibration=calibration,
        correcting=taken(captured, Scheme.INT8, calibration) if spec.bias_correction else None,
    )


def program(simulation: Simulation) -> Quantized:
    """Return the program that `quantize` makes, without taking its steps once more."""
    captured, spec = simulation.captured, simulation.spec
    prepared = copy.deepcopy(simulation.prepared)
    return convert(prepared, captured, Scheme.INT8, spec, simulation.calibration, simulation.kept)


def run(simulation: Simulation, samples: Samples, kept: Collection[str] = (), calibrated: int | None = None) -> Outputs:
    """Return the outputs with some layers in float and all others in int8.

    Args:
        simulation: From `simulate`.
        samples: What to feed it.
        kept: Paths of the layers in float.
        calibrated: See `sweep`.
    """
    return sweep(simulation, samples, simulation.without(kept), {}, calibrated)[0]


def sweep(
    simulation: Simulation,
    samples: Samples,
    base: Plan,
    plans: Mapping[str, Plan],
    calibrated: int | None = None,
) -> tuple[Outputs, dict[str, Outputs]]:
    """Run one plan, and others that fork from it where they first differ.

    Args:
        simulation: From `simulate`.
        samples: What to feed it.
        base: The plan that the others share their beginning with.
        plans: The others, under names of the caller's.
        calibrated: How many of the calibration samples, evenly spread, the biases of each plan are corrected with;
            None: those that the built program is corrected with. Outputs are then that program's, up to what rounding
            to the nearest makes of the last bits; with fewer, plans can be held against one another.

    Returns:
        The outputs of the base, and those of each plan.
    """
    graph, captured = simulation.graph, simulation.captured
    forks = sorted((first_difference(graph, base, plan), name) for name, plan in plans.items())
    rows: dict[str | None, list[tuple[Tensor, ...]]] = {name: [] for name in (None, *plans)}
    with torch.no_grad():  # not in inference mode: corrections take gradients
        parameters = _parameters(simulation, base, plans, forks, calibrated)
        for part in parts(captured, samples):
            walk = Walk(graph, base, parameters[None], [tensors(captured, part)])
            for place, name in forks:
                walk.to(place)
                rows[name] += walk.fork(plans[name], parameters[name]).finish()
            rows[None] += walk.finish()
    names = [spec.name for spec in captured.source.outputs]
    outputs = {
        name: {
            key: np.concatenate([row[place].numpy() for row in found])[: len(samples)]
            for place, key in enumerate(names)
        }
        for name, found in rows.items()
    }
    return outputs[None], {name: outputs[name] for name in plans}


def _parameters(
    simulation: Simulation,
    base: Plan,
    plans: Mapping[str, Plan],
    forks: Sequence[tuple[int, str]],
    calibrated: int | None,
) -> dict[str | None, Parameters]:
    """Return what the nodes read under the base, which has no name, and under each plan."""
    graph, start, chosen = simulation.graph, simulation.parameters, simulation.correcting
    found: dict[str | None, Parameters] = dict.fromkeys((None, *plans), start)
    wanted = {name: _last_bias(graph, plan) for name, plan in ((None, base), *plans.items())}
    if calibrated is None and base == simulation.without(()):
        del wanted[None]  # it has them
    if chosen is None or not any(wanted.values()):
        return found
    if calibrated is not None and calibrated < len(chosen):
        chosen = chosen.spread(calibrated)
    floats = replace(start, mended=start.original)
    arguments = [tensors(simulation.captured, part) for part in parts(simulation.captured, chosen)]
    beside = Walk(graph, simulation.without(simulation.nodes), floats, arguments)
    walk = Walk(graph, base, floats, arguments, beside)

    def corrected(walk: Walk, name: str | None) -> None:
        walk.to(wanted[name])
        found[name] = replace(start, mended={**start.mended, **walk.biases})

    for place, name in forks:
        walk.to(place)
        corrected(walk.fork(plans[name]), name)
    if None in wanted:
        corrected(walk, None)
    return found


def _last_bias(graph: Layout, plan: Plan) -> int:
    """Return the place behind the last layer whose bias there is to correct; 0 if there is none."""
    return max((at + 1 for at, node in enumerate(graph.order) if node in plan.int8 and bias_of(node)), default=0)
