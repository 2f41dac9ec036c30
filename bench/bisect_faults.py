"""Plants faults in the files of the networks, and counts how often `bisect` names the operation.

``scripts/bisect-faults`` plants 60 over the six networks, in each format. A fault that changes no answer on the samples
is no fault, and another is drawn.
"""

import sys

import click

from bench import planted, planted_pte
from bench.networks import NETWORKS

_WAYS = {"onnx": planted, "pte": planted_pte}


@click.command()
@click.option("--faults", default=60, show_default=True, help="How many, over all networks.")
@click.option("--format", "kinds", type=click.Choice(tuple(_WAYS)), multiple=True, help="In which files; both if none.")
def main(faults: int, kinds: tuple[str, ...]) -> None:
    """Plant faults, bisect, and print the share that was named right: exit code 1 below 95 % or at a false alarm."""
    good = True
    for kind in kinds or tuple(_WAYS):
        good &= _count(kind, faults)
    sys.exit(int(not good))


def _count(format: str, faults: int) -> bool:
    way, right, total, alarms = _WAYS[format], 0, 0, 0
    for number, network in enumerate(NETWORKS.values()):
        built = way.build(network)
        alarm = way.whole(built)
        alarms += bool(alarm)
        click.echo(f"{network.name}.{format}: {f'FALSE ALARM at {alarm}' if alarm else 'whole'}")
        kinds = list(way.KINDS)
        for seed in range(faults // len(NETWORKS) + (number < faults % len(NETWORKS))):
            fault = None
            while fault is None:
                kind = kinds[seed % len(kinds)]
                try:
                    fault = way.plant(built, kind, seed)
                except planted.NoPlaceError:
                    kinds.remove(kind)
            named, said = way.named_right(built, fault)
            right, total = right + named, total + 1
            place = "/".join(sorted(fault.operations))
            click.echo(f"  {'right' if named else 'WRONG'}  {fault.kind} at {place}: {said}")
    click.echo(f"{right} of {total} named right in .{format} files: {100 * right / total:.1f} %, {alarms} false alarms")
    return right >= 0.95 * total and not alarms


if __name__ == "__main__":
    main()
