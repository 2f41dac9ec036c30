"""The page of a bundle: its verdict, sizes and drift, and where the accuracy goes if it was profiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from edgekit.bundles import verdict
from edgekit.bundles.device_profile import DeviceProfile
from edgekit.bundles.manifest import Manifest
from edgekit.bundles.manifest import report as report_of
from edgekit.bundles.profile import Profile
from edgekit.bundles.verified import Verified
from edgekit.drift.report import Leg
from edgekit.model.drawing import Drawing
from edgekit.render.next_step import next_step
from edgekit.render.page import first, terms
from edgekit.render.page.columns import Column, columns_of, computed_on, own_of
from edgekit.render.page.strip import sqnr_strips
from edgekit.render.page.template import render
from edgekit.render.page.traced import Traced

# Layers whose details stand in the page, and operations whose time does, of each artifact; what costs most goes first.
_WRITTEN, _TIMED = 40, 60
# Of each of hundreds of layers the page shows what decides; profile.json has the rest.
_NOT_OF_LAYERS = {"top5_agreement", "kl_divergence", "cosine", "max_abs_error", "mean_abs_error"}


@dataclass(frozen=True, kw_only=True)
class LayerView:
    """What a profile says of one layer, gathered from its parts."""

    layer: Traced
    """Its bytes."""
    sensitivity: Traced | None
    """Both sweeps."""
    values: Traced | None
    """Its ranges and histograms."""


@dataclass(frozen=True, kw_only=True)
class VerifiedView:
    """What the real kernels of a processor computed, in one place."""

    name: str
    """Its file's name, and that of its section."""
    found: Traced
    columns: tuple[Column, ...]
    marks: list[dict[str, str]]


def of_bundle(
    manifest: Manifest,
    profile: Profile | None = None,
    device: DeviceProfile | None = None,
    verified: Mapping[str, Verified] | None = None,
    drawing: Drawing | None = None,
) -> str:
    """Return the text of ``report.html``; the same values give the same text.

    Args:
        manifest: The bundle's manifest.
        profile: What profiling the same bundle measured.
        device: What the same bundle did on a device.
        verified: What the real kernels of its processor computed of it, by ``emulated`` and ``board``.
        drawing: The network.
    """
    report = report_of(manifest)
    documents: dict[str, JsonValue] = {"report": report.model_dump(mode="json")}
    if profile is not None:
        documents["profile"] = profile.model_dump(mode="json")
    if device is not None:
        documents["device"] = device.model_dump(mode="json")
    for name, one in (verified or {}).items():
        documents[name] = one.model_dump(mode="json")
    if drawing is not None:
        documents["graph"] = drawing.model_dump(mode="json")
    step = next_step(report, Path("BUNDLE"), None if profile is None else profile.sensitivities)
    documents["reader"] = {"next_step": step, "terms": terms.AS_JSON}
    legs, theirs = report.drift.legs, () if device is None else device.drift.legs
    return render(
        "build.html.jinja",
        documents,
        title=f"{report.model.name} for {report.target.name}",
        passed=report.verdict == "passed",
        first=first.of(report, profile),
        doubts=any(leg.doubts for leg in legs),
        fallback_words="" if report.fallback is None else verdict.of_fallback(report.fallback),
        drawn=drawing is not None and len(drawing.operations) > 0,
        profiled=profile is not None,
        columns=columns_of(leg.metrics for leg in legs),
        own=own_of(leg.metrics for leg in legs),
        strips=sqnr_strips(legs),
        marks=[_marks(leg) for leg in legs],
        on_device=device is not None,
        device_columns=columns_of(leg.metrics for leg in theirs),
        device_marks=[_marks(leg) for leg in theirs],
        verified=[_verified(name, documents[name], one) for name, one in (verified or {}).items()],
        one_columns=() if profile is None else _swept(profile),
        computed_on=computed_on,
        worst=worst,
        slowest=slowest,
        at_most=verdict.at_most,
        layers=[] if profile is None else _layers(documents["profile"]),
        written=_WRITTEN,
        timed=_TIMED,
    )


def _verified(name: str, document: JsonValue, one: Verified) -> VerifiedView:
    legs = one.drift.legs
    return VerifiedView(
        name=name,
        found=Traced(raw=document, pointer=f"/{name}"),
        columns=columns_of(leg.metrics for leg in legs),
        marks=[_marks(leg) for leg in legs],
    )


def _marks(leg: Leg) -> dict[str, str]:
    """Return the result of each metric that has a limit; the worst result where it has two."""
    order = ("kept", "not_judged", "noise", "broken")
    found: dict[str, str] = {}
    for check in leg.checks:
        found[check.metric] = max(found.get(check.metric, "kept"), str(check.result), key=order.index)
    return found


def worst(names: tuple[str, ...], marks: dict[str, str]) -> str:
    """Return the worst that became of the limits of these metrics; nothing where all are kept."""
    found = {marks[name] for name in names if name in marks}
    return "broken" if "broken" in found else "noise" if "noise" in found else ""


def slowest(operations: Traced) -> list[Traced]:
    """Return the operations that take most of the time, in the order of running; all of them where they are few."""
    order = sorted(operations, key=lambda one: float(one["share"].raw), reverse=True)  # type: ignore[arg-type]
    kept = {one.pointer for one in order[:_TIMED]}
    return [one for one in operations if one.pointer in kept]


def _swept(profile: Profile) -> tuple[Column, ...]:
    """Return the columns that the sweeps over the layers fill."""
    ranking = () if profile.sensitivities is None else profile.sensitivities.ranking
    found = columns_of(m for one in ranking for m in (*one.only.values(), *one.all_but.values()))
    return tuple(column for column in found if column.name not in _NOT_OF_LAYERS)


def _layers(profile: JsonValue) -> list[LayerView]:
    """Return the layers: those that cost most first, then those without a measure, in the order of the model."""
    root = Traced(raw=profile, pointer="/profile")
    ranking = list(root["sensitivities"]["ranking"]) if root["sensitivities"] else []
    ranked = {str(one["layer"]["path"].raw): one for one in ranking}
    plain = {str(one["path"].raw): one for one in root["layers"]}
    values = {str(one["path"].raw): one for one in root["values"]}
    return [
        LayerView(
            layer=ranked[path]["layer"] if path in ranked else plain[path],
            sensitivity=ranked.get(path),
            values=values.get(path),
        )
        for path in dict.fromkeys((*ranked, *plain))
    ]
