"""A module of TorchScript, carried out step by step in plain torch: ``torch.export`` follows it as any other module."""

from typing import Any

from torch import nn

from edgekit.model.programs.script.steps import Block, Step, told

_ENDLESS = 2**31


class Scripted(nn.Module):
    """Has the submodules, parameters and buffers of the file under their names: what is our own has no plain one."""

    edgekit_methods: dict[str, Block]
    """Its methods, by name."""
    edgekit_lists: dict[str, tuple[str, ...]]
    """Attributes that are lists of tensors: by which names these are registered."""

    def forward(self, *given: Any, method: str = "forward") -> Any:
        """Carry out a method; without keywords, which TorchScript passes by position."""
        block = self.edgekit_methods[method]
        (result,) = _block(self, block, dict(zip(block.reads, given, strict=True)))
        return result


def _block(module: Scripted, block: Block, registers: dict[str, Any]) -> list[Any]:
    for step in block.steps:
        try:
            registers.update(zip(step.writes, _step(module, step, registers), strict=True))
        except Exception as error:  # anything may be raised by torch
            fault = told(step, error)
            raise fault from (None if fault is error else error)
    return [registers[name] for name in block.writes]


def _step(module: Scripted, step: Step, registers: dict[str, Any]) -> list[Any]:
    given = [registers[name] for name in step.reads]
    match step.kind:
        case "prim::If":
            return _block(module, step.blocks[0 if given[0] else 1], registers)
        case "prim::Loop":
            return _loop(module, step.blocks[0], given, registers)
        case "prim::CallMethod":
            called = module.get_submodule(step.path)
            if called is module:
                return [Scripted.forward(module, *given, method=step.method)]
            return [called(*given) if step.method == "forward" else called(*given, method=step.method)]
        case "prim::CallFunction":
            (function,) = step.blocks
            return _block(module, function, dict(zip(function.reads, given, strict=True)))
        case "prim::GetAttr":
            path, _, name = step.path.rpartition(".")
            owner: Any = module.get_submodule(path)
            names = owner.edgekit_lists.get(name)
            return [getattr(owner, name) if names is None else [getattr(owner, one) for one in names]]
    assert step.run is not None
    result = step.run(*given)
    spread = len(step.writes) > 1 or step.kind in ("prim::ListUnpack", "prim::TupleUnpack")
    return list(result) if spread else [result][: len(step.writes)]


def _loop(module: Scripted, body: Block, given: list[Any], registers: dict[str, Any]) -> list[Any]:
    most, going, *carried = given
    count = 0
    while going and (most >= _ENDLESS or count < most):
        inner = registers | dict(zip(body.reads, (count, *carried), strict=True))
        going, *carried = _block(module, body, inner)
        count += 1
    return carried


def with_signature(module: Scripted, name: str, parameters: tuple[str, ...]) -> Scripted:
    """Give a module a class of its own whose ``forward`` names its parameters.

    Args:
        module: The outermost one; changed in place.
        name: Of the class that was scripted.
        parameters: Of its ``forward``, without ``self``.
    """
    import inspect

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def forward(self: Scripted, *given: Any) -> Any:
        return Scripted.forward(self, *given)

    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", kind), *(inspect.Parameter(one, kind) for one in parameters)]
    )
    module.__class__ = type(name, (Scripted,), {"forward": forward, "__module__": __name__})
    return module
