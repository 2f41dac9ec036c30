"""The model card of a model in all its bundles, in the form that the Hugging Face hub reads."""

import json
from collections.abc import Iterator, Sequence

from edgekit.base import numbers
from edgekit.bundles.entry import Entry
from edgekit.bundles.scorecard import Score
from edgekit.render.markdown import escaped
from edgekit.render.page.many import front

# What the hub calls a metric; of others their own names.
_METRICS = {"accuracy": "accuracy", "mean IoU": "mean_iou", "mAP": "mean_average_precision", "R2": "r_squared"}
_TASKS = {"accuracy": "image-classification", "mean IoU": "image-segmentation", "mAP": "object-detection"}
_SHOWN = 24
_TAGS = {"pte": "executorch", "onnx": "onnx", "aimodel": "coreai"}


def of_model(model: str, scores: Sequence[Score]) -> str:
    """Return the card as Markdown, with the header that the hub reads.

    Args:
        model: The model's name.
        scores: Its cells.
    """
    every = [(score, entry) for score in scores for entry in score.entries]
    small = front([entry for _, entry in every], lambda one: float(one.bytes))
    shown = every if len(every) <= _SHOWN else [every[at] for at in sorted(small)]
    good = [(score, entry) for score, entry in shown if score.verdict == "passed"]
    formats = sorted({entry.file.rpartition(".")[2] for _, entry in good})
    tags = ["edgekit", "quantized", *(_TAGS.get(name, name) for name in formats)]
    lines = ["---", "library_name: edgekit", "tags:", *(f"- {tag}" for tag in tags)]
    lines += [*_index(model, good), "---", ""] if good else ["---", ""]
    lines += [
        f"# {escaped(model)}",
        "",
        "Quantized and verified by EdgeKit. A row is one file; the score is measured with the file itself, over the "
        "project's evaluation data.",
        "",
        "| target | scheme | settings | file | measured by | score | float | size | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(score, entry) for score, entry in shown),
        "",
    ]
    if len(shown) < len(every):
        lines += [f"Of {len(every)} files these are the ones that no other beats in score and size.", ""]
    lacking = [score for score in scores if not score.entries][:_SHOWN]
    lines += [f"* {escaped(str(score.name))}: {score.verdict}. {escaped(score.error)}" for score in lacking]
    return "\n".join([*lines, ""] if lacking else lines)


def _index(model: str, good: Sequence[tuple[Score, Entry]]) -> Iterator[str]:
    """Yield the results of the files that passed, as ``model-index``; a JSON text is a YAML text."""
    results = []
    for score, entry in good:
        if entry.metric is None or entry.value is None:
            continue
        name = _METRICS.get(entry.metric, "custom")
        where = f"{score.name.target}, {entry.scheme}, {score.name.settings}, {entry.file}"
        results.append(
            {
                "task": {"type": _TASKS.get(entry.metric, "other"), "name": entry.metric},
                "dataset": {"type": "evaluation", "name": "the project's evaluation data"},
                "metrics": [{"type": name, "value": round(entry.value, 6), "name": f"{entry.metric}: {where}"}],
            }
        )
    if results:
        yield "model-index:"
        yield f"- name: {json.dumps(model)}"
        yield "  results:"
        yield from (f"  - {json.dumps(one)}" for one in results)


def _row(score: Score, entry: Entry) -> str:
    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{numbers.percent(value, 2)} %" if entry.percent else numbers.small(value)

    quality = shown(entry.value) or ("" if entry.sqnr_db is None else f"{entry.sqnr_db:.1f} dB")
    named = (score.name.target, entry.scheme, score.name.settings, entry.file, entry.metric or "SQNR", quality)
    cells = (*map(escaped, named), shown(entry.reference), numbers.kilobytes(entry.bytes), score.verdict)
    return f"| {' | '.join(cells)} |"
