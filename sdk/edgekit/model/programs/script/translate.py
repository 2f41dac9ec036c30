"""TorchScript's graphs become steps, and its modules become modules: with all that nothing here computes, by line."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import SourceError
from edgekit.model.programs.script.module import Scripted
from edgekit.model.programs.script.operators import computed_by
from edgekit.model.programs.script.steps import Block, Step

_CONTROL = {"prim::If", "prim::Loop"}
_SHOWN = 5


class Translation:
    """One program on its way from TorchScript; holds the modules that were met, and what could not be translated."""

    def __init__(self, origin: str, unit: Any) -> None:
        self.origin, self.unit = origin, unit
        self.faults: list[str] = []
        self._near = "no line is known"
        self._tensors: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Tensor] = {}
        self._functions: dict[str, Block] = {}

    def module(self, script: Any) -> Scripted:
        """Return the module with all that its ``forward`` calls.

        Args:
            script: A ``torch._C.ScriptModule``.

        Raises:
            SourceError: With all operations that nothing here computes, each with its line.
        """
        made = _Half(script)
        self._method(made, "forward")
        if self.faults:
            more = [f"and {len(self.faults) - _SHOWN} more"] if len(self.faults) > _SHOWN else []
            lines = "\n".join(f"  - {line}" for line in [*dict.fromkeys(self.faults[:_SHOWN]), *more])
            raise SourceError(
                f"{self.origin} calls what no artifact can compute:\n{lines}",
                hint="Build the eager module instead, model.source with a state dict, or script the module without it.",
            )
        return made.made

    def _method(self, owner: "_Half", name: str) -> None:
        if name in owner.made.edgekit_methods:
            return
        method = owner.script._get_method(name)
        owner.made.edgekit_methods[name] = Block(reads=(), writes=(), steps=())  # one that calls itself ends here
        graph = method.graph
        own, *reads = [_name(value) for value in graph.inputs()]
        block = self._block(graph, owner, {own: ""}, tuple(reads))
        owner.made.edgekit_methods[name] = block

    def _block(self, block: Any, owner: "_Half | None", modules: dict[str, str], reads: tuple[str, ...]) -> Block:
        steps: list[Step] = []
        for node in block.nodes():
            self._near = _place(node) or self._near  # an assignment has no line of its own
            steps += self._step(node, owner, modules)
        return Block(reads=reads, writes=tuple(map(_name, block.outputs())), steps=tuple(steps))

    def _step(self, node: Any, owner: "_Half | None", modules: dict[str, str]) -> list[Step]:
        kind, place = node.kind(), self._near
        reads, writes = tuple(map(_name, node.inputs())), tuple(map(_name, node.outputs()))
        common: dict[str, Any] = {"kind": kind, "place": place, "writes": writes}
        if kind == "prim::Constant":
            return self._constant(node, owner, common)
        if kind == "prim::GetAttr" and owner is not None:
            return self._attribute(owner, modules, node.s("name"), reads[0], writes[0], common)
        if kind == "prim::CallMethod" and owner is not None and reads[0] in modules:
            path, method = modules[reads[0]], node.s("name")
            self._method(owner.below(path), method)
            return [Step(reads=reads[1:], path=path, method=method, **common)]
        if kind == "prim::CallFunction":
            function = self._function(node)
            return [Step(reads=reads[1:], blocks=(function,), **common)] if function else []
        if kind in _CONTROL:
            blocks = tuple(
                self._block(block, owner, modules, tuple(map(_name, block.inputs()))) for block in node.blocks()
            )
            return [Step(reads=reads, blocks=blocks, **common)]
        run = computed_by(kind, node.schema() if node.schema() != "(no schema)" else "")
        if run is None:
            self.faults.append(f"{_words(kind)} at {place}")
            return []
        return [Step(reads=reads, run=run, **common)]

    def _constant(self, node: Any, owner: "_Half | None", common: dict[str, Any]) -> list[Step]:
        if node.hasAttribute("name"):
            return []  # a function, which is looked up where it is called
        if not node.hasAttribute("value"):
            return [Step(reads=(), run=lambda: None, **common)]
        value = node.output().toIValue()
        if isinstance(value, Tensor) and owner is not None:
            name = f"constant_{len(list(owner.made.buffers(recurse=False)))}"
            owner.made.register_buffer(name, value.detach().clone())
            return [Step(reads=(), path=name, **{**common, "kind": "prim::GetAttr"})]
        if isinstance(value, torch.device):
            value = torch.device("cpu")
        return [Step(reads=(), run=lambda: value, **common)]

    def _attribute(
        self, owner: "_Half", modules: dict[str, str], name: str, read: str, written: str, common: dict[str, Any]
    ) -> list[Step]:
        if read not in modules:
            self.faults.append(f"an attribute of a value that is no module, {name}, at {common['place']}")
            return []
        path = f"{modules[read]}.{name}".lstrip(".")
        holder = owner.below(modules[read])
        if name in holder.children:
            holder.child(name)
            modules[written] = path
            return []
        if name == "training":
            return [Step(reads=(), run=lambda: False, **{**common, "kind": "prim::Constant"})]
        if not hasattr(holder.made, name):
            self._put(holder, name)
        return [Step(reads=(), path=path, **common)]

    def _put(self, holder: "_Half", name: str) -> None:
        value = holder.script.getattr(name)
        if isinstance(value, torch.ScriptObject):
            self.faults.append(f"an object of class {value._type()}: packed weights, as of quantized models")
        elif isinstance(value, Tensor):
            self._register(holder, name, value)
        elif isinstance(value, list) and value and all(isinstance(item, Tensor) for item in value):
            parameters: Any = torch._C.ParameterDict(holder.script)
            known = {tensor.data_ptr(): own for own, tensor in parameters.items()}
            names = tuple(known.get(item.data_ptr(), f"{name}_{number}") for number, item in enumerate(value))
            for own, item in zip(names, value, strict=True):
                if not hasattr(holder.made, own):
                    self._register(holder, own, item)
            holder.made.edgekit_lists[name] = names
            setattr(holder.made, name, None)
        else:
            setattr(holder.made, name, value)

    def _register(self, holder: "_Half", name: str, value: Tensor) -> None:
        key = (value.data_ptr() if value.numel() else id(value), tuple(value.shape), tuple(value.stride()))
        tensor = self._tensors.setdefault(key, value)
        if not (tensor.requires_grad and tensor.is_floating_point()):
            holder.made.register_buffer(name, tensor.detach())
            return
        if not isinstance(tensor, nn.Parameter):
            tensor = self._tensors[key] = nn.Parameter(tensor.detach())
        holder.made.register_parameter(name, tensor)

    def _function(self, node: Any) -> Block | None:
        called = next(iter(node.inputs())).type().annotation_str
        if called not in self._functions:
            function = self.unit.find_function(called)
            if function is None:
                self.faults.append(f"{called}, which is not in the file, at {self._near}")
                return None
            graph = function.graph
            self._functions[called] = self._block(graph, None, {}, tuple(map(_name, graph.inputs())))
        return self._functions[called]


class _Half:
    """A module of the file beside what is being made of it."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.made = Scripted()
        self.made.edgekit_methods, self.made.edgekit_lists = {}, {}
        self.made.eval()
        self.children = dict(torch._C.ModuleDict(script).items())
        self._halves: dict[str, _Half] = {}

    def child(self, name: str) -> "_Half":
        if name not in self._halves:
            self._halves[name] = _Half(self.children[name])
            self.made.add_module(name, self._halves[name].made)
        return self._halves[name]

    def below(self, path: str) -> "_Half":
        found = self
        for name in filter(None, path.split(".")):
            found = found.child(name)
        return found


def _name(value: Any) -> str:
    return str(value.debugName())


def _words(kind: str) -> str:
    reasons = {
        "prim::PythonOp": "a Python function",
        "prim::SetAttr": "an assignment to an attribute of the module, which is state that stays between calls,",
        "prim::fork": "a task in the background",
    }
    return reasons.get(kind, kind)


def _place(node: Any) -> str:
    """Return file, line and text of the code that a node was made of; empty if nobody knows."""
    try:
        text = str(node.sourceRange())
    except Exception:  # where lines are written down may be damaged: that takes no more than them
        return ""
    found = re.search(r'File "(?P<file>[^"]*)", line (?P<line>\d+)(?P<code>.*?)<--- HERE', text, flags=re.DOTALL)
    if not found:
        return ""
    lines = [line.strip() for line in found["code"].splitlines() if line.strip() and not set(line.strip()) <= {"~"}]
    code = next((line for line in reversed(lines) if not line.startswith("~")), "")
    return f"{found['file']}:{found['line']}: {code}"[:200]
