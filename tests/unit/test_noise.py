"""Lines of libraries that are left out are those and no others."""

import logging
import warnings

import pytest

from edgekit.base.noise import leave_out


def test_known_lines_are_left_out_and_others_pass(caplog: pytest.LogCaptureFixture) -> None:
    """Of the same logger and of the same class of warning; called again it adds nothing."""
    leave_out()
    leave_out()
    logger = logging.getLogger("torchao")
    assert len([known for known in logger.filters if type(known).__module__ == "edgekit.base.noise"]) == 1
    with caplog.at_level(logging.WARNING, "torchao"):
        logger.warning("Failed to load %s: %s", "kernels.so", "no CUDA")
        logger.warning("A weight was not quantized")
    assert [record.getMessage() for record in caplog.records] == ["A weight was not quantized"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        leave_out()
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated, use another", FutureWarning, stacklevel=1)
        warnings.warn("this keyword will be removed", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == ["this keyword will be removed"]
