"""Graphs on another device: tensors move by themselves, and operations that name a device are told."""

import torch
from torch import fx


def follow(graph: fx.GraphModule, device: torch.device) -> None:
    """Let the operations of a captured graph that make tensors make them on a device, in place."""
    named = [node for node in graph.graph.nodes if isinstance(node.kwargs.get("device"), torch.device)]
    if all(node.kwargs["device"] == device for node in named):
        return
    for node in named:
        node.kwargs = {**node.kwargs, "device": device}
    graph.recompile()
