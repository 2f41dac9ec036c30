"""Debian's packages without installing them: apt with folders of its own, and dpkg-deb."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ToolchainError

_KEYS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg", "ubuntu-archive-keyring.gpg")
_HINT = "apt-get update must work on this machine."
_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


@dataclass(frozen=True, kw_only=True)
class Debian:
    """The mirrors that this system is set to, seen with lists and a state of our own."""

    folder: Path

    @classmethod
    def of_system(cls, folder: Path) -> "Debian":
        """Make the folders, with the system's own mirrors and its backports as sources.

        Raises:
            ToolchainError: If this system has no mirrors of its own release.
        """
        release = _release()
        codename, is_debian = release.get("VERSION_CODENAME", ""), release.get("ID") == "debian"
        said = _run(["apt-get", "indextargets", "--format", _FORMAT], {}).stdout.splitlines()
        found = dict.fromkeys(tuple(line.split("|")) for line in said)
        suites = (codename, f"{codename}-updates", f"{codename}-backports")
        own = {(uri, suite, part) for uri, suite, part in found if suite in suites and part in ("main", "universe")}
        if not own or not codename:
            raise ToolchainError(f"apt has no source of {codename or 'a known release'} here.", hint=_HINT)
        mirror = min(uri for uri, suite, _ in own if suite in (codename, f"{codename}-updates"))
        if is_debian:  # what is newer than the release, and the header that it may lack
            own |= {(mirror, f"{codename}-backports", "main"), (mirror, "stable", "main")}
        key = next((place for name in _KEYS if (place := Path("/usr/share/keyrings") / name).is_file()), None)
        signed = f"[signed-by={key}] " if key is not None else ""
        for part in ("lists/partial", "cache/archives/partial", "none"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        lines = [f"deb {signed}{uri} {suite} {part}" for uri, suite, part in sorted(own)]
        (folder / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        # Other releases are for what is asked for by version alone.
        pins = [f"Package: *\nPin: release n={suite}\nPin-Priority: 900\n" for suite in suites[:2]]
        (folder / "preferences").write_text("\n".join(pins), encoding="utf-8")
        settings = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": folder / "none",
            "Dir::Etc::preferences": folder / "preferences",
            "Dir::Etc::preferencesparts": folder / "none",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Acquire::Languages": "none",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "_apt",
        }
        text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
        (folder / "apt.conf").write_text(text, encoding="utf-8")
        return cls(folder=folder)

    def update(self) -> None:
        """Fetch the lists of packages, whose signatures apt checks.

        Raises:
            ToolchainError: If they cannot be fetched.
        """
        self._apt("apt-get", "update", "-qq", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false")

    def newest(self, package: str, *, optional: bool = False) -> str:
        """Return the newest version of a package; an empty text if there is none and that is all right.

        Raises:
            ToolchainError: If there is none.
        """
        lines = self._apt("apt-cache", "madison", package).splitlines()
        versions = [line.split("|")[1].strip() for line in lines if line.count("|") == 2]
        newest = ""
        for version in versions:
            newer = ["dpkg", "--compare-versions", version, "gt", newest]
            if not newest or _run(newer, {}, check=False).returncode == 0:
                newest = version
        if not newest and not optional:
            raise ToolchainError(f"There is no package {package} for this system.", hint=_HINT)
        return newest

    def closure(self, package: str) -> tuple[str, ...]:
        """Return the file names of a package and of all that it depends on.

        Raises:
            ToolchainError: If apt finds no way to install it.
        """
        lines = self._apt("apt-get", "install", "--print-uris", "--yes", "-qq", package).splitlines()
        return tuple(line.split()[1] for line in lines if line.startswith("'"))

    def download(self, packages: Sequence[str], folder: Path) -> list[Path]:
        """Download packages, whose digests apt checks.

        Raises:
            ToolchainError: If one cannot be downloaded.
        """
        folder.mkdir(parents=True)
        self._apt("apt-get", "download", "-qq", *packages, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def unpack(self, file: Path, folder: Path, *, only: str = "") -> None:
        """Unpack a package, or one file of it.

        Raises:
            ToolchainError: If it cannot be unpacked.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not only:
            _run(["dpkg-deb", "-x", str(file), str(folder)], {})
            return
        whole = file.with_suffix(".tar")
        with whole.open("wb") as target:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=target, check=True)  # noqa: S603, S607
        _run(["tar", "-xf", str(whole), "-C", str(folder), only], {})
        whole.unlink()

    def _apt(self, *command: str, cwd: Path | None = None) -> str:
        return _run(list(command), {"APT_CONFIG": str(self.folder / "apt.conf")}, cwd=cwd).stdout


def _release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


def _run(
    command: list[str], variables: dict[str, str], *, cwd: Path | None = None, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(  # noqa: S603 - the system's own package tools
        command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "LC_ALL": "C", **variables}
    )
    if check and done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()[-1:]
        raise ToolchainError(f"{' '.join(command[:2])} fails: {(last or ['no reason'])[0][:300]}", hint=_HINT)
    return done
