"""``graph.json`` in a bundle: the network, for the page. No app reads it, and a bundle is whole without it."""

from pathlib import Path

from pydantic import ValidationError

from edgekit.model.drawing import Drawing

GRAPH_FILE = "graph.json"


def of_bundle(folder: Path) -> Drawing | None:
    """Return the network of a bundle; None if it has none that this version reads."""
    try:
        return Drawing.model_validate_json((folder / GRAPH_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
