"""Rewrites of a program to operations that XNNPACK takes, each equal to what it replaces."""

from edgekit.lowering.rewriting.recurrent import has_recurrent_layers, inline_weights
from edgekit.lowering.rewriting.rewrite import rewrite, rewrite_ceil_pools
from edgekit.lowering.rewriting.writer import drop_unused

__all__ = ["drop_unused", "has_recurrent_layers", "inline_weights", "rewrite", "rewrite_ceil_pools"]
