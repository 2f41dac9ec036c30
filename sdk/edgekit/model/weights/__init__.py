"""Weights as people have them: what is read of a file, without running any of it, and how it fits a model."""
