"""Reading a page as a test does: its figures with where they come from, its other text, and the JSON inside."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from edgekit.bundles.manifest import Manifest
from edgekit.bundles.profile import Profile
from edgekit.render.next_step import next_step
from edgekit.render.page import terms
from edgekit.render.page.forms import text_of, text_of_pair

# Words of the field that hold a digit and are no figure.
TERMS = re.compile(r"\btop-[15]\b|\bR2\b|\bint8\b|\bfloat32\b|\bp9[05]\b|\bp99\b")


@dataclass
class Page(HTMLParser):
    """What stands on a page."""

    figures: list[tuple[dict[str, str], str]] = field(default_factory=list)
    """The attributes and the text of each figure."""
    rest: list[str] = field(default_factory=list)
    """All other text that a person sees."""
    documents: dict[str, Any] = field(default_factory=dict)
    """The JSON inside, by name."""
    links: list[str] = field(default_factory=list)
    """What the page refers to."""
    _inside: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start as the parser does."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where text belongs."""
        given = {name: value or "" for name, value in attrs}
        self.links += [given[name] for name in ("src", "href", "action", "srcset") if name in given]
        if tag in ("data", "script", "style", "title"):
            self._inside.append((tag, given))
            if tag == "data":
                self.figures.append((given, ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if self._inside and self._inside[-1][0] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        """Take a text."""
        tag, given = self._inside[-1] if self._inside else ("", {})
        if tag == "data":
            self.figures[-1] = (given, self.figures[-1][1] + data)
        elif tag == "script" and given.get("type") == "application/json":
            self.documents[given["id"]] = json.loads(data)
        elif tag == "":
            self.rest.append(data)


def reader(built: Manifest, profile: Profile | None = None) -> dict[str, Any]:
    """Return what a page holds beside the files of its bundle: the step that would help, and what terms mean."""
    step = next_step(built, Path("BUNDLE"), None if profile is None else profile.sensitivities)
    known = {title: {"means": term.means, "good": term.good} for title, term in terms.TERMS.items()}
    return {"next_step": step, "terms": known}


def read(text: str) -> Page:
    """Return what stands on a page."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def disagreements(page: Page, documents: Mapping[str, Any]) -> list[str]:
    """Return every figure that is not what the JSON says at the path it names, and every one that names none."""
    faults = []
    for given, text in page.figures:
        value, key = follow(documents, given["data-path"])
        if "data-base" in given:
            right = text_of_pair(given["data-form"], value, follow(documents, given["data-base"])[0])  # type: ignore[arg-type]
        else:
            right = text_of(given["data-form"], value, key)  # type: ignore[arg-type]
        if text != right:
            faults.append(f"{given['data-path']}: {text!r} is not {right!r}")
    faults += [f"untraced: {text.strip()!r}" for text in page.rest if re.search(r"\d", TERMS.sub("", text))]
    return faults


def follow(documents: Mapping[str, Any], pointer: str) -> tuple[Any, str]:
    """Return the value at a JSON pointer and its name, by the words of RFC 6901 and none of the page's code."""
    value: Any = documents
    key = ""
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value, key
