"""Time by operation and by kind."""

from edgekit.bundles.cost import kinds_of
from edgekit.pipeline.profiling.cost import shared


def test_kinds_add_up() -> None:
    """Calls and times of all operations of a kind, what takes most first; no time at all is no fault."""
    taken = [("conv_0", "Conv", 1.0), ("add_0", "Add", 2.0), ("conv_1", "Conv", 0.5), ("mean", "Mean", 0.5)]
    assert [(one.operator, one.calls, one.mean_ms, one.share) for one in kinds_of(shared(taken))] == [
        ("Add", 1, 2.0, 0.5),
        ("Conv", 2, 1.5, 0.375),
        ("Mean", 1, 0.5, 0.125),
    ]
    assert [one.share for one in kinds_of(shared([("add_0", "Add", 0.0)]))] == [0.0]
    assert kinds_of(()) == ()
