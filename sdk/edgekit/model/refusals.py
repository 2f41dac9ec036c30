"""Why torch.export refuses a model, in a sentence, and what to write instead: a table of what is common."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Never

import torch

from edgekit.errors import CaptureError
from edgekit.model.userline import Line, of_error

_FLAGS = re.DOTALL
_DEPENDS = r"[Dd]ata-dependent|GuardOnDataDependent|unbacked"
_FIXED = r"Constraints violated|speciali[sz]ed|generated guard"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A kind of refusal."""

    error: str
    """A pattern of the type and the message of the exporter's error."""
    code: str
    """A pattern of the line of the person's code; the empty one fits every line, and where there is none."""
    reason: str
    instead: str


_DEVICES = Refusal(
    error=r"CUDA|different device|same device|expected device|Device mismatch",
    code="",
    reason="Tensors lie on several devices.",
    instead="Make tensors where the input is: torch.ones(6, device=x.device), or register_buffer in __init__.",
)
REFUSALS = (
    Refusal(
        error=_DEPENDS, code=r"^while\b",
        reason="How often the loop runs depends on values, and a file has one graph for all inputs.",
        instead="Loop a fixed number of times, and keep what is done already with torch.where(done, old, new).",
    ),
    Refusal(
        error=_DEPENDS, code=r"^assert\b|^torch\._check|\braise\b",
        reason="The assertion reads values, and a file has one graph for all inputs.",
        instead="Leave it out while the model is exported: if not torch.compiler.is_exporting(): assert ...",
    ),
    Refusal(
        error=_DEPENDS, code=r"\bif\b|\belif\b|\bbool\(|\band\b|\bor\b|\bnot\b",
        reason="Which branch is taken depends on values, and a file has one graph for all inputs.",
        instead="Compute both and choose by value: torch.where(condition, one, other). A large branch: torch.cond.",
    ),
    Refusal(
        error=_DEPENDS, code="",
        reason="A size or a number of Python is made of values; sizes in a file follow from the inputs'.",
        instead="Keep it a tensor: multiply by a mask in place of cutting, topk with a fixed k, torch.where in place "
        "of nonzero, an index of fixed length in place of .item().",
    ),
    Refusal(
        error=_FIXED, code=r"\bfor\b.*\brange\(|^for\b|enumerate|unbind|\.split\(|zip\(",
        reason="The loop over a size that may vary was unrolled for one size.",
        instead="Compute on the whole tensor at once (broadcasting, torch.vmap, a layer over all rows).",
    ),
    Refusal(
        error=_FIXED, code=r"\bif\b|\belif\b|^assert\b|^while\b",
        reason="The code takes another way for other sizes, and a file has one graph for all of them.",
        instead="Write one way for all sizes, or fix the size: batch = 1 under [dimensions], max_batch=1 in Python.",
    ),
    Refusal(
        error=_FIXED, code=r"math\.|int\(|float\(|np\.|numpy",
        reason="A size that may vary became a plain number of Python.",
        instead="Compute with x.shape[0] itself: x.shape[0] ** 0.5 in place of math.sqrt(x.shape[0]), for instance.",
    ),
    Refusal(
        error=_FIXED, code="",
        reason="The model takes one size alone where several are declared.",
        instead="Use -1 or x.shape in view, reshape and expand, not the number; or fix the size: a number in "
        "[[inputs]].shape, batch = 1 under [dimensions], max_batch=1 in Python.",
    ),
    Refusal(
        error=r"\.numpy\(\)|numpy\.ndarray|__array__", code="",
        reason="NumPy computes outside of torch, where nothing can be traced.",
        instead="Write it with torch's functions, or move it in front of the model or behind it.",
    ),
    Refusal(
        error=r"FakeTensor\.__format__|__format__", code="",
        reason="A text is made of a value, which there is none of while the model is traced.",
        instead="Take the print or the log out of forward, or put it behind if not torch.compiler.is_exporting().",
    ),
    Refusal(
        error=r"GradientInForward|autograd\.grad|backward\(\)|element 0 of tensors does not require grad", code="",
        reason="A gradient is computed inside of forward, and runtimes on devices compute none.",
        instead="Write the derivative as a formula, or leave this part to training.",
    ),
    Refusal(
        error=r"fake impl|meta kernel|Meta tensors|'Meta' backend|not have a (fake|meta)", code="",
        reason="An operation is one of your own, or of a library, and says nothing of its result's shape.",
        instead="Write it with torch's operations: a file for phones has no others.",
    ),
    Refusal(
        error=r"constant's list|constants list|lifted_tensor|fake tensor .*leak", code="",
        reason="A tensor is kept outside of the graph, in a list, a hook or an attribute, and read again.",
        instead="Pass it on as a value: return it from the layer and hand it to the next.",
    ),
    _DEVICES,
    Refusal(
        error=r"ScriptModule|ScriptFunction|torch\.jit|TorchScript", code="",
        reason="A part of the model is TorchScript.",
        instead="Take the eager module that was scripted.",
    ),
    Refusal(
        error=r"SymInt|SymFloat|cannot be interpreted as an integer", code="",
        reason="A function of Python or NumPy is given a size that may vary, and takes plain numbers alone.",
        instead="Compute with the size itself (x.shape[0] + 1, torch.arange(x.shape[0])), or fix the size.",
    ),
    Refusal(
        error=r"[Ee]nded|sys\.exit|os\._exit", code="",
        reason="The code ends the process.",
        instead="Raise an error in its place.",
    ),
    Refusal(
        error=r"UnsupportedOperatorException|NotImplementedError", code="",
        reason="The exporter does not know an operation.",
        instead="Write it with other operations; docs/operators.md lists what is built.",
    ),
)  # fmt: skip


class GradientInForwardError(Exception):
    """A model asked for a gradient while it was traced."""


@contextmanager
def without_gradients() -> Iterator[None]:
    """Refuse gradients where they are asked for: the exporter fails later, and cannot say where."""

    def refuse(*given: Any, **named: Any) -> Never:
        raise GradientInForwardError("a gradient is computed")

    grad, backward = torch.autograd.grad, torch.Tensor.backward
    torch.autograd.grad, torch.Tensor.backward = refuse, refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autograd.grad, torch.Tensor.backward = grad, backward  # type: ignore[method-assign]


def refused(name: str, error: BaseException, fixed: Sequence[Line] = ()) -> CaptureError:
    """Return the error that says where the exporter refuses a model, why, and what to write instead.

    Args:
        name: The model's name.
        error: What torch raised.
        fixed: The lines at which a size was fixed.
    """
    line = of_error(error)
    if re.search(_FIXED, str(error)) and not re.search(_DEPENDS, str(error)):
        line = fixed[-1] if fixed else None
    found = explained(error, line)
    where = "" if line is None else f" at {line}"
    said = (str(error).strip() or type(error).__name__).split("\n\n")[0] if found else str(error).strip()
    text = f"torch.export cannot capture {name}{where}\n"
    if found is None:
        return CaptureError(
            f"torch.export cannot capture {name}{where}: {said or type(error).__name__}",
            hint="torch.export.draft_export(model, example) names every place that is refused.",
        )
    return CaptureError(f"{text}{found.reason}\ntorch says: {type(error).__name__}: {said}", hint=found.instead)


def at(error: BaseException) -> str:
    """Return the line of the person's code that an error comes from, to stand in a message; perhaps empty."""
    line = of_error(error)
    return "" if line is None else f"\n  at {line}"


def instead(error: BaseException) -> str:
    """Return what to write instead where a model fails as it is run, before it is traced; empty where nobody knows."""
    text = f"{type(error).__name__}: {error}"
    return f"{_DEVICES.reason} {_DEVICES.instead}" if re.search(_DEVICES.error, text) else ""


def explained(error: BaseException, line: Line | None) -> Refusal | None:
    """Return the kind of a refusal by the exporter's error and the line that it comes from; None: it is of no kind.

    Args:
        error: What torch raised.
        line: The line of the person's code.
    """
    text = f"{type(error).__name__}: {error}"
    code = "" if line is None else line.code
    fits = (
        one for one in REFUSALS if re.search(one.error, text, _FLAGS) and (not one.code or re.search(one.code, code))
    )
    return next(fits, None)
