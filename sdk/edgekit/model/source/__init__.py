"""Sources of float models: a project's Python file, or a module that the caller already has."""

from edgekit.model.source.batches import samples_of
from edgekit.model.source.example import source_from_example
from edgekit.model.source.model_file import load_model
from edgekit.model.source.module import source_from_module

__all__ = ["load_model", "samples_of", "source_from_example", "source_from_module"]
