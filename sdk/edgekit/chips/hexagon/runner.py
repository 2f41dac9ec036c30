"""The process that holds Qualcomm's library, ``python -m edgekit.chips.hexagon.runner``: see `simulator`."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import onnxruntime_qnn as qnn

from edgekit.base.frames import Facts
from edgekit.chips.simulator import Batch, Loaded, serve

_OWN = {"", "qnn", "QNNExecutionProvider"}


def load(data: bytes, facts: Facts) -> Loaded:
    """Load an .onnx for one system on a chip; compile it ahead of time, and see where its nodes run."""
    library = qnn.get_library_path()
    ort.register_execution_provider_library("qnn", library)
    outputs: Any = facts["outputs"]
    with tempfile.TemporaryDirectory() as scratch:
        file, compiled, profile = (Path(scratch) / name for name in ("model.onnx", "compiled.onnx", "profile"))
        file.write_bytes(data)
        options = _options(facts)
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_file_path", str(compiled))
        options.add_session_config_entry("ep.context_embed_mode", "1")
        ort.InferenceSession(str(file), options)
        options = _options(facts)
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
        session = ort.InferenceSession(str(file), options)
        session.run(outputs, {one.name: _zeros(one, facts) for one in session.get_inputs()})
        events = json.loads(Path(str(session.end_profiling())).read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
        # What an app will load: where it loads and answers, so does the file that it was compiled of.
        made = _as_old_as(data, compiled.read_bytes()) if compiled.is_file() else b""
        session = ort.InferenceSession(made or data, _options(facts))

    def run(batch: Batch) -> list[Any]:
        return list(session.run(outputs, dict(batch)))

    return run, {"elsewhere": _elsewhere(events)}, [made]


def _as_old_as(data: bytes, compiled: bytes) -> bytes:
    """Return a compiled file in the version of ONNX's format that its model has: apps read older ones than this host.

    ONNX Runtime 1.32 writes version 14, of which there is nothing in the file, and 1.29 reads up to 13.
    """
    model = onnx.load_model_from_string(compiled)
    model.ir_version = onnx.load_model_from_string(data).ir_version
    return bytes(model.SerializeToString())


def _options(facts: Facts) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what fails is raised, too
    sizes: Any = facts["sizes"]
    for name, size in sizes.items():
        options.add_free_dimension_override_by_name(name, size)
    backend = {
        "backend_type": "htp",
        "htp_arch": str(facts["arch"]),
        "soc_model": str(facts["soc"]),
        # Otherwise the first rounding and the last are the CPU's.
        "offload_graph_io_quantization": "0",
    }
    device = next(device for device in ort.get_ep_devices() if device.ep_name == "qnn")
    options.add_provider_for_devices([device], backend)
    return options


def _zeros(value: ort.NodeArg, facts: Facts) -> Any:
    sizes: Any = facts["sizes"]
    dtypes: Any = facts["dtypes"]
    return np.zeros([sizes.get(side, side) for side in value.shape], np.dtype(dtypes[value.name]))


def _elsewhere(events: list[dict[str, Any]]) -> Any:
    """Return the nodes that another provider ran, each with its operator."""
    nodes = [event for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
    others = [event for event in nodes if event["args"]["provider"] not in _OWN]
    return list(
        dict.fromkeys(f"{one['args']['op_name']} ({one['name'].removesuffix('_kernel_time')})" for one in others)
    )


if __name__ == "__main__":
    serve(load)
