"""The Python API: the verbs as functions."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekit import targets
from edgekit.base import cache as caches
from edgekit.base.keeping import keep_folder
from edgekit.base.progress import Progress, Silent
from edgekit.bundles.result import BuildResult
from edgekit.data import truth
from edgekit.data.samples import Array, Samples, check_fit
from edgekit.drift import detection
from edgekit.drift.custom import OwnMetric
from edgekit.errors import DataError, ProjectError, SourceError
from edgekit.model.source.module import source_from_module
from edgekit.pipeline.build import build_job
from edgekit.pipeline.job import Job, check_answers
from edgekit.pipeline.rebuild import build_project
from edgekit.spec import Budget, Format, Meaning, Preprocessing, QuantSpec, TensorSpec, schemes
from edgekit.spec.agreement import output_faults
from edgekit.spec.schema import did_you_mean

__all__ = ["build", "build_project"]

Batch = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
Metric = Callable[[Array, Array, Array | None], float | Mapping[str, float]]


def build(
    model: nn.Module,
    example_inputs: Tensor | tuple[Tensor, ...],
    *,
    target: str | Sequence[str],
    calibration: Batch | Iterable[Batch],
    output: str | Path,
    evaluation: Batch | Iterable[Batch] | None = None,
    name: str | None = None,
    output_names: Sequence[str] = ("output",),
    labels: Sequence[str] = (),
    meanings: Mapping[str, Meaning] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    preprocessing: Preprocessing | None = None,
    quantization: QuantSpec | None = None,
    formats: Sequence[str] = (),
    budget: Budget | None = None,
    max_batch: int = 64,
    progress: Progress | None = None,
    cache: bool = True,
    keep: str | Path | None = None,
) -> BuildResult:
    """Quantize a model object, lower it for one or more targets, verify the artifacts and write the bundles.

    The baseline is made on the spot from the float model on this host, and the report says so.

    Args:
        model: The float model; it is copied, put in eval mode, and left as it was.
        example_inputs: The arguments of ``forward``, batch first; the batch becomes symbolic.
        target: A target's name, several names, or a path to a profile of your own.
        calibration: A batch or an iterable of batches. A batch is a tensor, a sequence in the order of ``forward``
            (one element more is taken for the true classes), or a mapping by parameter name; in the evaluation data
            ``target.OUTPUT`` holds the true values of an output.
        output: The bundles are written to ``output / name / target``.
        evaluation: The samples that drift is measured on, in the same forms; the calibration samples unless given.
        name: The model's name; the class's name in lower case unless given.
        output_names: Names of what ``forward`` returns, in order.
        labels: Names of the classes. If given, the first output is taken for logits.
        meanings: What outputs mean, by name: it says which metrics they get, see docs/drift.md.
        metrics: Metrics of your own, by output: functions of reference, candidate and true values (or None).
        preprocessing: How a picture becomes the input, for the apps.
        quantization: How to quantize, ``QuantSpec(scheme=Scheme.INT8_DYNAMIC)`` for instance; the target's scheme
            unless given.
        formats: The artifacts to write, of ``"pte"`` and ``"onnx"``; all that the target names unless given.
        budget: Limits put over the target's.
        max_batch: Largest batch that the .pte plans memory for.
        progress: Told about every stage.
        cache: Take artifacts from the cache that were lowered before from an equal quantized program.
        keep: Folder for every intermediate and, if a stage fails, for its input and a script that fails alike; what
            ``EDGEKIT_KEEP`` names unless given.

    Returns:
        The bundles with their verdicts. A drift over the budget is a verdict, not an exception.

    Raises:
        EdgeKitError: A subclass for what is wrong, with a hint.
    """
    example = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    names = _parameter_names(model, len(example))
    inputs = tuple(
        _spec(parameter, tensor, "image" if preprocessing is not None else "tensor")
        for parameter, tensor in zip(names, example, strict=True)
    )
    outputs = _output_specs(model, example, tuple(output_names), dict(meanings or {}), classifier=bool(labels))
    own = _own_metrics(metrics or {}, outputs)
    source = source_from_module(
        name=name or type(model).__name__.lower(),
        model=model,
        inputs=inputs,
        outputs=outputs,
        dimensions={"batch": max_batch},
    )
    calibrating = _samples(calibration, inputs, what="calibration data")
    notes: tuple[str, ...] = ()
    if evaluation is None:
        evaluating = calibrating
        notes = ("Drift was measured on the calibration samples: give evaluation= samples that calibration never saw.",)
    else:
        evaluating = _samples(evaluation, inputs, what="evaluation data", outputs=outputs)
    check_answers(budget or Budget(), outputs, evaluating)
    job = Job(
        source=source,
        calibration=calibrating,
        evaluation=evaluating,
        baseline=None,
        quantization=quantization or QuantSpec(),
        budget=budget or Budget(),
        preprocessing=preprocessing,
        labels=tuple(labels),
        notes=notes,
        own_metrics=own,
    )
    wanted = (target,) if isinstance(target, str) else tuple(target)
    profiles = schemes.narrowed([targets.load(name) for name in wanted], _formats(formats))
    store = caches.from_environment() if cache else None
    return build_job(job, profiles, Path(output), progress or Silent(), store, keep_folder(keep))


def _formats(names: Sequence[str]) -> tuple[Format, ...]:
    if unknown := [name for name in names if name not in set(Format)]:
        raise ProjectError(
            f"There is no format {', '.join(unknown)}.", hint=f"formats= takes a sequence of {', '.join(Format)}."
        )
    return tuple(map(Format, names))


def _parameter_names(model: nn.Module, count: int) -> list[str]:
    names = [name for name in inspect.signature(model.forward).parameters if name.isidentifier()]
    if len(names) < count:
        raise SourceError(
            f"forward of {type(model).__name__} takes {len(names)} arguments, example_inputs has {count}.",
            hint="Pass the arguments of forward as a tuple, in its order.",
        )
    return names[:count]


def _spec(name: str, tensor: Tensor, meaning: str) -> TensorSpec:
    if tensor.ndim == 0:
        raise DataError(f"The example for {name} has no batch dimension.", hint="Inputs are batch first.")
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec.model_validate(
        {"name": name, "dtype": dtype, "shape": ("batch", *tensor.shape[1:]), "meaning": meaning}
    )


def _own_metrics(metrics: Mapping[str, Metric], outputs: tuple[TensorSpec, ...]) -> dict[str, OwnMetric]:
    _check_names("metrics", metrics, outputs)
    return {
        output: OwnMetric(name=function.__name__, file=Path(inspect.getfile(function)), function=function)
        for output, function in metrics.items()
    }


def _check_names(argument: str, given: Mapping[str, Any], outputs: tuple[TensorSpec, ...]) -> None:
    known = [spec.name for spec in outputs]
    if wrong := [name for name in given if name not in known]:
        raise DataError(
            f"{argument} names {wrong[0]}, which is no output{did_you_mean(wrong[0], known)}",
            hint=f"The outputs are: {', '.join(known)}; output_names= names them.",
        )


def _output_specs(
    model: nn.Module,
    example: tuple[Tensor, ...],
    names: tuple[str, ...],
    meanings: Mapping[str, Meaning],
    *,
    classifier: bool,
) -> tuple[TensorSpec, ...]:
    training = model.training
    try:
        with torch.inference_mode():
            result: Any = model.eval()(*example)
    except Exception as error:
        raise SourceError(
            f"The model fails on its example inputs: {error}", hint="Pass the arguments of forward as a tuple."
        ) from error
    finally:
        model.train(training)
    if isinstance(result, Mapping):
        names, result = tuple(result), tuple(result.values())
    tensors = (result,) if isinstance(result, Tensor) else tuple(result)
    if len(tensors) != len(names):
        names = tuple(f"output_{number}" for number in range(len(tensors)))
    specs = tuple(
        _spec(name, tensor, meanings.get(name, "logits" if classifier and index == 0 else "tensor"))
        for index, (name, tensor) in enumerate(zip(names, tensors, strict=True))
    )
    _check_names("meanings", meanings, specs)
    if faults := output_faults(specs):
        raise DataError("\n".join(faults), hint="See docs/drift.md for what each meaning takes.")
    if any(spec.meaning == "boxes" for spec in specs):
        detection.require()
    return specs


def _samples(
    data: Batch | Iterable[Batch],
    inputs: tuple[TensorSpec, ...],
    *,
    what: str,
    outputs: tuple[TensorSpec, ...] = (),
) -> Samples:
    one = isinstance(data, Tensor | Mapping) or _is_one_batch(data, inputs)
    batches: list[Any] = [data] if one else list(data)
    rows = [_row(batch, inputs, what) for batch in batches]
    if not rows:
        raise DataError(f"The {what} is empty.", hint="Give at least one batch; 128 samples and more are usual.")
    labels = [row[-1].astype(np.int64) for row in rows if len(row) > len(inputs)]
    samples = Samples(
        inputs={spec.name: np.concatenate([row[index] for row in rows]) for index, spec in enumerate(inputs)},
        labels=np.concatenate(labels) if labels else None,
        targets=_targets(batches, outputs, what),
    )
    check_fit(samples, inputs, what=what)
    truth.check(samples, outputs, what=what)
    return samples


def _targets(batches: list[Any], outputs: tuple[TensorSpec, ...], what: str) -> dict[str, Array]:
    """Return the true values in batches that are mappings; all batches have them or none."""
    found = {}
    for name in (spec.name for spec in outputs):
        key = f"target.{name}"
        there = [batch[key] for batch in batches if isinstance(batch, Mapping) and key in batch]
        if there and len(there) < len(batches):
            raise DataError(f"{key} is in {len(there)} of {len(batches)} batches of the {what}.")
        if there:
            values = np.concatenate([torch.as_tensor(value).detach().cpu().numpy() for value in there])
            found[name] = values.astype(np.int64) if np.issubdtype(values.dtype, np.integer) else values
    return found


def _row(batch: Any, inputs: tuple[TensorSpec, ...], what: str) -> list[Array]:
    """Return one batch as arrays in the order of the inputs, the classes last if there are any."""
    if isinstance(batch, Mapping):
        batch = [batch[spec.name] for spec in inputs if spec.name in batch]
    tensors = [batch] if isinstance(batch, Tensor | np.ndarray) else list(batch)
    if len(tensors) not in (len(inputs), len(inputs) + 1):
        raise DataError(
            f"A batch of the {what} has {len(tensors)} tensors, the model takes {len(inputs)}.",
            hint="A batch is a tensor, a sequence in the order of forward, or a mapping by parameter name.",
        )
    return [torch.as_tensor(tensor).detach().cpu().numpy() for tensor in tensors]


def _is_one_batch(data: Any, inputs: tuple[TensorSpec, ...]) -> bool:
    """Tell a tuple that is one batch (inputs, perhaps with classes) from a tuple of batches."""
    if not isinstance(data, tuple) or not all(isinstance(item, Tensor) for item in data):
        return False
    classes = len(data) == len(inputs) + 1 and data[-1].ndim == 1 and not data[-1].is_floating_point()
    return classes or (len(inputs) > 1 and len(data) == len(inputs))
