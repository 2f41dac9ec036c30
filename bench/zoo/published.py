"""Where the results of the zoo stand: docs/zoo.json, and the page that is made from it."""

from bench.environments import ROOT
from bench.zoo import page, results

FILE, PAGE = ROOT / "docs" / "zoo.json", ROOT / "docs" / "zoo.md"


def load() -> results.Results:
    """Return what was measured before."""
    return results.load(FILE)


def publish(found: results.Results) -> None:
    """Write results and page."""
    FILE.write_text(found.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    PAGE.write_text(page.render(found), encoding="utf-8")
