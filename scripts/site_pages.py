"""A hook of MkDocs: the pages that lie outside of ``docs``, and the decisions, which nobody lists by hand."""

import re
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# By the name that each has on the site.
OUTSIDE = {
    "android-demo.md": "android-demo/README.md",
    "changelog.md": "CHANGELOG.md",
    "code-of-conduct.md": "CODE_OF_CONDUCT.md",
    "contributing.md": "CONTRIBUTING.md",
    "ios-demo.md": "ios-demo/README.md",
    "security.md": "SECURITY.md",
}
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the decisions, in order of their numbers."""
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    _section(config.nav or [], "Decisions")[:] = [f"decisions/{name}" for name in names]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside."""
    for name, source in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where their pages are on the site; what is not on it keeps its name, without a link."""
    source = OUTSIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    places = {path: name for name, path in OUTSIDE.items()}

    def led(found: re.Match[str]) -> str:
        path = normpath(f"{Path(source).parent.as_posix()}/{found[1]}")
        place = places.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if place is None:
            return f"]({config.repo_url}/blob/main/{path})" if config.repo_url else "][]"
        return f"]({relpath(place, Path(page.file.src_uri).parent.as_posix())}{found[2] or ''})"

    return _LINK.sub(led, markdown)


def _section(nav: list[Any], title: str) -> list[Any]:
    for item in nav:
        for name, inside in item.items() if isinstance(item, dict) else ():
            if name == title:
                return inside
            if isinstance(inside, list) and (found := _section(inside, title)) is not None:
                return found
    return None
