"""What is known of symbolic sizes is the program's own: a lowering may learn more of them for its own copy alone."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.export import ExportedProgram


@contextmanager
def keeping_sizes(program: ExportedProgram) -> Iterator[None]:
    """Forget, at the end, what was learned of the sizes of a program meanwhile.

    Copies of a program share its symbols. What a lowering takes a size for - a check of ExecuTorch evaluates a split of
    any batch for the batch that was traced, in 1.5.1 - would hold for every later lowering: an .onnx behind a .pte then
    had that batch in its reshapes, and took no other.
    """
    environments = {id(env): env for env in map(_environment, program.graph.nodes) if env is not None}
    kept = [(env, _containers(env)) for env in environments.values()]
    try:
        yield
    finally:
        for env, containers in kept:
            vars(env).update(containers)
            env._version_counter += 1  # what was worked out from them is remembered by these
            env._replacements_version_counter += 1


def _environment(node: Any) -> Any:
    values = node.meta.get("val")
    for value in values if isinstance(values, list | tuple) else [values]:
        mode = getattr(value, "fake_mode", None)
        if mode is not None and mode.shape_env is not None:
            return mode.shape_env
    return None


def _containers(env: Any) -> dict[str, Any]:
    return {name: copy.copy(value) for name, value in vars(env).items() if isinstance(value, dict | list | set)}
