"""docs/zoo.md: what was measured of the zoo, as tables. What was not measured is not printed."""

import statistics
from collections.abc import Iterable, Sequence

from bench.zoo.demands import FORMATS, LATENCY, LOSS_DB, builds, gains, judged, slower
from bench.zoo.results import FileResult, NetworkResult, Results

_HEAD = """# The zoo

Written by `scripts/zoo`; the numbers are also in [zoo.json](zoo.json). Each network is built by `edgekit.build` with
its defaults for `linux-x86_64`, at the input size that it was made for, in a process of its own on one thread, and
beside it by the stock recipes of both formats: ExecuTorch's PT2E with weights per channel, and ONNX Runtime's
`quantize_static` (`quantize_dynamic`) with int8 weights per channel. The files are run by their own runtimes, by a
script that shares no code with the build.

* **Weights** are real where a package ships them. Seeded ones are random: their batch norms have the statistics of
  forward passes of the calibration samples, and branches that training would open are open; compare rows, and read no
  accuracy from them.
* **Samples** for evaluation come from other photographs, sentences and voices than those for calibration.
* **dB** is the SQNR of what varies over the evaluation samples against the float model, of the worst output;
  **gain** is how much that is above the stock recipe of the format.
* **agreement** is the share of equal first classes, places or frame decisions, the mean cosine of vectors, or the share
  of boxes with a partner of their class at IoU 0.5.
* **Latency** is the processor's time for one sample on one thread: the median; ratios are of least times. All files of
  a format take turns in one process. The stock `.onnx` has signed weights, whose kernels are wrong on processors
  without VNNI; `linux-x86_64`, which is measured here, has unsigned ones, right on all, and `linux-x86_64-vnni` has
  signed ones, too.
* **CPU s** is what the process and its children used from the float model to the files, **MB** its largest resident
  memory, model and samples among it, **x stock** the ratio to both stock recipes together, and to the larger memory of
  the two. EdgeKit's figures have the verification in them, which stock recipes do not do, and but for the newest the
  decoding of its samples. Stages are in seconds on the clock; bytes are held against float32 weights."""


def render(results: Results) -> str:
    """Return the page."""
    if not results.networks:
        return _HEAD + "\n"
    parts = [_HEAD, _summary(results), _drift(results), _latency(results), _cost(results), _unreached(results)]
    parts += [_off(results), _draws(results), _gpu(results), _sources(results)]
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a Markdown table whose first columns are texts, and all others numbers."""
    lines = [head, [*["---"] * texts, *["---:"] * (len(head) - texts)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _summary(results: Results) -> str:
    networks = results.networks
    both = sum(len(builds(one)) == len(FORMATS) for one in networks)
    one_alone = sum(len(builds(one)) == 1 for one in networks)
    lines = [
        f"* **Networks:** {len(networks)}, {sum(one.weights == 'real' for one in networks)} of them with real weights; "
        f"{both} build both formats, {one_alone} one, {len(networks) - both - one_alone} none",
    ]
    for format in FORMATS:
        found = gains(networks, format)
        if found:
            worst = min(found, key=lambda pair: pair[1])
            middle = statistics.median(gain for _, gain in found)
            lines.append(
                f"* **.{format} against stock:** {middle:+.1f} dB on the median of "
                f"{len(found)} networks, {worst[1]:+.1f} dB on the worst, {worst[0]}"
            )
    machines = dict.fromkeys(one.machine for one in networks if one.machine)
    lines += [f"* **Machine:** {'; '.join(machines)}; one thread", f"* **Versions:** {', '.join(results.versions)}"]
    rows = [
        (demand, f"{len(met)} of {len(met) + len(missed)}", _names(missed)) for demand, met, missed in judged(results)
    ]
    return "\n\n".join(["## In all", "\n".join(lines), table(("demand", "met", "missed by"), rows, texts=3)])


def _drift(results: Results) -> str:
    rows = []
    for one in results.networks:
        row = [_title(one)]
        for format in FORMATS:
            ours, stock = one.file("edgekit", format), one.stock(format)
            row += ["**none**", "", ""] if ours is None else [_db(ours), _gain(ours, stock), _percent(ours.agreement)]
        rows.append(row)
    head = ("network", ".pte dB", "gain", "agreement", ".onnx dB", "gain", "agreement")
    return "## Drift\n\n" + table(head, rows)


def _latency(results: Results) -> str:
    rows = []
    for one in results.networks:
        row = [one.name]
        for format in FORMATS:
            ours = one.file("edgekit", format)
            row.append("" if ours is None or ours.median_ms is None else f"{ours.median_ms:.2f}")
            row += [_ratio(ours, one.file("float", format)), _ratio(ours, one.stock(format))]
        pte, stock = one.file("edgekit", "pte"), one.stock("pte")
        row += ["" if file is None else str(file.delegates) for file in (pte, stock)]
        rows.append(row)
    head = (
        "network", ".pte ms", "x float", "x stock", ".onnx ms", "x float", "x stock", "delegates", "stock's",
    )  # fmt: skip
    return "## Latency\n\n" + table(head, rows)


def _cost(results: Results) -> str:
    rows = []
    for one in results.networks:
        ours, stocks = (
            one.recipes.get("edgekit"),
            [one.recipes[name] for name in ("stock-pte", "stock-onnx") if name in one.recipes],
        )
        if ours is None:
            continue
        whole = len(stocks) == len(FORMATS) and all(stock.files for stock in stocks)
        seconds, peak = sum(stock.cpu_s for stock in stocks), max((stock.peak_mb for stock in stocks), default=0)
        stages = ", ".join(
            f"{stage.replace(':', '')} {taken:.0f}" for stage, taken in ours.seconds.items() if taken >= 1
        )
        sizes = [one.file("edgekit", format) for format in FORMATS]
        rows.append(
            [
                one.name,
                f"{ours.cpu_s:.0f}",
                f"{ours.cpu_s / seconds:.2f}" if whole and seconds else "",
                f"{ours.peak_mb:,.0f}",
                f"{ours.peak_mb / peak:.2f}" if whole and peak else "",
                *("" if size is None else f"{size.bytes / (4 * one.parameters):.2f}" for size in sizes),
                stages,
            ]
        )
    head = (
        "network",
        "CPU s",
        "x stock",
        "MB",
        "x stock",
        ".pte bytes x float",
        ".onnx bytes x float",
        "seconds by stage",
    )
    return "## Build\n\n" + table(head, rows)


def _unreached(results: Results) -> str:
    lines = []
    for one in results.networks:
        ours = one.recipes.get("edgekit")
        says = (
            []
            if ours is None
            else [f"no {'file' if f == 'build' else '.' + f}: {why}" for f, why in ours.refused.items()]
        )
        says += [f".{f} does not run: {file.says}" for f, file in (ours.files if ours else {}).items() if file.says]
        for format in FORMATS:
            mine, stock = one.file("edgekit", format), one.stock(format)
            if mine and stock and mine.sqnr_db is not None and stock.sqnr_db is not None:
                gain = mine.sqnr_db - stock.sqnr_db
                says += [f".{format} {-gain:.1f} dB below stock"] if gain < -LOSS_DB else []
            says += [f".{format} {ratio:.2f} x {beside}'s latency" for beside, ratio in slower(one, format)]
        for recipe, name in (("stock-pte", "stock .pte"), ("stock-onnx", "stock .onnx")):
            stock_recipe = one.recipes.get(recipe)
            broken = (
                []
                if stock_recipe is None
                else [*stock_recipe.refused.values(), *(f.says for f in stock_recipe.files.values() if f.says)]
            )
            says += [f"({name} fails: `{_short(broken[0])}`)"] if broken else []
        if says:
            lines.append(f"* **{one.name}**: {'; '.join(says)}")
    return "## What is not reached\n\n" + "\n".join(lines) if lines else ""


def _off(results: Results) -> str:
    rows = []
    for one in results.networks:
        for step, found in one.off.items():
            row = [one.name, step]
            for format in FORMATS:
                ours, without = one.file("edgekit", format), found.get(format)
                told = ours is not None and ours.sqnr_db is not None and without is not None
                row += (
                    [f"{without:.1f}", f"{ours.sqnr_db - without:+.1f}"]
                    if told and ours and without is not None and ours.sqnr_db is not None
                    else ["", ""]
                )
            rows.append(row)
    head = ("network", "step switched off", ".pte dB", "what it gives", ".onnx dB", "what it gives")
    return "## Steps\n\n" + table(head, rows, texts=2) if rows else ""


def _draws(results: Results) -> str:
    rows = [
        [
            one.network, ", ".join(one.calibration), ", ".join(one.evaluation),
            *(f"{db[format]:.1f}" for format in FORMATS for db in (one.seen_db, one.unseen_db)),
        ]
        for one in results.draws
    ]  # fmt: skip
    text = (
        "Calibrated on 64 crops of some photographs, measured on 64 crops of others; SQNR in dB of the whole output, "
        "by `python -m bench.zoo.draws`."
    )
    columns = [f".{format} {word}" for format in FORMATS for word in ("seen", "unseen")]
    head = ("network", "calibrated on", "measured on", *columns)
    return f"## Photographs that calibration has not seen\n\n{text}\n\n" + table(head, rows, texts=3) if rows else ""


def _gpu(results: Results) -> str:
    kinds = dict.fromkeys(kind for one in results.networks for kind in one.gpu)
    rows = [
        [one.name, *(f"{one.gpu[kind]:.1f}" if kind in one.gpu else "" for kind in kinds)]
        for one in results.networks
        if one.gpu
    ]
    text = (
        f"SQNR in dB of what {results.gpu or 'a GPU'} computes, against float32 on that machine's CPU, by "
        "`python -m bench.zoo.baselines`; on fewer samples."
    )
    return f"## The server's own noise\n\n{text}\n\n" + table(("network", *kinds), rows) if rows else ""


def _sources(results: Results) -> str:
    rows = [
        (one.name, one.family, one.source, one.weights, f"{one.parameters / 1e6:.2f} M", _shapes(one), one.samples,
         f"{one.calibration} / {one.evaluation}", one.scheme, one.machine)
        for one in results.networks
    ]  # fmt: skip
    head = (
        "network",
        "family",
        "source",
        "weights",
        "parameters",
        "input",
        "samples",
        "calibration / evaluation",
        "scheme",
        "measured on",
    )
    return "## Where they come from\n\n" + table(head, rows, texts=len(head))


def _title(one: NetworkResult) -> str:
    marks = [one.weights] + (["dynamic"] if one.scheme != "int8" else [])
    return f"{one.name} ({', '.join(marks)})"


def _names(networks: Sequence[NetworkResult]) -> str:
    names = [one.name for one in networks]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _shapes(one: NetworkResult) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in one.shapes)


def _db(file: FileResult) -> str:
    assert file.sqnr_db is not None
    return "equal" if file.sqnr_db >= 200 else f"{file.sqnr_db:.1f}"


def _gain(ours: FileResult, stock: FileResult | None) -> str:
    if stock is None or stock.sqnr_db is None or ours.sqnr_db is None:
        return ""
    gain = ours.sqnr_db - stock.sqnr_db
    return f"**{gain:+.1f}**" if gain < -LOSS_DB else f"{gain:+.1f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _ratio(ours: FileResult | None, beside: FileResult | None) -> str:
    if ours is None or beside is None or not ours.least_ms or not beside.least_ms:
        return ""
    ratio = ours.least_ms / beside.least_ms
    return f"**{ratio:.2f}**" if ratio > LATENCY else f"{ratio:.2f}"


def _short(text: str) -> str:
    return text.replace("|", "/").replace("`", "'")[:120]
