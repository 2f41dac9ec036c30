"""Where two computations of one model part, as a person reads it."""

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles.bisection import Bisection, Compared, Parting
from edgekit.render.layout import fields, heading, indented


def show_bisection(console: Console, found: Bisection) -> None:
    """Print where each artifact parts from the program, or which layer stands out."""
    heading(console, "bisect", f"{found.first} against {found.second}")
    for one in found.compared:
        console.print()
        _compared(console, one)
    if found.compared:
        return
    console.print()
    if (suspect := found.suspect) is None:
        console.print(indented(Text("No layer stands out: the error of int8 is spread over all of them.")))
        return
    grid = fields()
    grid.add_row("layer", Text.assemble((suspect.path, "bold"), f" ({suspect.kind})"))
    grid.add_row(
        "alone in int8", f"{_ratio(suspect.only_sqnr_db)}; half of the layers are above {suspect.median_db:.1f} dB"
    )
    console.print(indented(grid))


def parting_line(one: Compared) -> str:
    """Return in one line where an artifact parts."""
    assert one.parting is not None
    return f"{one.artifact} computes something else than the quantized program from {_place(one.parting)} on."


def _compared(console: Console, one: Compared) -> None:
    parting = one.parting
    if parting is None:
        said = "no operation parts beyond rounding" if one.inside else "its operations cannot be seen"
        console.print(indented(Text.assemble((one.artifact, "bold"), f": {said}")))
        console.print(indented(Text(one.note, "dim")))
        return
    console.print(indented(Text.assemble((one.artifact, "bold"), " parts at ", (_place(parting), "bold red"))))
    grid = fields()
    grid.add_row("alone", f"SQNR {_ratio(parting.sqnr_db)}, the program led by the file's own values")
    largest = f"largest difference {parting.largest:.6g}"
    if parting.largest_steps is not None and parting.differing is not None:
        share = numbers.percent(parting.differing)
        largest += f", {parting.largest_steps:.4g} steps; {share} % of the values on another"
    grid.add_row("differs", largest)
    if (worst := parting.worst) is not None:
        index = ", ".join(map(str, worst.index))
        grid.add_row("worst", f"at ({index}): program {worst.first:.6g}, file {worst.second:.6g}")
    grid.add_row("value", f"{parting.value} of the file, {parting.name} of the program")
    if parting.reason:
        grid.add_row("because", parting.reason)
    if one.reproducer is not None:
        grid.add_row("reproduce", f"python {one.reproducer}/reproduce.py")
    console.print(indented(grid))
    console.print(indented(Text(one.note, "dim")))


def _place(parting: Parting) -> str:
    where = ", ".join(filter(None, (parting.path, parting.line)))
    return f"{parting.operation} ({where})" if where else parting.operation


def _ratio(value: float | None) -> str:
    return "identical" if value is None else f"{value:.1f} dB"
