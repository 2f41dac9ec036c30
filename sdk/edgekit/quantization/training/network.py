"""The network that is trained: a calibrated graph in which every rounding has a gradient, and which becomes a program.

What is trained is what `quantize` would have converted: its places of rounding, its scales, its folded batch norms,
whose statistics are constants. At the start it computes what `quantize` makes, rounding by rounding.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, fx, nn

from edgekit.data.samples import Samples
from edgekit.errors import QuantizeError
from edgekit.model.program import Captured, Quantized
from edgekit.quantization.attributes import attribute
from edgekit.quantization.dynamic import DynamicObserver
from edgekit.quantization.observers import HistogramObserver, PerChannelWeightObserver
from edgekit.quantization.static import convert, mend, prepare
from edgekit.quantization.training.devices import follow
from edgekit.quantization.training.steps import ActivationSteps, RowSteps, Steps, WeightSteps
from edgekit.spec import CPU_PLACING, Placing, QuantSpec, Scheme

# How far a weight starts from where it would be rounded otherwise, in steps.
_INSIDE = 0.49


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a network is trained from, and how it is quantized."""

    captured: Captured
    scheme: Scheme
    spec: QuantSpec
    placing: Placing
    calibration: Samples
    prepared: fx.GraphModule
    """The calibrated graph, with the steps of `quantize` taken; a copy of it takes what was trained."""
    kept: tuple[str, ...]
    """Paths of the layers that stay float."""


class QatNetwork(nn.Module):
    """A quantized network to train: call it, take its parameters to an optimizer, and build it with `edgekit.build`."""

    def __init__(self, plan: Plan, graph: fx.GraphModule) -> None:
        """Take what `trainable` made."""
        super().__init__()
        self.plan = plan
        self.graph = graph

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Compute as the artifact will.

        Args:
            inputs: The arguments of the float network's ``forward``, in order, samples first.

        Returns:
            Its output; by name where there are several.
        """
        found = self.graph(*inputs)
        values = tuple(found) if isinstance(found, tuple | list) else (found,)
        names = [spec.name for spec in self.plan.captured.source.outputs]
        return values[0] if len(names) == 1 else dict(zip(names, values, strict=True))

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.parameters()).device

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        follow(self.graph, self.device)
        return self

    def quantized(self) -> Quantized:
        """Return the program that this network is now, weights and scales as they are; the network is left alone."""
        plan, device = self.plan, self.device
        prepared = copy.deepcopy(plan.prepared)
        self.to("cpu")
        with torch.no_grad():
            _write(self.graph, prepared)
        self.to(device)
        return convert(prepared, plan.captured, plan.scheme, plan.spec, plan.calibration, plan.kept)

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Return groups of parameters for an optimizer such as AdamW, each with a rate that suits its magnitude.

        Args:
            rate: The share of its root mean square by which a parameter may change in one step.
        """
        gains = [one for name, one in self.named_parameters() if name.endswith(".gain")]
        others = [one for name, one in self.named_parameters() if not name.endswith(".gain")]
        found: list[dict[str, object]] = [{"params": gains, "lr": rate}] if gains else []
        for one in others:
            size = float(one.detach().square().mean().sqrt())
            found.append({"params": [one], "lr": rate * (size or 1.0)})
        return found


def trainable(
    captured: Captured,
    scheme: Scheme,
    spec: QuantSpec,
    calibration: Samples,
    placing: Placing = CPU_PLACING,
) -> QatNetwork:
    """Quantize a captured program as `quantize` does, and make a network of it that can be trained.

    Args:
        captured: The float program; left as it was.
        scheme: The scheme.
        spec: The steps to take before the training.
        calibration: Samples that are typical of what the model will see.
        placing: What the chip wants rounded.

    Raises:
        QuantizeError: If nothing is quantized, or not as a training can go through.
    """
    prepared, kept = prepare(captured, scheme, spec, calibration, placing=placing)
    stored = [node for node in prepared.graph.nodes if node.op == "get_attr"]
    original = {str(node.target): attribute(prepared, node).clone() for node in stored}
    mend(prepared, captured, scheme, spec, calibration)
    plan = Plan(
        captured=captured,
        scheme=scheme,
        spec=spec,
        placing=placing,
        calibration=calibration,
        prepared=prepared,
        kept=kept,
    )
    return QatNetwork(plan, _graph(prepared, original, captured.source.name))


def _graph(prepared: fx.GraphModule, original: dict[str, Tensor], name: str) -> fx.GraphModule:
    """Return a copy of a prepared graph with steps in place of its observers, and parameters that are trained."""
    held = copy.deepcopy(prepared)
    steps: dict[nn.Module, nn.Module] = {}  # of the copy's observers: several places may share one
    for node in _observed(held):
        observer = held.get_submodule(str(node.target))
        if observer not in steps:
            steps[observer] = _steps(observer, name)
        if isinstance(one := steps[observer], WeightSteps) and (source := node.all_input_nodes[0]).op == "get_attr":
            _start(attribute(held, source), original[str(source.target)], one)
        _set(held, str(node.target), one)
    if not any(isinstance(one, Steps) for one in steps.values()):
        raise QuantizeError(
            f"Nothing in {name} is quantized: there is no rounding to train with.",
            hint="Choose another scheme, or fewer float_layers.",
        )
    for parameter in held.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return fx.GraphModule(held, held.graph)  # torchao's forbids train() and eval()


def _observed(graph: fx.GraphModule) -> Iterable[fx.Node]:
    return [node for node in graph.graph.nodes if node.op == "call_module"]


def _steps(observer: nn.Module, name: str) -> nn.Module:
    match observer:
        case HistogramObserver():
            return ActivationSteps(observer)
        case PerChannelWeightObserver():
            return WeightSteps(observer)
        case DynamicObserver():
            return RowSteps(observer)
    raise QuantizeError(f"{name} cannot be trained: {type(observer).__name__} has no gradient.")


def _start(rounded: Tensor, original: Tensor, steps: WeightSteps) -> None:
    """Let a weight that was rounded start as near to the one it had as it is still rounded to the same, in place."""
    with torch.no_grad():
        scales = steps.scales
        if steps.group is not None:
            scales = scales.repeat_interleave(steps.group, 1)
        else:
            scales = scales.view([-1 if axis == steps.axis else 1 for axis in range(rounded.ndim)])
        middle = steps(rounded)
        rounded.copy_(torch.clamp(original, middle - _INSIDE * scales, middle + _INSIDE * scales))


def _write(trained: fx.GraphModule, prepared: fx.GraphModule) -> None:
    """Write what was trained into a prepared graph: scales into its observers, and weights that lie on their steps."""
    rounded: dict[str, Tensor] = {}
    for node in _observed(prepared):
        steps, observer = (one.get_submodule(str(node.target)) for one in (trained, prepared))
        if isinstance(steps, ActivationSteps):
            assert isinstance(observer, HistogramObserver)
            steps.write(observer)
        elif isinstance(steps, WeightSteps):
            assert isinstance(observer, PerChannelWeightObserver)
            steps.write(observer)
            source = node.all_input_nodes[0]
            if source.op == "get_attr":
                rounded[str(source.target)] = steps(attribute(trained, source))
    for node in prepared.graph.nodes:
        if node.op == "get_attr" and (own := attribute(prepared, node)).is_floating_point():
            own.copy_(rounded.get(str(node.target), attribute(trained, node)))


def _set(module: nn.Module, path: str, value: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, value)
