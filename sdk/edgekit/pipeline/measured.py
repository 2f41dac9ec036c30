"""Put what was measured of a bundle into its folder, with a page that shows it beside what else was measured."""

from collections.abc import Mapping
from pathlib import Path

from edgekit import bundles
from edgekit.bundles import device_profile, drawn
from edgekit.bundles import profile as profiles
from edgekit.bundles import verified as results
from edgekit.bundles.device_profile import DeviceProfile
from edgekit.bundles.profile import Profile
from edgekit.bundles.verified import Verified
from edgekit.render.page import build as page


def add(
    folder: Path,
    file: str,
    text: str,
    manifest_sha256: str,
    *,
    profile: Profile | None = None,
    device: DeviceProfile | None = None,
    verified: Mapping[str, Verified] | None = None,
) -> Path:
    """Write a file into a bundle, and its page anew.

    Args:
        folder: The bundle.
        file: One of the files that a bundle may hold beside its own.
        text: What is in it.
        manifest_sha256: Digest of the manifest of the build that was measured.
        profile: What the file holds, if it is a profile.
        device: What it holds, if a phone measured it.
        verified: What it holds, if the processor's kernels were run, by the file's name.

    Raises:
        BundleError: If a file cannot be written, or another build has taken the bundle's place meanwhile.
    """
    shown = page.of_bundle(
        bundles.read(folder),
        profile or profiles.of_bundle(folder, manifest_sha256),
        device or device_profile.of_bundle(folder, manifest_sha256),
        results.of_bundle(folder, manifest_sha256) | dict(verified or {}),
        drawn.of_bundle(folder),
    )
    return bundles.add(folder, file, text, shown, manifest_sha256)
