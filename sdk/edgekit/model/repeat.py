"""Whether a model answers alike when it is asked again: one that draws or remembers cannot be held to anything."""

import torch
from torch import Tensor, fx

from edgekit.errors import CaptureError
from edgekit.model import graph
from edgekit.model.program import Source, named_outputs
from edgekit.model.sizes import resized
from edgekit.spec.usercode import contained

# What the same call answers twice may differ by, of the largest value: threads add in another order.
_SAME = 1e-4
_DRAWN = {
    "bernoulli", "rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "multinomial",
    "normal", "normal_functional", "uniform", "poisson", "exponential", "geometric", "log_normal", "cauchy", "random",
    "rrelu_with_noise", "rrelu_with_noise_functional",
}  # fmt: skip
_DROPS = {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"}
_MOST_PLACES = 3


def check_repeatable(source: Source, example: tuple[Tensor, ...], program: fx.Graph) -> None:
    """Run the model twice on the same samples.

    Args:
        source: The model.
        example: What it was traced with.
        program: What was traced, in which the place is looked for.

    Raises:
        CaptureError: If the answers differ, with the operations that draw numbers.
    """
    with torch.random.fork_rng(devices=[]):  # numbers that the caller draws afterwards are those that they would be
        first, again = (_answers(source, example) for _ in range(2))
    if all(_alike(first[name], again[name]) for name in first):
        return
    if drawn := [graph.place(node, with_line=True) for node in program.nodes if _draws(node)]:
        places = ", ".join(list(dict.fromkeys(drawn))[:_MOST_PLACES])
        raise CaptureError(
            f"{source.name} draws random numbers, so that no two calls answer alike: {places}.",
            hint="nn.Dropout is off in eval mode, F.dropout with training=self.training; noise comes in as an input.",
        )
    raise CaptureError(
        f"{source.name} answers otherwise when it is asked again: it remembers what an earlier call did, in an "
        "attribute or a list, or draws numbers from Python or NumPy.",
        hint="Pass the state in and out: forward(x, state) -> (y, state), so that the app keeps it between calls.",
    )


def _answers(source: Source, example: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Run the model on as few samples as it takes, two where it takes several."""
    first = source.inputs[0].shape[0]
    rows = first if isinstance(first, int) else source.dimensions[first].nearest(2)
    given = [resized(tensor, (rows, *tensor.shape[1:])).clone() for tensor in example]
    with torch.no_grad(), contained():
        return dict(named_outputs(source.name, source.model(*given), source.outputs))


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return bool(torch.equal(one, other))
    largest = one.abs().nan_to_num(0, 0, 0).max() if one.numel() else torch.zeros(())
    return bool(torch.allclose(one, other, rtol=0, atol=_SAME * float(largest), equal_nan=True))


def _draws(node: fx.Node) -> bool:
    if node.op != "call_function":
        return False
    name = graph.operation(node).removesuffix("_")
    if name in _DROPS:
        return len(node.args) > 2 and node.args[2] is True
    return name in _DRAWN or (name == "scaled_dot_product_attention" and len(node.args) > 4 and bool(node.args[4]))
