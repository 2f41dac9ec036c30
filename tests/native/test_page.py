"""docs/native.md and the texts in the folder: their commands run, their files are what they say."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgekit.bundles import native
from tests.native.conftest import Folder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "native.md").read_text("utf-8")
pytestmark = pytest.mark.slow


def commands() -> list[str]:
    """The command lines of the page but for EdgeKit's own, which tests/test_docs.py looks at."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("edgekit")]


def test_the_commands_of_the_page_run(own: Folder) -> None:
    """In a bundle's folder, those of the interface in the native folder; both programs print the same scores."""
    answers = {}
    for line in commands():
        inside = not line.startswith("native/")
        done = subprocess.run(
            ["sh", "-c", line], cwd=own.path if inside else own.bundle, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
        answers[line.partition("#")[0].strip()] = done.stdout
    scores = answers["./example . golden/0.image.bin"]
    assert [line.split()[0] for line in scores.splitlines()] == ["ape", "bee", 'c"a\\t', "dög"]
    assert answers["./embedded . golden/0.image.bin"] == scores
    assert len(commands()) == 10


def test_a_program_that_embeds_the_model_needs_no_files(own: Folder, tmp_path: Path) -> None:
    """The libraries and an input are enough; what is wrong with the input is said."""
    build = next(line for line in commands() if "-DEMBED" in line)
    subprocess.run(["sh", "-c", build], cwd=own.path, check=True)
    for name in ("embedded", *(path.name for path in own.path.glob("lib*"))):
        shutil.copy(own.path / name, tmp_path)
    (tmp_path / "input.bin").write_bytes(bytes(3 * 20 * 24 * 4))
    done = subprocess.run(["./embedded", ".", "input.bin"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 4), done.stderr
    (tmp_path / "input.bin").write_bytes(bytes(7))
    done = subprocess.run(["./embedded", ".", "input.bin"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert done.stderr == "image, float32 of batch x 3 x 20 x 24: 7 bytes given, and 1 x 3 x 20 x 24 are 5760\n"


def test_the_header_is_short_and_plain_c(own: Folder, tmp_path: Path) -> None:
    """Under a hundred lines, and a C99 compiler takes it without a word."""
    header = own.path / "edgekit.h"
    assert len(header.read_text("utf-8").splitlines()) < 100
    source = tmp_path / "one.c"
    source.write_text('#include "edgekit.h"\nint main(void) { return EDGEKIT_OK; }\n')
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{own.path}"]
    subprocess.run(["gcc", *flags, source, "-o", tmp_path / "one"], check=True)


def test_the_image_holds_what_the_libraries_need(made: Folder) -> None:
    """Every library of the system that the folder's own name is copied by the Dockerfile, and the loader."""
    needed = set()
    for path in (made.path / "edgekit-run", *made.path.glob("lib*.so*")):
        dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        assert "RPATH" not in dynamic
    own = {path.name for path in made.path.iterdir()}
    text = (made.path / "Dockerfile").read_text("utf-8")
    copied = {Path(name).name for name in re.findall(r"^COPY --from=system (\S+)", text, re.MULTILINE)}
    assert needed - own - {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"} <= copied
    assert "@" not in text
    assert "@" not in (made.path / "edgekit-selftest.service").read_text("utf-8")


def test_the_image_starts_with_nothing_but_what_is_copied(made: Folder, tmp_path: Path) -> None:
    """The files that the Dockerfile copies, as the root of a file system: the self-test passes there."""
    root = tmp_path / "root"
    text = (made.path / "Dockerfile").read_text("utf-8")
    for source, target in re.findall(r"^COPY --from=system (\S+) (\S+)", text, re.MULTILINE):
        place = root / target.lstrip("/")
        if target.endswith("/"):
            place /= Path(source).name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not Path(source).exists():
            pytest.skip(f"this system has no {source}: it is no Debian")
        shutil.copy(Path(source).resolve(), place)
    shutil.copytree(made.path, root / "edgekit")
    (root / "proc").mkdir()
    command = f"mount -t proc proc {root}/proc && exec chroot {root} /edgekit/edgekit-run selftest"
    alone = ["unshare", "--map-root-user", "--mount", "--pid", "--fork"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces here: the image cannot be tried")
    done = subprocess.run([*alone, "sh", "-c", command], capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "PASSED  5 of 5 golden vectors, 5 identical"


def test_the_unit_is_one(made: Folder, tmp_path: Path) -> None:
    """No fault is found by systemd once the program is where it says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "edgekit-selftest.service"
    text = (made.path / unit.name).read_text("utf-8")
    unit.write_text(text.replace("/opt/edgekit", str(made.path)), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_table_names_every_file(made: Folder) -> None:
    """What the page says of the folder is what is in it."""
    found = native.read(made.bundle)
    assert found is not None
    described = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    names = {name for row in described for name in re.findall(r"`([^`]+)`", row)}
    for file in (*found.files, "native.json"):
        first = file.split("/")[0]
        assert (
            first in names
            or f"{first}/" in names
            or (first.startswith("libexecutorch") and "libexecutorch*.so" in names)
        )
