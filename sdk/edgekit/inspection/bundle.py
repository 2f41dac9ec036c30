"""Looks into a bundle. Reading it checks that every file is what the manifest says."""

from pathlib import Path

from edgekit import bundles
from edgekit.inspection.values import BundleFolder, Checked, Tensor
from edgekit.spec import TensorSpec


def inspect(folder: Path) -> BundleFolder:
    """Return the summary of a bundle whose files are all there and unchanged.

    Raises:
        BundleError: If the manifest is missing or wrong, or files are missing or changed; it names all of them.
    """
    manifest = bundles.read(folder)
    return BundleFolder(
        path=str(folder),
        model=manifest.model.name,
        target=manifest.target.name,
        verdict=manifest.verdict,
        baseline=manifest.baseline,
        parameters=manifest.model.parameters,
        inputs=tuple(map(_tensor, manifest.inputs)),
        outputs=tuple(map(_tensor, manifest.outputs)),
        labels=len(manifest.labels),
        files=tuple(_checked(folder, *entry) for entry in bundles.files(manifest)),
        quantization={info.file: info.quantization.value for info in manifest.artifacts},
        producer=dict(manifest.producer),
        runtimes=dict(manifest.target.runtimes),
        compatibility=bundles.compatibility(folder, manifest),
    )


def _checked(folder: Path, file: str, sha256: str) -> Checked:
    return Checked(file=file, bytes=(folder / file).stat().st_size, sha256=sha256)


def _tensor(spec: TensorSpec) -> Tensor:
    return Tensor(name=spec.name, dtype=spec.dtype, shape=spec.shape)
