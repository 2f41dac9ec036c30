"""The manifest, the committed schema, and what a reader refuses."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekit.bundles import manifest
from edgekit.bundles.manifest import GoldenTensor
from edgekit.errors import BundleError
from tests.unit.examples import manifest as a_manifest

SCHEMA = Path(manifest.__file__).parent / "schemas" / "manifest-1.json"


def test_the_committed_schema_is_what_the_classes_say() -> None:
    """``scripts/make-docs`` was run after the last change."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json.loads(json.dumps(manifest.json_schema()))


def test_a_manifest_survives_its_text() -> None:
    """Written and read again, it is the same value and the same text."""
    text = a_manifest().to_json()
    again = manifest.parse(text, where="manifest.json")
    assert again == a_manifest()
    assert again.to_json() == text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}', '{"schema_version": 1}', "\0"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    """Not JSON, another version, or parts missing: a bundle error with a way out."""
    with pytest.raises(BundleError) as caught:
        manifest.parse(text, where="manifest.json")
    assert caught.value.hint


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", ".hidden", "a/.."])
def test_a_bundle_names_nothing_outside_its_folder(path: str) -> None:
    """A manifest from elsewhere must not make a reader open other files."""
    fields = {"name": "x", "sha256": "0" * 64, "dtype": "float32", "shape": (1,)}
    assert GoldenTensor.model_validate({**fields, "file": "golden/0.x.bin"})
    with pytest.raises(ValidationError):
        GoldenTensor.model_validate({**fields, "file": path})
