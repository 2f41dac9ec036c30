"""The pages of a scorecard: one of all models for all targets, and one of each model."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from edgekit.base import numbers
from edgekit.bundles import verdict
from edgekit.bundles.entry import Entry
from edgekit.bundles.scorecard import Regression, Score, Scorecard, Verdict
from edgekit.render.page.many import front
from edgekit.render.page.template import render
from edgekit.render.scorecard import cards

INDEX = "index.html"
_SHOWN = 500
_STATES: Mapping[Verdict, str] = {"passed": "kept", "failed": "broken", "refused": "noise", "missing": "noise"}
Link = Callable[[str, str], str]
"""From a file of the store and the folder of a page in the site to the link between them."""


def pages(card: Scorecard, link: Link) -> Iterator[tuple[str, str]]:
    """Yield the files of the site by their paths; the same values give the same text.

    Args:
        card: The scorecard.
        link: How a page of the site names a file of the store.
    """
    yield INDEX, _index(card, link)
    for model, scores in _by_model(card.scores).items():
        yield page_of(model), _model(card, model, scores, link)
        yield f"cards/{model}.md", cards.of_model(model, scores)


def page_of(model: str) -> str:
    """Return the path of a model's page."""
    return f"models/{model}.html"


def _index(card: Scorecard, link: Link) -> str:
    targets = sorted({one.name.target for one in card.scores})
    models = _by_model(card.scores)
    matrix: list[JsonValue] = [
        {"model": model, "cells": [_counted([one for one in scores if one.name.target == name]) for name in targets]}
        for model, scores in models.items()
    ]
    shown = card.regressions[:_SHOWN]
    scorecard: dict[str, JsonValue] = {
        "tag": card.tag,
        "since": card.since,
        "cells": len(card.scores),
        **{verdict: card.count(verdict) for verdict in _STATES},
        "targets": list[JsonValue](targets),
        "matrix": matrix,
        "fallen": len(card.regressions),
        "regressions": [_fell(one) for one in shown],
        "noise": card.noise,
        "compared": card.compared,
        "left_out": dict(card.left_out),
        "history": [one.model_dump(mode="json") for one in card.history],
    }
    return render(
        "scorecard.html.jinja",
        {"scorecard": scorecard},
        title=f"Scorecard {card.tag}",
        passed=card.passed,
        more=len(card.regressions) - len(shown),
        pages=[[None if page is None else link(page, "") for page in one.pages] for one in shown],
        page_of=page_of,
        state=_state,
    )


def _counted(scores: Sequence[Score]) -> JsonValue:
    """Return how many of a model's cells for one target there are of each verdict; null: none."""
    counts = Counter(one.verdict for one in scores)
    return {"of": len(scores), **{name: counts[name] for name in _STATES}} if scores else None


def _state(passed: int, of: int) -> str:
    return "kept" if passed == of else "noise" if passed else "broken"


def _fell(one: Regression) -> dict[str, JsonValue]:
    def value(side: float | str | None) -> str:
        if side is None:
            return "identical"
        if isinstance(side, str):
            return side
        return numbers.kilobytes(int(side)) if one.what == "size" else verdict.number(side)

    return {
        "cell": str(one.name),
        "artifact": one.artifact,
        "what": one.what,
        "old": value(one.old) + (f" ({verdict.interval(one.old_interval)})" if one.old_interval else ""),
        "new": value(one.new) + (f" ({verdict.interval(one.new_interval)})" if one.new_interval else ""),
        "sureness": one.sureness,
        "others": one.others,
    }


def _model(card: Scorecard, model: str, scores: Sequence[Score], link: Link) -> str:
    """Return the page of one model: its rows are plain, for there may be thousands."""
    rows = list(itertools.chain.from_iterable(_rows(score, link) for score in scores))
    entries = [entry for score in scores for entry in score.entries]
    small, quick = front(entries, lambda one: float(one.bytes)), front(entries, lambda one: one.median_ms)
    names = Counter(one.metric for one in entries if one.metric is not None)
    labels = [str(score.name).partition("/")[2] for score in scores for _ in score.entries]
    points: list[JsonValue] = [
        _point(one, label, small=at in small, quick=at in quick)
        for at, (one, label) in enumerate(zip(entries, labels, strict=True))
    ]
    counts = Counter(one.verdict for one in scores)
    return render(
        "scorecard_model.html.jinja",
        {"bundles": points},
        title=f"{model} in {card.tag}",
        passed=not counts["failed"] and not counts["missing"],
        model=model,
        tag=card.tag,
        counts={name: counts[name] for name in _STATES if counts[name]},
        rows=rows,
        plotted=names.most_common(1)[0][0] if names else None,
        timed=any(one.median_ms is not None for one in entries),
        card=f"../cards/{model}.md",
    )


def _point(one: Entry, label: str, *, small: bool, quick: bool) -> JsonValue:
    """Return what the plots read, which is what the rows show."""
    return {
        "model": one.model,
        "target": label,
        "file": one.file,
        "metric": one.metric,
        "percent": one.percent,
        "value": one.value,
        "bytes": one.bytes,
        "median_ms": one.median_ms,
        "passed": one.passed,
        "best_for_size": small,
        "best_for_latency": quick,
    }


def _rows(score: Score, link: Link) -> Iterator[dict[str, str | None]]:
    page = None if score.page is None else link(score.page, "models")
    name = {"page": page, "target": score.name.target, "scheme": score.name.scheme, "settings": score.name.settings}
    shared = {**name, "verdict": score.verdict, "state": _STATES[score.verdict], "why": score.error}
    for one in score.entries:
        yield {
            **shared,
            "file": one.file,
            "score": "" if one.value is None else _score(one.value, percent=one.percent),
            "float": "" if one.reference is None else _score(one.reference, percent=one.percent),
            "sqnr": "" if one.sqnr_db is None else f"{one.sqnr_db:.1f}",
            "size": numbers.kilobytes(one.bytes),
            "median": "" if one.median_ms is None else f"{one.median_ms:.3f}",
            "delegated": f"{numbers.percent(one.delegated_fraction)} %",
        }
    if not score.entries:
        yield {**shared, **dict.fromkeys(("file", "score", "float", "sqnr", "size", "median", "delegated"), "")}


def _score(value: float, *, percent: bool) -> str:
    return f"{numbers.percent(value, 2)} %" if percent else numbers.small(value)


def _by_model(scores: Sequence[Score]) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {}
    for one in scores:
        found.setdefault(re.sub(r"[^\w.-]", "_", one.name.model), []).append(one)
    return found
