"""All rows, in the order of the page."""

from tests.operators import functions, layers
from tests.operators.rows import Row

ROWS: tuple[Row, ...] = (
    *layers.weighted(),
    *layers.norms(),
    *layers.activations(),
    *layers.pools(),
    *layers.pads(),
    *layers.resizing(),
    *functions.reductions(),
    *functions.reshapes(),
    *functions.arithmetic(),
    *functions.attention(),
    *functions.recurrent(),
)
"""Every row of the matrix."""
