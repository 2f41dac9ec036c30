"""The Python API: the verbs as functions."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import targets
from edgekit.base import cache as caches
from edgekit.base.keeping import keep_folder
from edgekit.base.memory import Memory
from edgekit.base.progress import Progress
from edgekit.bundles.result import BuildResult
from edgekit.data import doubts
from edgekit.data.texts import checked_steps
from edgekit.drift import detection
from edgekit.errors import DataError, EdgeKitError, ProjectError
from edgekit.model.programs import source_of
from edgekit.model.source.given import Data, samples_given
from edgekit.pipeline import native as natives
from edgekit.pipeline import peaks
from edgekit.pipeline.build import build_job
from edgekit.pipeline.job import SAME_SAMPLES, Job, Metric, check_answers, of_functions
from edgekit.pipeline.rebuild import build_project
from edgekit.pipeline.trained import load as load_trained
from edgekit.pipeline.trained import of_network, refuse_described, settings_of
from edgekit.quantization.training.network import QatNetwork
from edgekit.render.telling import telling
from edgekit.spec import (
    Audio,
    Budget,
    Dimension,
    Format,
    Meaning,
    Preprocessing,
    QuantSpec,
    Target,
    Text,
    arguments,
    schemes,
)
from edgekit.spec.target import NativePictures

__all__ = ["build", "build_project"]

_BY_NAME = "a mapping by name"
_TARGETS = "a target's name, or a sequence of them"


def build(
    model: nn.Module | ExportedProgram | str | Path,
    example_inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None = None,
    *,
    target: str | Sequence[str],
    calibration: Data | None = None,
    output: str | Path,
    evaluation: Data | None = None,
    name: str | None = None,
    output_names: Sequence[str] = ("output",),
    labels: Sequence[str] = (),
    meanings: Mapping[str, Meaning] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    preprocessing: Preprocessing | Mapping[str, object] | None = None,
    audio: Audio | Mapping[str, object] | None = None,
    text: Text | Mapping[str, object] | None = None,
    quantization: QuantSpec | Mapping[str, object] | None = None,
    formats: str | Sequence[str] = (),
    budget: Budget | Mapping[str, object] | None = None,
    max_batch: int | None = None,
    unbatched: bool = False,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    dimensions: Mapping[str, int | Dimension] | None = None,
    progress: Progress | None = None,
    cache: bool = True,
    keep: str | Path | None = None,
    memory: int | str | None = None,
    native: NativePictures | None = None,
    peak_memory: bool = False,
) -> BuildResult:
    """Quantize a model object, lower it for one or more targets, verify the artifacts and write the bundles.

    The baseline is made on the spot from the float model on this host, and the report says so.

    Args:
        model: The float model; it is copied, put in eval mode, and left as it was. ``DataParallel`` and
            ``torch.compile`` are looked through; weights of other float types are copied to float32. It may be an
            exported program, a ``torch.jit.ScriptModule``, or the path of a program: ``.pt2``, TorchScript or ONNX. Of
            a network from `edgekit.prepare_qat` the weights and ranges are taken as they are; it knows its own inputs,
            outputs and calibration, and how it is quantized.
        example_inputs: The arguments of ``forward``, batch first: a tensor, several in order, or by name. Left out
            where a program says what it takes.
        target: A target's name, several names, or a path to a profile of your own; ``"all"`` are those of which all
            that they need is installed.
        calibration: A batch or an iterable of batches. A batch is a tensor, a sequence in the order of ``forward``
            (one element more is taken for the true classes), or a mapping by parameter name; in the evaluation data
            ``target.OUTPUT`` holds the true values of an output. NumPy arrays do as well as tensors. Or a path, of what
            docs/data.md says; pictures need ``preprocessing``, sounds
            ``audio``, texts ``text``.
        output: The bundles are written to ``output / name / target``.
        evaluation: The samples that drift is measured on, in the same forms; the calibration samples unless given.
        name: The model's name, of letters, digits, dots, dashes and underscores; the class's name in lower case unless
            given.
        output_names: Names of what ``forward`` returns, in order; a mapping, a named tuple or a dataclass has its own.
        labels: Names of the classes. If given, the first output is taken for logits.
        meanings: What outputs mean, by name: it says which metrics they get, see docs/drift.md.
        metrics: Metrics of your own, by output: functions of reference, candidate and true values (or None).
        preprocessing: How a picture becomes the input, for the apps.
        audio: How a sound becomes the only input, likewise.
        text: How a text becomes the inputs; the bundle carries the tokenizer, which is named from the current folder.
        quantization: How to quantize, ``QuantSpec(scheme=Scheme.INT8_DYNAMIC)`` or ``{"scheme": "int8-dynamic"}`` for
            instance; the target's scheme unless given. This and the other settings may be mappings with the keys of a
            project file.
        formats: The artifact to write, ``"pte"`` or ``"onnx"``, or several; all that the target names unless given.
        budget: Limits put over the target's.
        max_batch: Largest batch that the artifacts take, and the .pte plans memory for. Unless given it follows from
            the example: with one row the batch is fixed at one sample, as phones run a model and at the least memory;
            with several rows any batch up to 64 is taken.
        unbatched: Whether ``forward`` takes one sample without a batch, and so the example: a picture of (3, 32, 32), a
            vector, a scalar. The files have a batch of 1; data has one row a sample, as ever.
        shapes: Shapes of inputs of which more than the batch varies, ``{"tokens": ("batch", "length")}``.
        dimensions: What the names in them stand for: the largest size, or ``Dimension(min=8, max=512, multiple=8)``.
        progress: Told about every stage; unless given a terminal and a notebook are.
        cache: Take artifacts from the cache that were lowered before from an equal quantized program.
        keep: Folder for every intermediate and, if a stage fails, for its input and a script that fails alike; what
            ``EDGEKIT_KEEP`` names unless given.
        memory: Memory for samples and activations, in bytes or as ``"4GB"``; see ``[build] memory`` in docs/project.md.
        native: Add a folder that runs on Linux without Python, see docs/native.md; its program reads ``"png"``, or
            ``"jpeg"`` as well.
        peak_memory: Measure how much memory each file takes on this host, in a process of its own.

    Returns:
        The bundles with their verdicts. A drift over the budget is a verdict, not an exception.

    Raises:
        EdgeKitError: A subclass for what is wrong, with a hint.
    """
    qat = model if isinstance(model, QatNetwork) else None
    trained = None if qat is None else of_network(qat)
    settings = arguments.spec("quantization", quantization, QuantSpec, "an edgekit.QuantSpec")
    if qat is not None:
        refuse_described(
            example_inputs=example_inputs,
            name=name,
            output_names=None if tuple(output_names) == ("output",) else output_names,
            labels=labels or None,
            meanings=meanings,
            audio=audio,
            max_batch=max_batch,
            unbatched=unbatched or None,
            shapes=shapes,
            dimensions=dimensions,
            quantization=settings,
        )
        settings = settings_of(qat)
    quantization = settings or QuantSpec()
    budget = arguments.spec("budget", budget, Budget, "an edgekit.Budget") or Budget()
    preprocessing = arguments.spec("preprocessing", preprocessing, Preprocessing, "an edgekit.spec.Preprocessing")
    audio = arguments.spec("audio", audio, Audio, "an edgekit.spec.Audio")
    text = arguments.spec("text", text, Text, "an edgekit.spec.Text")
    profiles, left_out = _profiles(target, arguments.formats_of(formats), quantization)
    for argument, value, kind, what in (
        ("output", output, str | Path, "a path"), ("metrics", metrics or {}, Mapping, _BY_NAME),
        ("meanings", meanings or {}, Mapping, _BY_NAME),
        ("shapes", shapes or {}, Mapping, _BY_NAME),
        ("cache", cache, bool, "True or False"), ("unbatched", unbatched, bool, "True or False"),
         ("keep", keep, str | Path | None, "a folder's path"),
    ):  # fmt: skip
        arguments.typed(argument, value, kind, what)
    if native not in (None, "png", "jpeg"):
        raise ProjectError(f"native is {native!r}.", hint='It is "png", "jpeg", or left out.')
    folders = natives.asked(profiles, native, None)
    allowed = Memory(given=None if memory is None else arguments.memory_of(memory))
    source = (
        qat.plan.captured.source
        if qat is not None
        else source_of(
            name,
            model,
            example_inputs,
            output_names=output_names,
            labels=labels,
            meanings=meanings,
            preprocessing=preprocessing,
            audio=audio,
            shapes=shapes,
            max_batch=max_batch,
            unbatched=unbatched,
            dimensions=dimensions,
        )
    )
    own = of_functions(metrics or {}, source.outputs)
    if any(spec.meaning == "boxes" for spec in source.outputs):
        detection.require()
    steps = None if text is None else checked_steps(text, source.inputs, Path())
    if calibration is not None:
        calibrating = samples_given(calibration, source, what="calibration data", memory=allowed, text=text)
    elif qat is not None:
        calibrating = qat.plan.calibration
    else:
        raise DataError("calibration is missing.", hint="Pass samples that are typical of what the model will see.")
    if trained is None and quantization.trained is not None:
        trained = load_trained(Path(quantization.trained), source)
    notes: tuple[str, ...] = ()
    if evaluation is None:
        evaluating = calibrating
        notes = (SAME_SAMPLES,)
    else:
        evaluating = samples_given(
            evaluation, source, what="evaluation data", outputs=source.outputs, memory=allowed, text=text
        )
    check_answers(budget, source.outputs, evaluating)
    job = Job(
        source=source,
        calibration=calibrating,
        evaluation=evaluating,
        baseline=None,
        quantization=quantization,
        budget=budget,
        preprocessing=preprocessing or source.preprocessing,
        text=steps,
        labels=source.labels,
        notes=(*notes, *doubts.of_all(calibrating, evaluating)),
        own_metrics=own,
        memory=allowed,
        trained=trained,
    )
    store = caches.for_builds() if cache else None
    with telling(progress) as told:
        result = build_job(job, profiles, Path(output), told, store, keep_folder(keep)).beside(left_out)
        result = natives.add(result, folders, told, store)
        return peaks.add(result, told, store, measure=peak_memory)


def _profiles(
    wanted: Any, formats: Sequence[Format], spec: QuantSpec
) -> tuple[tuple[Target, ...], Mapping[str, EdgeKitError]]:
    names = (
        (wanted,) if isinstance(wanted, str | Path) else tuple(arguments.typed("target", wanted, Sequence, _TARGETS))
    )
    known = [arguments.typed("target", name, str | Path, _TARGETS) for name in names]
    profiles, left_out = targets.asked(known, partial(schemes.check, formats=formats, spec=spec))
    return schemes.narrowed(profiles, formats), left_out
