"""The command line of the benchmark: scripts/bench run | train | setup | page."""

import sys
import time
from pathlib import Path

import click

from bench.environments import NAMES, ROOT, WORK

_JSON = "benchmarks.json"
_PAGE = "benchmarks.md"


@click.group(help=__doc__)
def main() -> None:
    """Dispatch to the verbs."""


@main.command()
@click.argument("environments", nargs=-1, type=click.Choice(NAMES))
def setup(environments: tuple[str, ...]) -> None:
    """Install the peers that EdgeKit's environment does not have, each in an environment of its own (all)."""
    from bench import environments as peers

    for name in environments or NAMES:
        click.echo(f"{name}: {'installed' if peers.setup(name) else peers.missing(name)}")


@main.command()
@click.argument("networks", nargs=-1)
def train(networks: tuple[str, ...]) -> None:
    """Train networks anew and write their weights (all but the packaged sample)."""
    from bench.networks import NETWORKS
    from bench.networks.train import train as trained

    for name in networks or [name for name, network in NETWORKS.items() if network.training]:
        start = time.perf_counter()
        found = trained(NETWORKS[name])
        click.echo(
            f"{name}: {found.parameters:,} parameters, {found.right} of {found.total} held-out samples right "
            f"({found.right / found.total:.2%}), {time.perf_counter() - start:.0f} s"
        )


@main.command()
@click.option("--network", "names", multiple=True, help="Only this network; may be given several times.")
@click.option("--route", "routes", multiple=True, help="Only this route; may be given several times.")
@click.option("--quick", is_flag=True, help="Few samples and few runs: to see that everything works.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the page; docs for a full run.")
def run(names: tuple[str, ...], routes: tuple[str, ...], quick: bool, output: Path | None) -> None:
    """Build, measure and write the page. Only a full run writes to docs, for numbers of several runs do not compare."""
    from bench import run as running
    from bench.networks import NETWORKS
    from bench.page import render
    from bench.routes import ROUTES

    partial = bool(names or routes or quick)
    folder = output or (WORK / "partial" if partial else ROOT / "docs")
    chosen = [NETWORKS[name] for name in _known(names, list(NETWORKS))]
    ways = [ROUTES[name] for name in _known(routes, list(ROUTES))]
    plan = running.QUICK if quick else running.Plan()
    results = running.run(chosen, ways, plan, WORK / "work", lambda text: click.echo(text, err=True))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _JSON).write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / _PAGE).write_text(render(results), encoding="utf-8")
    click.echo(f"wrote {folder / _PAGE} and {folder / _JSON}", err=True)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "docs", help="Folder of the page.")
def page(output: Path) -> None:
    """Write the page again from the numbers beside it."""
    from bench.page import render
    from bench.results import Results

    results = Results.model_validate_json((output / _JSON).read_bytes())
    (output / _PAGE).write_text(render(results), encoding="utf-8")


def _known(names: tuple[str, ...], known: list[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name} is none of {', '.join(known)}")
    return list(names) or known


if __name__ == "__main__":
    sys.exit(main())
