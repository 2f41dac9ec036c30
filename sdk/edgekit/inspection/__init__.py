"""What is inside a .pte, an .onnx, a trace or a bundle, as values."""

from pathlib import Path

from edgekit.errors import BundleError
from edgekit.inspection.values import BundleFolder, Inspection, OnnxFile, PteFile, Tensor, TraceFile

__all__ = ["BundleFolder", "Inspection", "OnnxFile", "PteFile", "Tensor", "TraceFile", "inspect_file"]


def inspect_file(path: Path) -> Inspection:
    """Look into a file, or into the folder of a bundle.

    Raises:
        RunError: If it is a damaged artifact.
        BundleError: If there is no such file, it is a damaged bundle or trace, or of no kind that EdgeKit writes.
    """
    if path.is_dir():
        from edgekit.inspection import bundle

        return bundle.inspect(path)
    if not path.is_file():
        raise BundleError(f"There is no file {path}.", hint="Build one: edgekit build --target NAME")
    match path.suffix.lower():
        case ".pte":
            from edgekit.inspection import pte

            return pte.inspect(path)
        case ".onnx":
            from edgekit.inspection import onnx

            return onnx.inspect(path)
        case ".npz":
            from edgekit.inspection import trace

            return trace.inspect(path)
        case ".json" if path.name == "manifest.json":
            from edgekit.inspection import bundle

            return bundle.inspect(path.parent)
        case suffix:
            raise BundleError(
                f"{path} is of no kind that can be inspected ({suffix or 'no ending'}).",
                hint="Give a .pte, an .onnx, a trace (.npz) or a bundle's folder.",
            )
