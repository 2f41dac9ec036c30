"""docs/benchmarks.md: what was measured, as tables. What was not measured is not printed."""

from bench.compare import FORMATS, OURS, Verdict, accuracy, judged, median, peers, ratio_to_best, size, sqnr
from bench.results import ArtifactResult, NetworkResult, Results
from bench.routes import ROUTES

_HEAD = """# Benchmarks

Written by `scripts/bench run`; the numbers are also in [benchmarks.json](benchmarks.json). The same trained networks
and the same samples go through EdgeKit and through what a user would pick instead. Every route builds in a process of
its own, every artifact is measured in the same way by one process."""
_READING = """## How to read it

* **Build** is the sum of the route's stages without imports, **memory** the largest resident memory of the building
  process (in brackets: after the imports alone).
* **SQNR**, **accuracy** and **top-1** (agreement) compare with the float model in eager mode on the evaluation samples,
  which no route saw. Ratios in dB do not depend on how sure the network is; accuracy is the share of right answers.
* **Latency** is one sample at a time on one thread of this machine: median and 95th percentile, routes taking turns.
  It ranks artifacts on this processor; on a phone the order may differ.
* A ratio is the value divided by the best peer's of the same format: less is better. Builds are set in relation to
  EdgeKit's, which makes both artifacts: more is slower than EdgeKit, or takes more memory."""


def render(results: Results) -> str:
    """Return the page."""
    parts = [_HEAD, _setting(results), _summary(results), _READING]
    parts += [_network(network, results) for network in results.networks]
    return "\n\n".join(parts).rstrip() + "\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _setting(results: Results) -> str:
    machine = results.machine
    lines = [
        f"* **Machine:** {machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}",
        f"* **Instructions for int8:** {', '.join(machine.int8) or 'unknown'}",
        *(f"* **.{format}** is run by {kernels}" for format, kernels in results.kernels.items()),
        f"* **Samples:** {results.calibration} for calibration, {results.evaluation} for evaluation",
        f"* **Latency:** {results.warmup} runs to warm up, {results.timed} timed",
        *_versions(results),
        *(f"* **Not run:** {ROUTES[name].title}: it {reason}" for name, reason in results.missing.items()),
        *_left_out(results),
    ]
    return "## Setting\n\n" + "\n".join(lines)


def _left_out(results: Results) -> list[str]:
    """Name the routes that nobody asked for: a best peer is the best of those that ran."""
    known = {route for network in results.networks for route in network.builds} | set(results.missing)
    titles = [route.title for name, route in ROUTES.items() if name not in known]
    return [f"* **Not part of this run, and so not among the peers:** {'; '.join(titles)}"] if titles else []


def _versions(results: Results) -> list[str]:
    """Say what each environment holds: a peer's torch may be another than EdgeKit's."""
    found: dict[str, dict[str, str]] = {}
    for network in results.networks:
        for route, build in network.builds.items():
            found.setdefault(ROUTES[route].environment, {}).update(build.versions)
    return [
        f"* **Versions, {f'environment of {name}' if name else 'EdgeKit and stock routes'}:** "
        + ", ".join(f"{package} {version}" for package, version in sorted(versions.items()))
        for name, versions in found.items()
        if versions
    ]


def _summary(results: Results) -> str:
    rows = []
    for demand, verdicts in judged(results):
        cells = []
        for verdict in verdicts:
            if verdict.value is None:
                cells.append("not measured")
            else:
                number = _number(verdict.value, demand.unit)
                cells.append(number if verdict.met else f"**{number}** ✗")
        met = sum(verdict.met for verdict in verdicts)
        rows.append((demand.title, f"{met} of {len(verdicts)}", *cells))
    names = tuple(network.name for network in results.networks)
    missed = [
        (demand, [verdict for verdict in verdicts if verdict.value is not None and not verdict.met])
        for demand, verdicts in judged(results)
    ]
    reasons = [
        f"* **{demand.title}**, missed on {', '.join(f'{one.network} ({_against(one)})' for one in those)}. "
        f"{demand.reason or 'The reason is not known.'}"
        for demand, those in missed
        if those
    ]
    parts = ["## What EdgeKit must show", "A number with ✗ misses the demand.", table(("demand", "met", *names), rows)]
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])])


def _against(verdict: Verdict) -> str:
    return f"against {ROUTES[verdict.against].title}"


def _network(network: NetworkResult, results: Results) -> str:
    parts = [
        f"## {network.name}",
        f"{network.family[0].upper()}{network.family[1:]}; {network.parameters:,} parameters, float accuracy "
        f"{network.float_accuracy:.2%}.",
    ]
    for format in dict.fromkeys([*FORMATS, *(artifact.format for artifact in network.artifacts)]):
        artifacts = network.of_format(format)
        if artifacts:
            parts.append(_format_table(network, format, artifacts))
    parts.append(_builds(network))
    failed = [(name, build.error) for name, build in network.builds.items() if build.error]
    failed += [(f"{one.route} ({one.file})", one.error) for one in network.artifacts if one.error]
    if failed:
        parts.append("Failed:\n\n" + "\n".join(f"* {name}: `{error}`" for name, error in failed))
    return "\n\n".join(parts)


def _format_table(network: NetworkResult, format: str, artifacts: tuple[ArtifactResult, ...]) -> str:
    rivals = bool(peers(network, format)) and len(artifacts) > 1
    head = [f".{format}", "SQNR dB", "accuracy", "top-1", "bytes", "median ms", "p95 ms"]
    head += ["bytes ratio", "latency ratio"] if rivals else []
    rows = []
    for one in artifacts:
        assert one.drift is not None
        ratio, right, middle = sqnr(one), accuracy(one), median(one)
        row = [
            ROUTES[one.route].title,
            "" if ratio is None else f"{ratio:.1f}",
            "" if right is None else f"{right:.2%}",
            "" if one.drift.top1_agreement is None else f"{one.drift.top1_agreement:.2%}",
            f"{one.bytes:,}",
            "" if middle is None else f"{middle:.4f}",
            "" if one.latency is None else f"{one.latency.p95_ms:.4f}",
        ]
        if rivals:
            ratios = (ratio_to_best(network, one, size), ratio_to_best(network, one, median))
            row += ["" if value is None else f"{value:.2f}" for value in ratios]
        rows.append(tuple(row))
    return table(tuple(head), rows)


def _builds(network: NetworkResult) -> str:
    done = {name: build for name, build in network.builds.items() if not build.error}
    ours = done.get(OURS)
    rows = []
    for name, build in done.items():
        row = [ROUTES[name].title, f"{build.total:.1f}", f"{build.peak_mb:,.0f} ({build.imported_mb:,.0f})"]
        if ours is not None:
            row += [f"{build.total / ours.total:.2f}", f"{build.peak_mb / ours.peak_mb:.2f}"]
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in build.seconds.items())
        rows.append((*row, stages))
    ratios = () if ours is None else ("seconds x EdgeKit's", "memory x EdgeKit's")
    text = table(("build", "seconds", "memory MB", *ratios, "seconds per stage"), rows)
    if network.rebuild_s is not None:
        text += f"\n\nUnchanged rebuild with EdgeKit: {network.rebuild_s:.2f} s beyond imports."
    return text


def _number(value: float, unit: str) -> str:
    match unit:
        case "x":
            return f"{value:.2f} x"
        case "dB" | "points":
            return f"{value:+.1f} {unit}"
        case _:
            return f"{value:.2f} {unit}"
