"""Nothing of the environment is in what a build writes or says."""

import os
import subprocess
import sys
from pathlib import Path

CANARY = "hf_canaryCANARYcanary0123456789"
NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OMP_SECRET", "EDGEKIT_SECRET")


def test_no_secret_is_written_or_said(tmp_path: Path) -> None:
    """In bundle, page, summary, JUnit, JSON, cache, and all that is kept; nor is a path of ours in the bundle."""
    home = tmp_path / "home-of-canary"
    home.mkdir()
    done = subprocess.run(
        [
            sys.executable, "-m", "edgekit", "build", "--sample", "--target", "android-arm64", "--format", "onnx",
            "--output", "out", "--keep", "kept", "--junit", "junit.xml", "--summary", "summary.md", "--json", "--debug",
        ],
        cwd=tmp_path,
        env={**os.environ, **dict.fromkeys(NAMES, CANARY), "HOME": str(home), "EDGEKIT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parts[len(tmp_path.parts)] for path in files} >= {"out", "kept", "cache", "junit.xml", "summary.md"}
    with_secret = [path for path in files if CANARY.encode() in path.read_bytes()]
    assert not with_secret
    assert CANARY.encode() not in done.stdout + done.stderr
    of_bundle = [path for path in files if path.is_relative_to(tmp_path / "out")]
    assert not [path for path in of_bundle if str(tmp_path).encode() in path.read_bytes()]
