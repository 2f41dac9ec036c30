"""From a template, documents and plain values to the text of one self-contained page."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic import JsonValue

from edgekit.base.text import plain
from edgekit.render.page.forms import FORMS, PAIRS, show, show_pair
from edgekit.render.page.terms import tip
from edgekit.render.page.traced import Traced

_HERE = Path(__file__).parent
_SAID = 12
"""How often a page says what a term means: not again at the head of each of hundreds of tables."""


def render(template: str, documents: Mapping[str, JsonValue], **values: object) -> str:
    """Return a page.

    Args:
        template: Name of the file in ``templates``.
        documents: The JSON values that the page shows and carries, by name; each is to be had as `Traced`.
        values: What else the template takes: all that decides how the page looks, and no figure that it prints.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
    environment.filters["form"] = show
    for form in FORMS:
        environment.filters[form] = partial(show, form=form)
    for pair in PAIRS:
        environment.filters[pair] = partial(show_pair, pair=pair)
    environment.filters["pair"] = show_pair
    documents = {name: _plain(value) for name, value in documents.items()}
    traced = {name: Traced(raw=value, pointer=f"/{name}") for name, value in documents.items()}
    embedded = {name: _embedded(value) for name, value in documents.items()}
    return _with_tips(environment.get_template(template).render(documents=embedded, asset=_asset, **traced, **values))


def _with_tips(page: str) -> str:
    """Say at the head of each column, and of each figure, what its term means and what a good value is."""
    said: Counter[str] = Counter()

    def told(found: re.Match[str]) -> str:
        said[found["title"]] += 1
        text = tip(found["title"]) if said[found["title"]] <= _SAID else ""
        return f'{found["open"]} title="{escape(text)}">{found["title"]}<' if text else found[0]

    return re.sub(r'(?P<open><(?:th scope="col"(?: class="number")?|dt))>(?P<title>[^<>{}]+)<', told, page)


def _plain(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return plain(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {plain(key): _plain(item) for key, item in value.items()}
        case _:
            return value


def _asset(name: str) -> Markup:
    """Return a style sheet or a script as it stands."""
    return Markup((_HERE / "assets" / name).read_text(encoding="utf-8"))  # noqa: S704 - our own files


def _embedded(value: JsonValue) -> Markup:
    """Return JSON that ends no script element, whatever names are in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704
