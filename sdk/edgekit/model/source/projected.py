"""LSTMs that project their state (``proj_size``) as LSTMs that do not, with linear layers behind them.

ONNX has no such operator, and ExecuTorch takes it apart into every step. The state that is fed back is a product with
the projection, so the product of both matrices feeds back what stands before it:
``W_hh (W_hr z) = (W_hh W_hr) z`` (Sak et al. 2014, "Long short-term memory based recurrent neural network
architectures", equations 7 to 12).
"""

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn


class Projected(nn.Module):
    """Computes what an LSTM with a projection computes."""

    def __init__(self, lstm: nn.LSTM) -> None:
        """Take the weights of a layer of ``torch.nn``, whose ``proj_size`` is not 0."""
        super().__init__()
        self.sides = 2 if lstm.bidirectional else 1
        self.layers = nn.ModuleList()
        self.projections = nn.ModuleList()
        for layer in range(lstm.num_layers):
            size = lstm.proj_size * self.sides if layer else lstm.input_size
            plain = nn.LSTM(
                size, lstm.hidden_size, bias=lstm.bias, batch_first=lstm.batch_first, bidirectional=lstm.bidirectional
            )
            downs = []
            for side in range(self.sides):
                given, own = (f"_l{number}{'_reverse' * side}" for number in (layer, 0))
                down = getattr(lstm, f"weight_hr{given}")
                downs.append(down)
                fed_back = getattr(lstm, f"weight_hh{given}").double() @ down.double()
                setattr(plain, f"weight_hh{own}", nn.Parameter(fed_back.to(down.dtype)))
                for kind in ("weight_ih", *(("bias_ih", "bias_hh") if lstm.bias else ())):
                    setattr(plain, kind + own, nn.Parameter(getattr(lstm, kind + given).detach().clone()))
            projection = nn.Linear(lstm.hidden_size * self.sides, lstm.proj_size * self.sides, bias=False)
            projection.weight = nn.Parameter(torch.block_diag(*downs))  # type: ignore[no-untyped-call]
            self.layers.append(plain)
            self.projections.append(projection)
            stacked = torch.stack(downs)
            self.register_buffer(f"down_{layer}", stacked.mT.contiguous())
            # A state that is given is projected already: any that its projection gives will do.
            self.register_buffer(f"up_{layer}", torch.linalg.pinv(stacked.double()).mT.to(stacked.dtype).contiguous())

    def forward(self, data: Tensor, hx: Sequence[Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return what ``torch.nn.LSTM`` returns."""
        outputs, cells = [], []
        for number, (layer, projection) in enumerate(zip(self.layers, self.projections, strict=True)):
            part = slice(number * self.sides, (number + 1) * self.sides)
            if hx is None:
                data, (state, cell) = layer(data)
            else:
                data, (state, cell) = layer(data, (_each(hx[0][part], getattr(self, f"up_{number}")), hx[1][part]))
            data = projection(data)
            outputs.append(_each(state, getattr(self, f"down_{number}")))
            cells.append(cell)
        return data, (torch.cat(outputs), torch.cat(cells))


def _each(states: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the states of each side, (sides, batch, size) or (sides, size), with a matrix of its own."""
    return states @ matrices if states.dim() == 3 else (states[:, None] @ matrices)[:, 0]


def without_projections(model: nn.Module) -> nn.Module:
    """Put layers without a projection in the place of those with one; the given module is changed."""
    if _projects(model):
        return Projected(model).eval()
    made: dict[nn.Module, nn.Module] = {}
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):  # under each of its names
            if child is not None and _projects(child):
                setattr(module, name, made.setdefault(child, Projected(child).eval()))
    return model


def _projects(module: nn.Module) -> TypeGuard[nn.LSTM]:
    return type(module) is nn.LSTM and module.proj_size > 0
