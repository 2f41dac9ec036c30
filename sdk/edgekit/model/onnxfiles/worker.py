"""The process that reads and runs an ONNX model of others, started by ``process``.

The first question loads the file and is answered by its bytes, with tensors from files beside it and functions inlined;
each further one runs it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from edgekit.base import child
from edgekit.base.frames import Facts
from edgekit.errors import SourceError

_AGAIN = "Export the float model again: torch.onnx.export(model, args, path)."
Answer = tuple[Facts, Sequence[bytes | memoryview]]


class Worker:
    """One model, once it is loaded."""

    def __init__(self) -> None:
        """Begin without one."""
        self._model = onnx.ModelProto()

    def answer(self, facts: Facts, parts: list[bytes]) -> Answer:
        """Load the file, or run it; what is wrong with it is an answer, too."""
        path = Path(str(facts["file"]))
        try:
            if "feeds" in facts:
                return self._run(facts, parts)
            self._model = _loaded(path)
            return {}, (self._model.SerializeToString(),)
        except SourceError as error:
            return {"error": error.message, "hint": error.hint}, ()
        except MemoryError:
            raise
        except Exception as error:  # protobuf, onnx and the runtime have classes of their own
            lines = (str(error) or type(error).__name__).strip().splitlines()
            what = "does not run in ONNX Runtime" if "feeds" in facts else "cannot be read"
            return {"error": f"{path} {what}: {lines[0]}", "hint": _AGAIN}, ()

    def _run(self, facts: Facts, parts: list[bytes]) -> Answer:
        model = _with_all(self._model) if facts["all"] else self._model
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds: Any = facts["feeds"]
        given = {
            name: np.frombuffer(part, np.dtype(kind)).reshape(shape)
            for (name, kind, shape), part in zip(feeds, parts, strict=True)
        }
        names = [output.name for output in session.get_outputs()]
        results: list[Any] = list(session.run(names, given))
        found = zip(names, results, strict=True)
        kept = [(name, one) for name, one in found if one.dtype.kind in "fiub"]
        kinds: Any = [[name, one.dtype.name, list(one.shape)] for name, one in kept]
        return {"outputs": kinds}, [one.tobytes() for _, one in kept]


def _with_all(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model all of whose values are outputs."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {value.name for value in whole.graph.output}
    names = [name for node in whole.graph.node for name in node.output if name and name not in known]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return whole


def _loaded(path: Path) -> onnx.ModelProto:
    model = onnx.load(path, load_external_data=False)
    _check_external(path, model)
    load_external_data_for_model(model, str(path.parent))
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    onnx.checker.check_model(model)
    return model


def _check_external(path: Path, model: onnx.ModelProto) -> None:
    """Let tensors lie in files beside the model, whole, and nowhere else."""
    folder = path.parent.resolve()
    for tensor in (*model.graph.initializer, *_attribute_tensors(model.graph)):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        place = folder / info.location
        if Path(info.location).is_absolute() or not place.resolve().is_relative_to(folder) or place.is_symlink():
            raise SourceError(
                f"{path} keeps {tensor.name} in {info.location!r}, which is not beside it.",
                hint="Put that file beside it, or save the model in one file: onnx.save(onnx.load(path), path).",
            )
        if not place.is_file():
            raise SourceError(
                f"{path} keeps {tensor.name} in {place}, which does not exist.", hint="Copy it there too."
            )
        if (info.offset or 0) + (info.length or 0) > place.stat().st_size:
            raise SourceError(f"{place}, which holds tensors of {path}, is cut off.", hint="Copy it again.")


def _attribute_tensors(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    return [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]


if __name__ == "__main__":
    child.serve(Worker().answer)
