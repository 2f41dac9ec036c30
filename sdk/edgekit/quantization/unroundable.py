"""Values that calibration finds to be unfit for rounding: infinite, no number, or far from zero."""

from dataclasses import dataclass

from torch import fx

from edgekit.quantization.features import is_distant
from edgekit.quantization.observers import HistogramObserver
from edgekit.spec import STATIC_INT8, Scheme


@dataclass(frozen=True, kw_only=True)
class Unroundable:
    """Names of values that calibration has found to be unfit for rounding."""

    unbounded: frozenset[str] = frozenset()
    """Infinite, or no number, for some sample: there is no step."""
    distant: frozenset[str] = frozenset()
    """So far from zero that what varies of them would be a few steps."""

    def __or__(self, other: "Unroundable") -> "Unroundable":
        return Unroundable(unbounded=self.unbounded | other.unbounded, distant=self.distant | other.distant)


NONE = Unroundable()


def find_unroundable(prepared: fx.GraphModule, scheme: Scheme) -> Unroundable:
    """Return the values that observers found to be infinite, no number, or far from zero."""
    unbounded, distant = set(), set()
    for node in prepared.graph.nodes:
        if node.op == "call_module":
            module = prepared.get_submodule(str(node.target))
            if isinstance(module, HistogramObserver) and not module.finite:
                unbounded.add(node.all_input_nodes[0].name)
            elif isinstance(module, HistogramObserver) and scheme in STATIC_INT8 and is_distant(module.lo, module.hi):
                distant.add(node.all_input_nodes[0].name)
    return Unroundable(unbounded=frozenset(unbounded), distant=frozenset(distant))
