"""What an artifact makes of one picture, as a person reads it."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from edgekit.base import numbers
from edgekit.render.layout import fields, heading, indented, simple_table

if TYPE_CHECKING:
    from edgekit.inspection.predict import Prediction


def show_prediction(console: Console, prediction: "Prediction", top: int) -> None:
    """Print what an artifact makes of a picture."""
    heading(console, prediction.artifact)
    if prediction.classes:
        table = simple_table(("class", "left"), ("probability", "right"))
        for label, probability in prediction.classes[:top]:
            table.add_row(Text(label), f"{numbers.percent(probability, 2)} %")
        console.print(indented(table))
        return
    grid = fields()
    for name, array in prediction.outputs.items():
        first = ", ".join(f"{value:.5g}" for value in array.ravel()[:top].tolist())
        rest = ", ..." if array.size > top else ""
        grid.add_row(name, Text(f"{array.dtype.name}  {numbers.shape(array.shape)}  [{first}{rest}]"))
    console.print(indented(grid))
