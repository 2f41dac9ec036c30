"""The process that holds Vela and the reference model of TOSA, ``python -m edgekit.chips.arm.ethos_u_runner``.

See `simulator`. Vela prints.
"""

import csv
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgekit.base.frames import Facts
from edgekit.chips.arm.tosa_model import model_of
from edgekit.chips.simulator import Loaded, serve

_FIGURES = {
    "cycles_total": "cycles",
    "sram_memory_used": "sram_kib",
    "on_chip_flash_memory_used": "flash_kib",
    "off_chip_flash_memory_used": "off_chip_flash_kib",
    "dram_memory_used": "dram_kib",
    "nn_macs": "macs",
    "inference_time": "vela_seconds",
}


def load(data: bytes, facts: Facts) -> Loaded:
    """Compile a graph of TOSA, for its figures and to hold the stream against the file's; then run the graph."""
    flags: Any = facts["flags"]
    with tempfile.TemporaryDirectory() as scratch:
        stream = _vela().vela_compile(data, list(flags), intermediate_path=scratch).processed_bytes
        figures: Any = _figures(Path(scratch))

    return model_of(data), {"figures": figures}, [stream]


def _vela() -> Any:
    """Return ExecuTorch's module that calls Vela: by its file, since its package loads all of torch's exporter."""
    package = importlib.util.find_spec("executorch")
    assert package is not None
    assert package.submodule_search_locations
    file = Path(package.submodule_search_locations[0]) / "backends" / "arm" / "arm_vela.py"
    spec = importlib.util.spec_from_file_location("arm_vela", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["arm_vela"] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def _figures(folder: Path) -> dict[str, float]:
    (summary,) = folder.glob("output/*_summary_*.csv")
    with summary.open(encoding="utf-8", newline="") as file:
        *_, row = csv.DictReader(file)
    return {name: float(row[column]) for column, name in _FIGURES.items() if row.get(column)}


if __name__ == "__main__":
    serve(load)
