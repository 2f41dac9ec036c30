"""Models that come as programs: exported archives, TorchScript, ONNX, and names of libraries that know the network."""

from edgekit.model.programs.describe import Described, complete, describe
from edgekit.model.programs.read import of_object, of_path, read
from edgekit.model.programs.source import source_of

__all__ = ["Described", "complete", "describe", "of_object", "of_path", "read", "source_of"]
