"""In what a kernel of a .pte is another than that of the file lowered from the program."""

from edgekit.pipeline.bisecting.ptefile import Inner, PteFile
from edgekit.pipeline.bisecting.xnnpack import float_of

_FLOATS = {"output_min", "output_max", "negative_slope", "alpha", "padding_value"}
_WEIGHTS = ("its input", "its weight", "its bias")
_NONE = {"output_min": float("-inf"), "output_max": float("inf")}


def differences(own: PteFile, mine: Inner, other: PteFile, theirs: Inner) -> dict[str, str]:
    """Return what a person may be told of each setting and constant that differs, by its name.

    Args:
        own: The file lowered from the program.
        mine: The value that its kernel computes.
        other: Another file.
        theirs: The value there.
    """
    found = {}
    right, wrong = dict(mine.kernel.settings), dict(theirs.kernel.settings)
    for name in dict.fromkeys((*right, *wrong)):
        if right.get(name) != wrong.get(name):
            found[name] = f"{name} is {_said(name, wrong)} in the file, {_said(name, right)} in the program's own"
    for at, (one, another) in enumerate(zip(mine.kernel.inputs, theirs.kernel.inputs, strict=False)):
        what = _WEIGHTS[min(at, len(_WEIGHTS) - 1)]
        ours, others = own.delegates[mine.call], other.delegates[theirs.call]
        if ours.constant(one, own.named) != others.constant(another, other.named):
            found[what] = f"{what} is another than in the program's own file"
        elif ours.scales(one, own.named) != others.scales(another, other.named):
            found[what] = f"{what} has other steps than in the program's own file"
    return found


def _said(name: str, settings: dict[str, object]) -> str:
    value = settings.get(name)
    if value is None:
        return str(_NONE.get(name, "none"))
    return f"{float_of(value):.6g}" if name in _FLOATS and isinstance(value, int) else str(value)
