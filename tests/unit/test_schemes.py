"""What is asked for, against what there are kernels for: found before torch is imported."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekit import bundles, targets
from edgekit.data.trace import precision
from edgekit.errors import ProjectError, TargetError
from edgekit.model.artifact import Artifact
from edgekit.pipeline import buildkey
from edgekit.pipeline.rebuild import build_project
from edgekit.spec import Fallback, Format, FormatSchemes, QuantSpec, Scheme, SizeLimit, project, scaffold, schemes

TARGET = targets.load("android-arm64")


def project_with(tmp_path: Path, lines: str, *, formats: str = "") -> Path:
    """Write a copy of the sample project with another scheme."""
    folder = tmp_path / "project"
    scaffold.init(folder)
    file = folder / "edgekit.toml"
    text = file.read_text().replace('scheme = "int8"\n', f"{lines}\n").replace('formats = ["pte", "onnx"]\n', formats)
    file.write_text(text)
    return folder


def test_the_sample_names_its_formats_and_scheme() -> None:
    """What the tests here replace is there."""
    text = (project.SAMPLE / "edgekit.toml").read_text()
    assert 'formats = ["pte", "onnx"]\n' in text
    assert '\nscheme = "int8"\n' in text


@pytest.mark.parametrize("scheme", list(Scheme))
def test_every_scheme_is_read_from_a_project(tmp_path: Path, scheme: Scheme) -> None:
    """By its name; all formats that hold it may be asked for."""
    formats = [format for format in TARGET.formats if schemes.obstacle(scheme, format) is None]
    assert formats
    chosen = 'float_layers = ["stem"]' if scheme is Scheme.INT8_MIXED else ""
    folder = project_with(tmp_path, f'scheme = "{scheme}"\n{chosen}', formats=f"formats = {json.dumps(formats)}\n")
    spec = project.load(folder).spec
    assert spec.quantize.scheme is scheme
    (narrowed,) = schemes.narrowed([TARGET], spec.formats)
    assert schemes.of_target(narrowed, spec.quantize) == dict.fromkeys(formats, scheme)


def test_mixed_says_which_layers_stay_float() -> None:
    """A target can ask for the scheme, too, and so can one format; without layers it says nothing."""
    mixed = TARGET.model_copy(update={"quantization": Scheme.INT8_MIXED})
    with pytest.raises(ProjectError, match="does not say which layers"):
        schemes.of_target(mixed, QuantSpec())
    assert set(schemes.of_target(mixed, QuantSpec(fallback=Fallback.AUTO)).values()) == {Scheme.INT8_MIXED}
    with pytest.raises(ValidationError, match="needs float_layers"):
        QuantSpec(scheme=FormatSchemes(pte=Scheme.INT8_MIXED))


def test_each_format_may_have_a_scheme(tmp_path: Path) -> None:
    """As a table; what it does not name takes the target's."""
    folder = project_with(tmp_path, 'scheme = { pte = "8da4w", onnx = "w8a16" }')
    spec = project.load(folder).spec.quantize
    assert spec.scheme == FormatSchemes(pte=Scheme.W4_DYNAMIC, onnx=Scheme.W8A16)
    assert schemes.of_target(TARGET, spec) == {Format.PTE: Scheme.W4_DYNAMIC, Format.ONNX: Scheme.W8A16}
    half = QuantSpec(scheme=FormatSchemes(pte=Scheme.FLOAT))
    assert schemes.of_target(TARGET, half) == {Format.PTE: Scheme.FLOAT, Format.ONNX: Scheme.INT8}


def test_schemes_are_known_by_name_in_python() -> None:
    """A string is what the file has, too; a wrong one is refused."""
    assert QuantSpec.model_validate({"scheme": "w8a16"}).scheme is Scheme.W8A16
    assert QuantSpec.model_validate({"scheme": {"pte": "8da4w"}}).scheme == FormatSchemes(pte=Scheme.W4_DYNAMIC)
    for wrong in ("int9", "int8-weight-only", 8):
        with pytest.raises(ValidationError):
            QuantSpec.model_validate({"scheme": wrong})


@pytest.mark.parametrize(
    ("lines", "formats", "expected"),
    [
        ('scheme = "int9"', "", 'quantize.scheme = "int9": must be one of int8, int8-mixed'),
        ('scheme = "int8-weight-only"', "", 'quantize.scheme = "int8-weight-only": is refused: of linear layers'),
        ('scheme = { pte = "int8-weight-only" }', "", 'quantize.scheme.pte = "int8-weight-only": is refused'),
        ('scheme = { pt = "int8" }', "", "quantize.scheme.pt: unknown key; did you mean pte?"),
        ('scheme = { pte = "w8a16" }', "", "quantize.scheme: w8a16 is not for .pte: XNNPACK has no kernels"),
        ('scheme = { onnx = "8da4w" }', "", "quantize.scheme: 8da4w is not for .onnx: 4-bit weights"),
        ('scheme = "w8a16"', 'formats = ["pte"]\n', "quantize.scheme: w8a16 is not for .pte"),
        ("group_size = 48", "", "quantize.group_size = 48: must be a multiple of 32"),
        (
            'scheme = "int8"',
            'formats = ["tflite"]\n',
            "formats[0] = \"tflite\": must be 'pte', 'onnx' or 'aimodel.zip'",
        ),
    ],
)
def test_what_no_target_can_mend_is_a_fault_of_the_project(
    tmp_path: Path, lines: str, formats: str, expected: str
) -> None:
    """Told with its key and the reason when the project is read."""
    with pytest.raises(ProjectError) as caught:
        project.load(project_with(tmp_path, lines, formats=formats))
    assert f"  - {expected}" in caught.value.message


def test_a_format_that_is_not_written_needs_no_kernels(tmp_path: Path) -> None:
    """The negative twin: the same scheme with the other format narrowed away."""
    folder = project_with(tmp_path, 'scheme = { pte = "w8a16", onnx = "w8a16" }', formats='formats = ["onnx"]\n')
    assert project.load(folder).spec.formats == (Format.ONNX,)


@pytest.mark.parametrize(
    ("scheme", "fault", "ways"),
    [
        (Scheme.W8A16, "android-arm64: w8a16 is not for .pte", ("--format onnx", 'pte = "int8", onnx = "w8a16"')),
        (Scheme.W4_DYNAMIC, "is not for .onnx", ("--format pte", 'pte = "8da4w", onnx = "int8-dynamic"')),
    ],
)
def test_what_a_target_cannot_hold_is_refused_with_ways_out(scheme: Scheme, fault: str, ways: tuple[str, ...]) -> None:
    """Narrow the formats, or give each a scheme; both ways out are ways out."""
    with pytest.raises(ProjectError, match=fault) as caught:
        schemes.of_target(TARGET, QuantSpec(scheme=scheme))
    for way in ways:
        assert way in caught.value.hint
    word = ways[0].split()[1]
    (narrow,) = schemes.narrowed([TARGET], [Format(word)])
    assert schemes.of_target(narrow, QuantSpec(scheme=scheme)) == {Format(word): scheme}


def test_a_target_of_ones_own_may_ask_for_what_it_cannot_hold(tmp_path: Path) -> None:
    """Its scheme is held against its formats, too; a refused name is a fault of the profile."""
    wide = TARGET.model_copy(update={"quantization": Scheme.W8A16})
    with pytest.raises(ProjectError, match=r"w8a16 is not for \.pte"):
        schemes.of_target(wide, QuantSpec())
    assert schemes.of_target(wide, QuantSpec(scheme=Scheme.INT8))[Format.PTE] is Scheme.INT8
    text = (targets.folder() / "android-arm64.toml").read_text(encoding="utf-8")
    text = text.replace('"android-arm64"', '"own"').replace(
        'quantization = "int8"', 'quantization = "int8-weight-only"'
    )
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(TargetError, match="is refused"):
        targets.load(tmp_path / "own.toml")


def test_formats_narrow_a_target() -> None:
    """In the target's order; nothing left is an error, nothing asked for changes nothing."""
    (both,) = schemes.narrowed([TARGET], [Format.ONNX, Format.PTE])
    assert both.formats == (Format.PTE, Format.ONNX)
    (one,) = schemes.narrowed([TARGET], [Format.ONNX])
    assert one.formats == (Format.ONNX,)
    assert schemes.narrowed([TARGET], []) == (TARGET,)
    with pytest.raises(ProjectError, match="writes onnx, and asked for is pte"):
        schemes.narrowed([one], [Format.PTE])


def test_formats_and_schemes_change_the_key(tmp_path: Path) -> None:
    """A bundle of one format is not taken for one of both, nor one scheme's for another's."""
    folder = project_with(tmp_path, 'scheme = "int8"')
    others = ('"float"', '{ pte = "float" }', '{ pte = "float", onnx = "w8a16" }', '"int8-dynamic"')
    folders = [project_with(tmp_path / str(n), f"scheme = {other}") for n, other in enumerate(others)]
    keys = [buildkey.of_files(project.load(one)) for one in (folder, *folders)]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    (narrow,) = schemes.narrowed([TARGET], [Format.ONNX])
    assert buildkey.of_bundle("0", narrow) != buildkey.of_bundle("0", TARGET)


@pytest.mark.parametrize("arguments", [("--format", "onnx"), ()])
def test_the_command_line_refuses_early(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 3, the reason and the way out, and neither torch nor a bundle."""
    folder = project_with(tmp_path, 'scheme = "8da4w"')
    code = """
import sys
from edgekit.cli import main
try:
    main.main(sys.argv[1:])
except SystemExit as stop:
    sys.exit("torch was imported" if "torch" in sys.modules else stop.code)
"""
    command = ["build", "--target", "android-arm64", "--project", str(folder), *arguments]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 3
    assert "8da4w is not for .onnx" in done.stderr
    assert ("--format pte" in done.stderr) != bool(arguments)  # no way out if .onnx is all that is wanted
    assert not (tmp_path / "artifacts").exists()


def test_a_wrong_format_is_a_usage_error() -> None:
    """Exit code 2, with the names that there are."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "build", "--target", "android-arm64", "--format", "tflite"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "'pte', 'onnx'" in done.stderr


def test_a_project_that_cannot_be_built_is_refused_before_its_data_is_read(tmp_path: Path) -> None:
    """Also from Python."""
    opened = project.load(project_with(tmp_path, 'scheme = "w8a16"'))
    opened.weights.unlink()
    with pytest.raises(ProjectError, match=r"w8a16 is not for \.pte"):
        build_project(opened, (TARGET,), tmp_path / "out")


@pytest.mark.parametrize(
    ("weight_bytes", "expected"),
    [(250, 350 + 10), (1000, 1400 + 10), (140, 196 + 10)],
)
def test_the_size_limit_follows_the_bits_of_the_weights(weight_bytes: int, expected: int) -> None:
    """1000 bytes of float weights: a share of 0.35 with 8 bits each, four times as much for float, less for 4 bits."""
    limit = SizeLimit(max_share=0.35, overhead_bytes=10)
    for extra, within in ((0, True), (1, False)):
        artifact = Artifact(
            format=Format.ONNX, data=bytes(expected + extra), scheme=Scheme.INT8_DYNAMIC, operators=(), delegates=(),
            delegated_fraction=1, int8_fraction=1, not_delegated=(),
        )  # fmt: skip
        info = bundles.describe(artifact, limit=limit, weight_bytes=weight_bytes, batches=(1,), pins={})
        assert (info.size_limit, info.within_size) == (expected, within)
        assert info.quantization is Scheme.INT8_DYNAMIC


@pytest.mark.parametrize(("operations", "graph"), [(0, 40_960), (53, 40_960), (54, 41_472), (200, 153_600)])
def test_a_graph_of_many_operations_may_be_larger(operations: int, graph: int) -> None:
    """Of a loop over time most bytes are what describes it."""
    limit = SizeLimit(max_share=0.35, overhead_bytes=40_960)
    for extra, within in ((0, True), (1, False)):
        artifact = Artifact(
            format=Format.PTE, data=bytes(1400 + graph + extra), scheme=Scheme.INT8, operators=(), delegates=(),
            delegated_fraction=1, int8_fraction=1, not_delegated=(), operations=operations,
        )  # fmt: skip
        info = bundles.describe(artifact, limit=limit, weight_bytes=1000, batches=(1,), pins={})
        assert (info.size_limit, info.within_size) == (1400 + graph, within)


def test_precision_is_the_scheme_s_own_name() -> None:
    """A float program is not called int8, and what nobody knows is called unknown."""
    assert precision(Scheme.FLOAT) == "float32"
    assert precision(None) == "unknown"
    assert {precision(scheme) for scheme in Scheme if scheme is not Scheme.FLOAT} == set(Scheme) - {Scheme.FLOAT}


def test_every_scheme_says_what_calibration_did() -> None:
    """No scheme without words, and none without a format."""
    assert len({schemes.calibrated(scheme, 10) for scheme in Scheme}) == 3
    assert all(any(schemes.obstacle(s, f) is None for f in Format) for s, f in product(Scheme, Format))


@pytest.mark.parametrize(
    ("key", "value"), [("ranges", "minmax"), ("first_layer", "int8"), ("last_layer", "float"), ("fallback", "auto")]
)
def test_a_choice_goes_by_its_value_in_python_too(key: str, value: str) -> None:
    """As it stands in a project file; another word is refused with those that there are."""
    assert getattr(QuantSpec.model_validate({key: value}), key) == value
    with pytest.raises(ValidationError, match="Input should be"):
        QuantSpec.model_validate({key: f"{value}s"})
