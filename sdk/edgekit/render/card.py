"""The model card of a published bundle: what is in it, how good it is, and how an app takes it."""

from edgekit.base.numbers import kilobytes
from edgekit.bundles import verdict
from edgekit.bundles.manifest import Manifest
from edgekit.render.markdown import escaped


def of_manifest(manifest: Manifest, repository: str) -> str:
    """Return the card as Markdown with the header that the hub reads.

    Args:
        manifest: Of the bundle.
        repository: ``OWNER/NAME``.
    """
    formats = sorted({str(info.format) for info in manifest.artifacts})
    tags = ["edgekit", *({"pte": "executorch", "onnx": "onnx"}[name] for name in formats)]
    lines = ["---", "library_name: edgekit", "tags:", *(f"  - {tag}" for tag in tags), "---", ""]
    lines += [
        f"# {escaped(manifest.model.name)} for {escaped(manifest.target.name)}",
        "",
        "Quantized and verified by EdgeKit: `report.html` shows how far it is from the float model.",
        "",
        f"* verdict: **{manifest.verdict}**",
        *(f"* {escaped(line)}" for line in verdict.of_manifest(manifest)),
        *(f"* input `{spec.name}`: {spec.dtype} {list(spec.shape)}" for spec in manifest.inputs),
        *(f"* output `{spec.name}`: {spec.dtype} {list(spec.shape)}" for spec in manifest.outputs),
        "",
        "| file | format | size | sha256 |",
        "|---|---|---|---|",
        *(
            f"| `{info.file}` | {info.format}, {info.quantization} | {kilobytes(info.bytes)} | `{info.sha256[:16]}` |"
            for info in manifest.artifacts
        ),
        "",
        "```sh",
        f"hf download {repository} --local-dir bundle",
        "edgekit drop APP --bundle bundle",
        "```",
        "",
    ]
    return "\n".join(lines)
