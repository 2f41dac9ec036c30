"""Tables and headings that the renderers share. Imports nothing heavy."""

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def indented(what: RenderableType) -> Padding:
    """Set what stands below a heading two columns in."""
    return Padding(what, (0, 0, 0, 2), expand=False)


def simple_table(*columns: tuple[str, str]) -> Table:
    """Return a table without frames; each column is a title and ``left`` or ``right``."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for title, side in columns:
        table.add_column(title, justify="right" if side == "right" else "left", overflow="fold")
    return table


def fields() -> Table:
    """Return a grid of names and values."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def heading(console: Console, title: str, rest: str = "") -> None:
    """Print a title line."""
    console.print(Text.assemble((title, "bold"), (f"  {rest}" if rest else "", "dim")))
