"""Keep what a build makes on its way, and of a stage that fails its input with a script that fails alike."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from edgekit.data import archives
from edgekit.data import trace as traces
from edgekit.data.samples import Samples
from edgekit.data.trace import Trace
from edgekit.model import store
from edgekit.model.artifact import Artifact
from edgekit.model.program import Captured, Quantized, Source
from edgekit.pipeline import reproduce
from edgekit.spec import CPU_PLACING, Format, Placing, QuantSpec, Scheme, Target


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Writes to a folder; without one, nothing. What cannot be saved is named there, and never fails a build."""

    folder: Path | None

    def captured(self, captured: Captured) -> None:
        """Save the float program, ``captured.pt2``, and what it came from."""
        self._save("captured", lambda folder: store.save_captured(captured, folder))

    def quantized(self, name: str, quantized: Quantized, answers: Trace) -> None:
        """Save a quantized program, the ranges that calibration chose, and what the program answers."""
        self._save(name, lambda folder: store.save_quantized(quantized, folder, name))
        self.trace(name, answers)

    def data(self, file: str, data: bytes) -> None:
        """Save a file as it is."""
        self._save(file, lambda folder: (folder / file).write_bytes(data))

    def trace(self, name: str, trace: Trace) -> None:
        """Save the samples with what was answered, ``NAME.npz``."""
        self._save(name, lambda folder: traces.save(trace, folder / f"{name}.npz"))

    def capturing(self, source: Source, samples: Samples) -> AbstractContextManager[None]:
        """Keep the model, pickled, and the samples, if the capture within fails."""

        def save(folder: Path) -> None:
            torch.save((source, samples.first(16)), folder / "input.pt")

        return self._stage("capture", reproduce.CAPTURE, save)

    def exporting(self, captured: Captured) -> AbstractContextManager[None]:
        """Keep the float program if its export to ONNX within fails."""
        return self._stage("float-onnx", reproduce.FLOAT_ONNX, lambda folder: store.save_captured(captured, folder))

    def quantizing(
        self,
        name: str,
        captured: Captured,
        scheme: Scheme,
        spec: QuantSpec,
        samples: Samples,
        placing: Placing = CPU_PLACING,
    ) -> AbstractContextManager[None]:
        """Keep the float program, the settings and the samples if the quantization within fails."""

        def save(folder: Path) -> None:
            store.save_captured(captured, folder)
            (folder / "quantize.json").write_text(spec.model_dump_json(indent=1))
            (folder / "placing.json").write_text(placing.model_dump_json(indent=1))
            _save_inputs(samples, folder / "calibration.npz")

        return self._stage(f"quantize-{name}", reproduce.QUANTIZE.replace("SCHEME", scheme), save)

    def lowering(self, format: Format, target: Target, quantized: Quantized) -> AbstractContextManager[None]:
        """Keep the quantized program and the target if the lowering within fails."""

        def save(folder: Path) -> None:
            store.save_quantized(quantized, folder, "quantized")
            (folder / "target.json").write_text(target.model_dump_json(indent=1))

        return self._stage(f"lower-{format}", reproduce.LOWER.replace("FORMAT", format), save)

    def verifying(
        self, artifact: Artifact, target: Target, samples: Samples, sizes: tuple[int, ...]
    ) -> AbstractContextManager[None]:
        """Keep the artifact, and the samples, if it fails in its runtime; the artifact is kept anyway."""

        def save(folder: Path) -> None:
            (folder / artifact.file).write_bytes(artifact.data)
            _save_inputs(samples.first(64), folder / "inputs.npz")

        self.data(f"{target.name}-{artifact.file}", artifact.data)
        return self._stage(f"verify-{target.name}-{artifact.format}", reproduce.run_of(artifact.format, sizes), save)

    def _save(self, name: str, write: Callable[[Path], object]) -> None:
        if self.folder is not None:
            _write(self.folder, name, write)

    def _stage(self, name: str, script: str, save: Callable[[Path], None]) -> AbstractContextManager[None]:
        return nullcontext() if self.folder is None else _reproducible(self.folder / f"failed-{name}", script, save)


@contextmanager
def _reproducible(folder: Path, script: str, save: Callable[[Path], None]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _write(folder, "input", save)
        (folder / reproduce.SCRIPT).write_text(reproduce.text_of(script, str(error)), encoding="utf-8")
        error.add_note(f"{folder / reproduce.SCRIPT} fails in the same way.")
        raise


def _write(folder: Path, name: str, write: Callable[[Path], object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write(folder)
    except Exception as error:  # torch saves not every program: what is missing is said, and the build goes on
        (folder / f"{name}.not-saved.txt").write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")


def _save_inputs(samples: Samples, path: Path) -> None:
    archives.save_npz(path, samples.inputs)
