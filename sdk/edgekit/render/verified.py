"""What the real kernels of a device's processor computed, as a person reads it."""

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.verified import Board, Verified
from edgekit.drift.report import Leg
from edgekit.render.layout import heading, indented, simple_table
from edgekit.render.tables import show_verdict


def show_verified(console: Console, found: Verified, what: str) -> None:
    """Print each run, why some were skipped, and the verdict."""
    by = f"emulated by {found.emulator}" if found.emulator else "on this machine"
    if found.board is not None:
        by = f"on {found.board.host}"
    heading(console, f"{found.model} for {found.target}", f"device ({by}), {found.drift.samples} samples")
    console.print()
    if found.board is not None:
        _show_board(console, found.board, sorted({run.kernels for run in found.runs if run.kernels}))
    right = "right"
    table = simple_table(
        ("artifact", "left"), ("processor", "left"), ("identical %", right), ("max abs", right), ("SQNR dB", right),
        ("top-1 %", right), ("total SQNR dB", right),
    )  # fmt: skip
    legs = iter(found.drift.legs)
    outputs = len({leg.output for leg in found.drift.legs})
    for run in found.runs:
        if run.skipped is not None:
            table.add_row(Text(run.artifact), Text("skipped", "yellow"), *[Text("")] * 5)
            continue
        own = [next(legs) for _ in range(outputs)]
        total = [next(legs) for _ in range(outputs)]
        cells = (
            "" if run.identical is None else numbers.percent(run.identical, 2),
            "" if run.max_abs_error is None else numbers.small(run.max_abs_error),
            _sqnr(own[0]),
            "" if (share := own[0].metrics.top1_agreement) is None else numbers.percent(share, 2),
            _sqnr(total[0]),
        )
        table.add_row(Text(run.artifact), Text(run.cpu_model or "this machine's"), *map(Text, cells))
    console.print(indented(table))
    for run in found.runs:
        if run.skipped is not None:
            console.print(indented(Text.assemble((f"{run.artifact} skipped: ", "yellow"), run.skipped)))
    for note in found.drift.notes:
        console.print(indented(Text(f"note: {note}", "dim")))
    console.print()
    show_verdict(console, list(verdict.of_drift(found.drift)), list(verdict.doubts_of(found.drift)), what)


def _show_board(console: Console, board: Board, kernels: list[str]) -> None:
    cores = f", {board.cores} cores" if board.cores else ""
    lines = {
        "board": board.model,
        "processor": f"{' + '.join(board.cpu_models) or 'unknown'} ({board.machine}{cores})",
        "chooses kernels by": " ".join(board.features),
        "system": f"{board.system}, Linux {board.kernel}",
        "kernels": "; ".join(kernels),
    }
    for name, text in lines.items():
        if text:
            console.print(indented(Text.assemble((f"{name}  ", "dim"), text)))
    console.print()


def _sqnr(leg: Leg) -> str:
    return "identical" if leg.metrics.sqnr_db is None else f"{leg.metrics.sqnr_db:.2f}"
