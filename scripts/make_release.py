"""Make a release: date the changelog, build wheel and sdist, and check each where nothing else is."""

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEAD = re.compile(r"^## (\S+) \(unreleased\)$", re.MULTILINE)
# What an environment of its own must not take from this one.
_CLEAN = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "EDGEKIT"))
}


def main() -> None:
    """Check the sources, write the changelog, build, check what was built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change no file: build and check what is there")
    options = parser.parse_args()
    version = re.findall(r'^__version__ = "(.+)"$', (ROOT / "sdk/edgekit/__init__.py").read_text("utf-8"), re.MULTILINE)
    changelog = ROOT / "CHANGELOG.md"
    text, notes = dated(changelog.read_text(encoding="utf-8"), version[0], datetime.datetime.now(datetime.UTC).date())
    if not options.check:
        if changed := _run("git", "status", "--porcelain", cwd=ROOT).strip():
            sys.exit(f"error: there are changes that are not committed:\n{changed}\nhint: commit them first.")
        changelog.write_text(text, encoding="utf-8")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", dist, ROOT, cwd=ROOT)
    for file in sorted(dist.iterdir()):
        check(file, version[0])
    (dist / "NOTES.md").write_text(notes, encoding="utf-8")
    _say(f"{version[0]} is in dist/: wheel and sdist build the sample, and NOTES.md says what is new.")
    if not options.check:
        _say("Next:")
        _say(f"  git commit -am 'Release {version[0]}' && git tag v{version[0]}")
        _say("  python -m twine upload dist/*.whl dist/*.tar.gz")
        _say("  the next version in sdk/edgekit/__init__.py, and '## VERSION (unreleased)' at the top of CHANGELOG.md")


def dated(changelog: str, version: str, day: datetime.date) -> tuple[str, str]:
    """Return a changelog whose unreleased version has a day, and what stands under it.

    Args:
        changelog: The text of CHANGELOG.md.
        version: The version of the package, which must be the unreleased one.
        day: The day of the release.

    Raises:
        SystemExit: If no version is unreleased, it is another one, or nothing stands under it.
    """
    found = _HEAD.search(changelog)
    if found is None:
        sys.exit("error: CHANGELOG.md has no unreleased version.\nhint: '## VERSION (unreleased)' stands at its top.")
    if found[1] != version:
        sys.exit(
            f"error: CHANGELOG.md has {found[1]} unreleased, and the package is {version}.\nhint: make them agree."
        )
    notes = changelog[found.end() :].partition("\n## ")[0].strip()
    if not notes:
        sys.exit(f"error: nothing stands under {version} in CHANGELOG.md.\nhint: say what is new for those who use it.")
    head = f"## {version} ({day.isoformat()})"
    return changelog[: found.start()] + head + changelog[found.end() :], f"{notes}\n"


def check(file: Path, version: str) -> None:
    """Install a file with all that it asks for into an environment of its own, and build the sample in an empty folder.

    Raises:
        SystemExit: If a step fails, with what it printed.
    """
    with tempfile.TemporaryDirectory() as place:
        home, folder = Path(place, "environment"), Path(place, "folder")
        folder.mkdir()
        venv.create(home, with_pip=True)
        _say(f"installing {file.name} ...")
        _run(home / "bin" / "python", "-m", "pip", "install", "--quiet", file, cwd=folder)
        edgekit = home / "bin" / "edgekit"
        if (said := _run(edgekit, "--version", cwd=folder)).split()[-1] != version:
            sys.exit(f"error: {file.name} says that it is {said.strip()}, not {version}.")
        _say(f"building the sample with {file.name} ...")
        _run(edgekit, "build", "--sample", "--target", "linux-x86_64", cwd=folder)
        _run(edgekit, "inspect", "artifacts/digits/linux-x86_64", cwd=folder)


def _run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False, env=_CLEAN
    )
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
