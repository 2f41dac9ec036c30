"""Which files a bundle has: what its artifacts are in the manifest, and what lies beside them."""

from collections.abc import Mapping

from edgekit.bundles.device_profile import DEVICE_FILE
from edgekit.bundles.drawn import GRAPH_FILE
from edgekit.bundles.manifest import MANIFEST_FILE, ArtifactInfo, Manifest, report
from edgekit.bundles.profile import PROFILE_FILE
from edgekit.bundles.verified import BOARD_FILE, EMULATED_FILE
from edgekit.model.artifact import Artifact
from edgekit.model.drawing import Drawing
from edgekit.model.onchip import OnChip
from edgekit.spec import SizeLimit
from edgekit.targets.runtimes.check import minimum

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
# What was measured of a bundle after it was built.
ADDED = (PROFILE_FILE, DEVICE_FILE, EMULATED_FILE, BOARD_FILE)


def describe(
    artifact: Artifact,
    *,
    limit: SizeLimit,
    weight_bytes: int,
    batches: tuple[int, ...],
    pins: Mapping[str, str],
    on_chip: OnChip | None = None,
) -> ArtifactInfo:
    """Return an artifact's entry in the manifest.

    Args:
        artifact: The artifact.
        limit: The target's size limit.
        weight_bytes: Bytes of the weights as the scheme stores them.
        batches: Batch sizes that were verified.
        pins: Versions of the runtimes that an app pins.
        on_chip: Where the file was executed, if that was no CPU.
    """
    allowed = allowed_bytes(limit, weight_bytes, artifact.operations)
    return ArtifactInfo(
        format=artifact.format,
        file=artifact.file,
        sha256=artifact.sha256,
        bytes=len(artifact.data),
        quantization=artifact.scheme,
        minimum_runtime=minimum(artifact.format, pins),
        operators=artifact.operators,
        delegates=artifact.delegates,
        delegated_fraction=artifact.delegated_fraction,
        int8_fraction=artifact.int8_fraction,
        not_delegated=artifact.not_delegated,
        left_out=artifact.left_out,
        verified_batches=batches,
        within_size=len(artifact.data) <= allowed,
        size_limit=allowed,
        planned_bytes=artifact.planned_bytes,
        on_chip=on_chip,
    )


def allowed_bytes(limit: SizeLimit, weight_bytes: int, operations: int) -> int:
    """Return how large an artifact of so many operations may be whose scheme stores the weights in so many bytes."""
    graph = max(limit.overhead_bytes, limit.operation_bytes * operations)
    return int(4 * limit.max_share * weight_bytes) + graph


def contents(
    manifest: Manifest,
    artifacts: tuple[Artifact, ...],
    golden: dict[str, bytes],
    page: str,
    tokenizer: bytes = b"",
    compiled: Mapping[str, bytes] | None = None,
    drawing: Drawing | None = None,
) -> dict[str, bytes]:
    """Return the content of all files of a bundle, by path within its folder.

    Args:
        manifest: The manifest.
        artifacts: The files that it names.
        golden: The golden vectors that it names.
        page: The text of the report's page.
        tokenizer: The file that it names, if it names one.
        compiled: The files of chips that it names.
        drawing: The network, for pages that are made later.
    """
    return {
        **{artifact.file: artifact.data for artifact in artifacts},
        **golden,
        **(compiled or {}),
        **({} if manifest.text is None else {manifest.text.file: tokenizer}),
        REPORT_FILE: report(manifest).to_json().encode(),
        **({} if drawing is None else {GRAPH_FILE: drawing.model_dump_json().encode()}),
        PAGE_FILE: page.encode(),
        MANIFEST_FILE: manifest.to_json().encode(),
    }
