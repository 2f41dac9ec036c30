"""Products with constants are linear layers, whatever a network writes for them; other products stay what they are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edgekit.model.graph import is_dequantize, operation
from edgekit.quantization.products import write_layers
from edgekit.spec import Format, Scheme
from tests.programs.on_device import on_device

Body = Callable[["Products", Tensor], Tensor]


class Products(nn.Module):
    """Parameters, and what is computed with them."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.square, self.other = nn.Parameter(torch.randn(8, 8) * 0.4), nn.Parameter(torch.randn(8, 8) * 0.4)
        self.bias, self.heads = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(2, 8, 4) * 0.4)
        self.both, self.table = nn.Parameter(torch.randn(16, 8) * 0.4), nn.Embedding(12, 8)
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, ...) of x (batch, 5, 8)."""
        return self.body(self, x)


def _added(net: Products, x: Tensor) -> Tensor:
    return torch.addmm(net.bias, x.reshape(-1, 8), net.square).reshape(-1, 5, 8)


def _parts(net: Products, x: Tensor) -> Tensor:
    one, other = net.both.chunk(2)
    return functional.linear(functional.linear(x, one, net.bias).relu(), other)


LAYERS: dict[str, tuple[Body, int]] = {
    "product": (lambda net, x: x @ net.square, 1),
    "and a sum": (lambda net, x: (x @ net.square + net.bias).relu(), 1),
    "a sum before": (lambda net, x: net.bias + torch.matmul(x, net.square), 1),
    "of one row": (lambda net, x: torch.mm(x[:, 0], net.square), 1),
    "addmm": (_added, 1),
    "turned": (lambda net, x: x @ net.square.t() + x @ net.other.T, 2),
    "computed": (lambda net, x: x @ (net.square * 0.5 + net.other), 1),
    "twice": (lambda net, x: (x @ net.square).relu() @ net.square, 2),
    "parts": (_parts, 2),
    "tied": (lambda net, x: x @ net.table.weight.t(), 1),
    "letters": (lambda net, x: torch.einsum("btd,df->btf", x, net.square), 1),
    "letters turned": (lambda net, x: torch.einsum("btd,fd->btf", x, net.square), 1),
    "heads": (lambda net, x: torch.einsum("btd,hdf->bthf", x, net.heads), 1),
    "heads first": (lambda net, x: torch.einsum("btd,hdf->bhtf", x, net.heads), 1),
}
OTHERS: dict[str, Body] = {
    "of two values": lambda net, x: net.layer(x) @ x.transpose(1, 2),
    "constant first": lambda net, x: net.square[:5, :5] @ net.layer(x),
    "stack": lambda net, x: net.layer(x)[:, None, :, :] @ net.heads,
    "letters in common": lambda net, x: torch.einsum("bhd,hdf->bhf", net.layer(x)[:, :2], net.heads),
    "sum over more": lambda net, x: torch.einsum("btd,df->bf", net.layer(x), net.square),
}


def _module(body: Body) -> tuple[fx.GraphModule, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 8)
    exported = torch.export.export(Products(body).eval(), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    module = exported.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    return module, torch.randn(4, 5, 8)


def _layers(module: fx.GraphModule) -> list[fx.Node]:
    linear = [node for node in module.graph.nodes if operation(node) == "linear"]
    return [node for node in linear if node.all_input_nodes[1].op == "get_attr"]


@pytest.mark.parametrize("name", LAYERS)
def test_they_compute_the_same(name: str) -> None:
    """As layers whose weights are parameters; and their values are known to the graph."""
    body, count = LAYERS[name]
    module, x = _module(body)
    expected = module(x)
    assert write_layers(module) == count
    assert len(_layers(module)) == count
    assert not {"matmul", "mm", "addmm", "einsum"} & {operation(node) for node in module.graph.nodes}
    assert torch.allclose(module(x), expected, atol=1e-5)
    for node in _layers(module):
        data, weight = node.all_input_nodes[:2]
        assert node.meta["val"].shape[1:] == data.meta["val"].shape[1:-1] + weight.meta["val"].shape[:1]


@pytest.mark.parametrize("name", OTHERS)
def test_other_products_stay(name: str) -> None:
    """Twins: what is multiplied is computed, or is no matrix of a layer."""
    module, x = _module(OTHERS[name])
    before, expected = len(_layers(module)), module(x)
    assert write_layers(module) == 0
    assert len(_layers(module)) == before
    assert torch.equal(module(x), expected)


@pytest.mark.slow
@pytest.mark.parametrize("format", [Format.PTE, Format.ONNX])
@pytest.mark.parametrize("name", ["and a sum", "addmm", "parts", "tied", "heads first"])
def test_both_formats_compute_them_with_integers(name: str, format: Format) -> None:
    """Weights are stored in 8 bits, where nothing at all was quantized before."""
    torch.manual_seed(0)
    body, count = LAYERS[name]
    found = on_device(Products(body), (5, 8), scheme=Scheme.INT8, batch="batch", format=format)
    linear = [node for node in found.program.program.graph.nodes if operation(node) == "linear"]
    assert len(linear) == count
    assert all(isinstance(weight := node.args[1], fx.Node) and is_dequantize(weight) for node in linear)
    assert found.db > 28
    assert found.wrong_db < 10
