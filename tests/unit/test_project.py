"""edgekit.toml: the sample is valid, and every fault is found and told at once."""

import tomllib
from pathlib import Path

import pytest

from edgekit.errors import ProjectError
from edgekit.spec import Dimension, Scheme, project, scaffold
from edgekit.spec.sections import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sample project."""
    scaffold.init(tmp_path / "project")
    return tmp_path / "project"


def change(folder: Path, *pairs: tuple[str, str]) -> None:
    """Replace parts of the project file."""
    file = folder / project.PROJECT_FILE
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)


def faults(folder: Path) -> list[str]:
    """Return the faults that loading reports, without the marks of the list."""
    with pytest.raises(ProjectError) as caught:
        project.load(folder)
    return [line.removeprefix("  - ") for line in caught.value.message.splitlines()[1:]]


def test_the_sample_loads() -> None:
    """The sample names files that exist and means what it says."""
    opened = project.load(project.SAMPLE)
    assert opened.spec.labels == tuple("0123456789")
    assert opened.spec.postprocessing == ("softmax", "top_k")
    assert opened.source == (project.SAMPLE / "model.py", "build")
    assert opened.weights.is_file()
    assert opened.calibration.is_file()
    assert opened.evaluation.is_file()
    assert opened.baseline == project.SAMPLE / "baseline.npz"
    assert opened.spec.budget.total.min_top1_agreement == 0.99


def test_no_project(tmp_path: Path) -> None:
    """Loading a folder without a project file says how to start one."""
    with pytest.raises(ProjectError) as caught:
        project.load(tmp_path)
    assert "edgekit init" in caught.value.hint


def test_the_missing_baseline_is_no_fault(folder: Path) -> None:
    """The baseline is recorded later."""
    (folder / "baseline.npz").unlink(missing_ok=True)
    assert not project.load(folder).baseline.exists()


def test_keys_types_and_files_are_reported_together(folder: Path) -> None:
    """Unknown keys, wrong types and missing files come in one report, each with the nearest right name."""
    (folder / "weights.safetensors").rename(folder / "weight.safetensors")
    change(
        folder,
        ("calibration_batch = 64", 'calibration_batch = "64"'),
        ("max_accuracy_drop", "max_acuracy_drop"),
        ('shape = ["batch", 10]', 'shape = ["batch", 0]'),
        ('source = "model.py:build"', 'source = "modell.py:build"'),
    )
    found = faults(folder)
    assert len(found) == 5
    assert found[:3] == [
        "outputs[0].shape[1] = 0: must be greater than 0 or must be a valid string",
        'quantize.calibration_batch = "64": must be a valid integer',
        "budget.total.max_acuracy_drop: unknown key; did you mean max_accuracy_drop?",
    ]
    assert found[3] == f"model.source: {folder / 'modell.py'} does not exist; did you mean model.py?"
    assert found[4].endswith("weights.safetensors does not exist; did you mean weight.safetensors?")


def test_weights_are_required(folder: Path) -> None:
    """Random weights are never meant."""
    change(folder, ('weights = "weights.safetensors"\n', ""))
    assert faults(folder) == ["model.weights: missing"]


def test_source_names_file_and_function(folder: Path) -> None:
    """A source without a function is refused."""
    change(folder, ("model.py:build", "model.py"))
    assert faults(folder)[0].startswith('model.source = "model.py": String must match pattern')


def test_weights_must_be_a_file(folder: Path) -> None:
    """A folder is no weights file, but may be data."""
    (folder / "pictures").mkdir()
    change(
        folder,
        ('weights = "weights.safetensors"', 'weights = "pictures"'),
        ('evaluation = "evaluation.npz"', 'evaluation = "pictures"'),
    )
    assert faults(folder) == [f"model.weights: {folder / 'pictures'} is a folder"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('shape = ["batch", 10]', 'shape = ["batsh", 10]',
         "outputs[0].shape: must begin with batch, as the inputs do; did you mean batch?"),
        ("\nbatch = 1", "\nbatch = 1\nlength = 9", "dimensions.length: no shape uses it"),
        ('name = "logits"', 'name = "image"', "outputs[0].name: image is taken by another tensor"),
        ('meaning = "logits"', 'meaning = "image"', "outputs[0].meaning: only an input can mean image"),
        ("height = 32", "height = 28", "inputs[0].shape: must be [batch, 1, 28, 32] after [preprocessing]"),
        ('layout = "NCHW"', 'layout = "NHWC"', "inputs[0].shape: must be [batch, 32, 32, 1] after [preprocessing]"),
        ('color = "grey"', 'color = "rgb"', "inputs[0].shape: must be [batch, 3, 32, 32] after [preprocessing]"),
        ('dtype = "float32"', 'dtype = "uint8"', 'inputs[0].dtype: must be "float32" after [preprocessing]'),
        ('meaning = "image"\n', "", 'preprocessing: needs one input with meaning = "image"; there are 0'),
        ('meaning = "logits"\n', "", 'labels: need one output with meaning = "logits"; there are 0'),
        ('"9"]', '"9", "10"]', "labels: there are 11 for 10 logits"),
        ('meaning = "image"', 'meaning = "boxes"', "inputs[0].meaning: only an output can mean boxes"),
        ('meaning = "logits"', 'meaning = "segmentation"',
         "outputs[0].shape: segmentation must be [batch, classes, height, width]"),
        ('meaning = "logits"', 'meaning = "scores"', "outputs: a detector has one output each that means boxes, scores "
         "and classes; there are 0 boxes, 1 scores, 0 classes"),
        ('meaning = "logits"', 'meaning = "logits"\nmetric = "metrics.py"',
         'outputs[0].metric = "metrics.py": String must match pattern \'^[^:]+\\.py:[A-Za-z_][A-Za-z0-9_]*$\''),
        ("[budget.quantization]", '[budget]\npreset = "clasification"\n[budget.quantization]',
         "budget.preset = \"clasification\": must be 'classification', 'segmentation', 'detection', 'embedding' or "
         "'regression'"),
        ("[budget.quantization]", "[budget.bootstrap]\nconfidence = 95\n[budget.quantization]",
         "budget.bootstrap.confidence = 95: must be less than 1"),
        ("[budget.quantization]", "[budget.outputs.logit.total]\nmin_cosine = 1\n[budget.quantization]",
         "budget.outputs.logit: no output has this name; did you mean logits?"),
        ("[budget.quantization]", "[budget.outputs.logits.totl]\nmin_cosine = 1\n[budget.quantization]",
         "budget.outputs.logits.totl: unknown key; did you mean total?"),
        ("[budget.quantization]", "[budget.outputs.logits.total]\nmin_cosin = 1\n[budget.quantization]",
         "budget.outputs.logits.total.min_cosin: unknown key; did you mean min_cosine?"),
        ("[budget.quantization]", "[budget.total.custom]\npsnr = {}\n[budget.quantization]",
         "budget.total.custom.psnr: needs min (larger is better) or max (smaller is better)"),
        ("[budget.quantization]", "[budget.total.custom]\npsnr = { mim = 3 }\n[budget.quantization]",
         "budget.total.custom.psnr.mim: unknown key; did you mean min?"),
    ],
)  # fmt: skip
def test_parts_must_agree(folder: Path, old: str, new: str, expected: str) -> None:
    """Tensors, dimensions, preprocessing and labels are held against each other."""
    change(folder, (old, new))
    assert expected in faults(folder)


def test_dimensions_may_be_left_out(folder: Path) -> None:
    """Without the table the batch is 1, as phones run it."""
    change(folder, ("[dimensions]\nbatch = 1\n", ""))
    assert project.load(folder).spec.sizes == {"batch": Dimension(max=1)}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("{ min = 2, max = 8 }", Dimension(min=2, max=8)),
        ("{ max = 64, multiple = 8 }", Dimension(max=64, multiple=8)),
        ("16", Dimension(max=16)),
    ],
)
def test_dimensions_are_numbers_or_ranges(folder: Path, sizes: str, expected: Dimension) -> None:
    """A number is the largest size."""
    change(folder, ("\nbatch = 1\n", f"\nbatch = {sizes}\n"))
    assert project.load(folder).spec.sizes == {"batch": expected}


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ("{ min = 9, max = 8 }", "min 9 is over max 8"),
        ("{ min = 2 }", "dimensions.batch.max: missing"),
        ("{ max = 8, multipel = 2 }", "dimensions.batch.multipel: unknown key; did you mean multiple?"),
        ("0", "dimensions.batch = 0: must be greater than 0"),
    ],
)
def test_wrong_ranges_are_named(folder: Path, sizes: str, fault: str) -> None:
    """With the key and what is wrong."""
    change(folder, ("\nbatch = 1\n", f"\nbatch = {sizes}\n"))
    assert any(fault in found for found in faults(folder)), faults(folder)


def test_dimensions_may_be_left_out_of_static_shapes(folder: Path) -> None:
    """The default dimension need not be used."""
    change(folder, ("[dimensions]\nbatch = 1\n", ""), ('["batch", 1, 32, 32]', "[1, 1, 32, 32]"))
    change(folder, ('["batch", 10]', "[1, 10]"))
    assert project.load(folder).spec.inputs[0].shape == (1, 1, 32, 32)


def test_syntax_error_has_its_place(folder: Path) -> None:
    """A syntax error names line and column."""
    change(folder, ("[model]", "[model"))
    with pytest.raises(ProjectError, match=r"is not TOML: .*line \d+, column"):
        project.load(folder)


def test_the_scheme_may_be_left_to_the_target(folder: Path) -> None:
    """Leaving ``scheme`` out asks for the target's; the other settings stay."""
    assert project.load(folder).spec.quantize.scheme is Scheme.INT8
    change(folder, ('scheme = "int8"\n', ""), ("calibration_batch = 64", "calibration_batch = 8"))
    left_out = project.load(folder).spec.quantize
    assert left_out.scheme is None
    assert left_out.calibration_batch == 8


def test_the_sample_writes_out_every_section() -> None:
    """A person sees every table of the project file in the sample, but those for text and sound, which it has not."""
    data = tomllib.loads((project.SAMPLE / project.PROJECT_FILE).read_text())
    assert data.keys() == Project.model_fields.keys() - {"audio", "text"}


def test_int8_mixed_says_which_layers(folder: Path) -> None:
    """Layers in float are named or chosen; the scheme alone says neither."""
    change(folder, ('scheme = "int8"', 'scheme = "int8-mixed"'))
    (fault,) = faults(folder)
    assert fault == 'quantize: scheme "int8-mixed" needs float_layers = [...], or fallback = "auto" to choose them'
    change(folder, ('scheme = "int8-mixed"', 'scheme = "int8-mixed"\nfloat_layers = ["features.*.se"]'))
    assert project.load(folder).spec.quantize.float_layers == ("features.*.se",)
    change(folder, ('float_layers = ["features.*.se"]', 'fallback = "auto"\nfallback_limit = 1.5'))
    assert faults(folder) == ["quantize.fallback_limit = 1.5: must be less than or equal to 1"]


LABELS = 'labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'


@pytest.mark.parametrize("text", ["a\nb\nc\nd\ne\nf\ng\nh\ni\nj", "\ufeffa\r\nb\r\nc\r\n d\ne\nf\ng\nh\ni\nj\n\n"])
def test_labels_may_stand_in_a_file(folder: Path, text: str) -> None:
    """One a line; a mark of byte order, other ends of lines and empty lines at the end are no part of them."""
    change(folder, (LABELS, 'labels = "labels.txt"'))
    (folder / "labels.txt").write_bytes(text.encode())
    assert project.load(folder).spec.labels == tuple("abcdefghij")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("label.txt", b"a\n", "does not exist; did you mean labels.txt?"),
        ("model.py/labels.txt", b"a\n", "does not exist"),
        ("folder", b"a\n", "is a folder"),
        ("labels.txt", b"a\n\nb\n", "is empty"),
        ("labels.txt", b"", "is empty"),
        ("labels.txt", b"\xff\n", "cannot be read"),
    ],
)
def test_a_file_of_labels_that_is_wrong_is_one_fault(folder: Path, name: str, content: bytes, fault: str) -> None:
    """It is told once, beside the other faults."""
    change(folder, (LABELS, f'labels = "{name}"'), ('name = "digits"', "name = 1"))
    (folder / "labels.txt").write_bytes(content)
    (folder / "folder").mkdir()
    found = faults(folder)
    assert len(found) == 2
    assert any(line.startswith("labels: ") and fault in line for line in found)


def test_a_file_of_too_few_labels(folder: Path) -> None:
    """They are counted as those in the project file are."""
    change(folder, (LABELS, 'labels = "labels.txt"'))
    (folder / "labels.txt").write_text("a\nb\n")
    assert faults(folder) == ["labels: there are 2 for 10 logits"]
