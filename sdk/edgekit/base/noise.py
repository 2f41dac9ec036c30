"""Leaves out what libraries say of their own code, and whoever uses ours can do nothing about.

The command line swallows all that they print. In a script the streams are its author's, so that only these few lines,
known word by word, are left out, and all else is passed on.
"""

import logging
import warnings

_LOGGED = {
    "torchao": "Failed to load ",  # kernels for GPUs, in the build of torch that has none
    "torch.utils._pytree": "<enum 'KernelPreference'> is an Enum subclass",
    "torch.onnx._internal.exporter._registration": "torchvision is not installed",
}
_WARNED = r"`isinstance\(treespec, LeafSpec\)` is deprecated"


def leave_out() -> None:
    """Filter these lines from now on, in this process; once is enough."""
    for name, beginning in _LOGGED.items():
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Without) for known in logger.filters):
            logger.addFilter(_Without(beginning))
    warnings.filterwarnings("ignore", message=_WARNED, category=FutureWarning)


class _Without(logging.Filter):
    def __init__(self, beginning: str) -> None:
        super().__init__()
        self._beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self._beginning)
