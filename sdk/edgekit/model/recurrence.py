"""Recurrent layers while programs are traced: what they give is known by its shape, and no step need be computed.

torch takes an LSTM apart into every step of it whenever it asks for the shape of what comes out, and forgets the steps:
0.1 s for each step of two layers, in each of the traces that a build takes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._decomp import decomposition_table
from torch._subclasses import FakeTensor

_aten = torch.ops.aten
_LAYERS = (_aten.lstm.input, _aten.gru.input, _aten.rnn_tanh.input, _aten.rnn_relu.input)
_KEYS = (DispatchKey.CompositeImplicitAutograd, DispatchKey.Autograd)
_Kernel = Callable[..., tuple[Tensor, ...]]


@contextmanager
def traced_by_shape() -> Iterator[None]:
    """Within the block, recurrent layers on tensors without values give such tensors, and compute nothing.

    Their shapes, types and strides are those that torch's own way gives. Layers on real tensors compute as ever.
    """
    with ExitStack() as stack:
        for layer in _LAYERS:
            tables: list[tuple[dict[Any, Any], object]] = [(layer.py_kernels, key) for key in _KEYS]
            for table, key in (*tables, (decomposition_table, layer)):
                own = table.get(key)
                if own is not None:
                    stack.callback(_put, layer, table, key, own)
                    _put(layer, table, key, partial(_by_shape, own))
        yield


def _put(layer: Any, table: dict[Any, Any], key: object, kernel: _Kernel) -> None:
    table[key] = kernel
    layer._dispatch_cache.clear()


def _by_shape(
    own: _Kernel,
    data: Tensor,
    hx: Tensor | Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """Take what ``aten::lstm.input`` takes, and return tensors of the shapes of what it returns."""
    if train or not isinstance(data, FakeTensor):
        return own(data, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    first, second = data.shape[:2]
    width = states[0].shape[2] * (2 if bidirectional else 1)
    # Computed step by step, and then turned, so its numbers do not lie in the order of its dimensions.
    size = (second, first, width) if batch_first else (first, second, width)
    steps = data.new_empty(size).transpose(0, 1) if batch_first else data.new_empty(size)
    return (steps, *(state.new_empty(state.shape) for state in states))
