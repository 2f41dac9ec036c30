"""Tables and headings that the renderers share. Imports nothing heavy."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text


def indented(what: RenderableType) -> Padding:
    """Set what stands below a heading two columns in."""
    return Padding(what, (0, 0, 0, 2), expand=False)


class Rows(Table):
    """A table that never breaks a word or a number.

    Where its columns do not fit beside each other, texts are wrapped between words; where that is not enough, each row
    becomes a column, or a list of its own.
    """

    def __init__(self) -> None:
        """Take no columns yet."""
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits."""
        if self._wrap(console, options):
            yield from super().__rich_console__(console, options)
        elif _fits(turned := self._turned(), console, options):
            yield turned
        else:
            yield self._listed()

    def _wrap(self, console: Console, options: ConsoleOptions) -> bool:
        """Give columns of text a width, the largest share to the longest; return whether all words fit."""
        unbound = options.update(width=10_000)
        needs = [self._needs(console, unbound, column) for column in self.columns]
        room = options.max_width - self._extra_width - sum(self._get_padding_width(at) for at in range(len(needs)))
        room -= sum(
            need.maximum if column.no_wrap else need.minimum for need, column in zip(needs, self.columns, strict=True)
        )
        if room < 0:
            return False
        for need, column in zip(needs, self.columns, strict=True):
            if not column.no_wrap:
                more = min(room, need.maximum - need.minimum)
                column.width, room = need.minimum + more, room - more
        return True

    @staticmethod
    def _needs(console: Console, options: ConsoleOptions, column: Column) -> Measurement:
        cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
        return Measurement(max(cell.minimum for cell in cells), max(cell.maximum for cell in cells))

    def _turned(self) -> Table:
        grid = fields()
        for _ in self.rows[1:]:
            grid.add_column(overflow="fold")
        for column in self.columns:
            grid.add_row(column.header, *column.cells)
        return grid

    def _listed(self) -> Table:
        grid = fields()
        for number in range(len(self.rows)):
            if number:
                grid.add_row("", "")
            for column in self.columns:
                grid.add_row(column.header, list(column.cells)[number])
        return grid


def _fits(table: Table, console: Console, options: ConsoleOptions) -> bool:
    return Measurement.get(console, options.update(width=10_000), table).maximum <= options.max_width


def simple_table(*columns: tuple[str, str]) -> Table:
    """Return a table without frames; each column is a title and ``left`` for texts or ``right`` for numbers."""
    table = Rows()
    for title, side in columns:
        right = side == "right"
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=right)
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
