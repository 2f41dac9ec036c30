"""EdgeKit: from a PyTorch model to verified int8 artifacts for phones and edge devices.

The verbs are functions here; importing the package is light, and torch is loaded when a verb needs it. ``build`` does
it all; ``capture``, ``quantize``, ``lower``, ``verify`` and ``bundle`` are its stages, one by one.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edgekit.api import build
    from edgekit.inspection.predict import predict
    from edgekit.model.streaming import streaming
    from edgekit.pipeline.baseline import record
    from edgekit.pipeline.comparison import compare_path
    from edgekit.pipeline.finetuning import finetune, prepare_qat
    from edgekit.pipeline.measuring import profile, verify
    from edgekit.pipeline.publish import publish
    from edgekit.pipeline.rebuild import build_project
    from edgekit.pipeline.reporting import report
    from edgekit.pipeline.stages import bundle, capture, lower, quantize
    from edgekit.pipeline.streams import stream_drift
    from edgekit.pipeline.sweeping.scorecard import scorecard
    from edgekit.pipeline.sweeping.sweep import sweep
    from edgekit.pipeline.verbs import compare, drop, inspect, run
    from edgekit.spec import Budget, QuantSpec, Scheme, Target, Training

__all__ = [
    "Budget",
    "QuantSpec",
    "Scheme",
    "Target",
    "Training",
    "__version__",
    "build",
    "build_project",
    "bundle",
    "capture",
    "compare",
    "compare_path",
    "drop",
    "finetune",
    "inspect",
    "lower",
    "predict",
    "prepare_qat",
    "profile",
    "publish",
    "quantize",
    "record",
    "report",
    "run",
    "scorecard",
    "stream_drift",
    "streaming",
    "sweep",
    "verify",
]

_HOMES = {
    "Budget": "edgekit.spec",
    "QuantSpec": "edgekit.spec",
    "Scheme": "edgekit.spec",
    "Target": "edgekit.spec",
    "Training": "edgekit.spec",
    "build": "edgekit.api",
    "build_project": "edgekit.pipeline.rebuild",
    "bundle": "edgekit.pipeline.stages",
    "capture": "edgekit.pipeline.stages",
    "compare": "edgekit.pipeline.verbs",
    "compare_path": "edgekit.pipeline.comparison",
    "drop": "edgekit.pipeline.verbs",
    "finetune": "edgekit.pipeline.finetuning",
    "inspect": "edgekit.pipeline.verbs",
    "lower": "edgekit.pipeline.stages",
    "predict": "edgekit.inspection.predict",
    "prepare_qat": "edgekit.pipeline.finetuning",
    "profile": "edgekit.pipeline.measuring",
    "publish": "edgekit.pipeline.publish",
    "quantize": "edgekit.pipeline.stages",
    "record": "edgekit.pipeline.baseline",
    "report": "edgekit.pipeline.reporting",
    "run": "edgekit.pipeline.verbs",
    "stream_drift": "edgekit.pipeline.streams",
    "streaming": "edgekit.model.streaming",
    "scorecard": "edgekit.pipeline.sweeping.scorecard",
    "sweep": "edgekit.pipeline.sweeping.sweep",
    "verify": "edgekit.pipeline.measuring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    from importlib import import_module

    from edgekit.base.noise import leave_out

    leave_out()
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
