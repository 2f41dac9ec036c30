"""EdgeKit: from a PyTorch model to verified int8 artifacts for phones and edge devices.

The verbs are functions here; importing the package is light, and torch is loaded when a verb needs it.
"""

from typing import TYPE_CHECKING, Any

from edgekit.version import __version__

if TYPE_CHECKING:
    from edgekit.api import build
    from edgekit.apps.drop import drop
    from edgekit.baseline import record
    from edgekit.comparison import compare_path
    from edgekit.predict import predict
    from edgekit.rebuild import build_project

__all__ = ["__version__", "build", "build_project", "compare_path", "drop", "predict", "record"]

_HOMES = {
    "build": "edgekit.api",
    "build_project": "edgekit.rebuild",
    "compare_path": "edgekit.comparison",
    "drop": "edgekit.apps.drop",
    "predict": "edgekit.predict",
    "record": "edgekit.baseline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # importing `edgekit.predict` has put the module in the place of its function
    return value
