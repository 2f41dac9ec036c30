"""Rewrites of a program to operations that XNNPACK takes, each equal to what it replaces."""

from edgekit.lowering.rewriting.recurrent import inline_weights
from edgekit.lowering.rewriting.rewrite import rewrite

__all__ = ["inline_weights", "rewrite"]
