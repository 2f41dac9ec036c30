"""EfficientNet-Lite0 calibrated on some photographs and measured on others, both ways round: python -m bench.zoo.draws.

Needs the zoo's environment, see ``scripts/zoo``; the results go to docs/zoo.json and docs/zoo.md.
"""

import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from bench.environments import WORK
from bench.zoo import ours, published, results
from bench.zoo.catalog import ENTRIES
from bench.zoo.entry import Entry
from bench.zoo.measure import answers, of_model, opened, ratios
from bench.zoo.pictures import Pictures

_NETWORK = "efficientnet-lite0"
_DRAWS, _SAMPLES = 3, 64


def main() -> int:
    """Build for each draw, both ways round, and put all of them in place of what was measured before."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    entry = ENTRIES[_NETWORK]
    assert isinstance(entry.data, Pictures)
    found = []
    for number in range(_DRAWS):
        for swapped in (False, True):
            data = replace(entry.data, draw=number, swapped=swapped)
            drawn = replace(entry, data=data, calibration=_SAMPLES, evaluation=_SAMPLES)
            found.append(measured(drawn, data, WORK / "zoo-work" / f"draw-{number}-{swapped:d}"))
            sys.stderr.write(f"draw {number}, {'swapped' if swapped else 'as drawn'}: {found[-1].unseen_db}\n")
    published.publish(published.load().model_copy(update={"draws": tuple(found)}))
    return 0


def measured(entry: Entry, data: Pictures, folder: Path) -> results.Draw:
    """Build a network of samples that were drawn, and run its files on both parts of them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = entry.make()
    fit, held = entry.samples("calibration"), entry.samples("evaluation")
    ours.build("edgekit", entry, model, list(map(torch.from_numpy, fit)), list(map(torch.from_numpy, held)), folder)
    files = {path.suffix[1:]: opened(path, exact=True) for path in sorted(folder.glob("model.*"))}
    seen, unseen = (
        {format: ratios(of_model(model, rows), answers(call, rows))[1] for format, call in files.items()}
        for rows in (fit, held)
    )
    names = [tuple(Path(name).stem for _, name in data.photographs(part)) for part in ("calibration", "evaluation")]
    return results.Draw(network=entry.name, calibration=names[0], evaluation=names[1], seen_db=seen, unseen_db=unseen)


if __name__ == "__main__":
    sys.exit(main())
