"""The ``finetune`` verb: a network is trained as its artifact will compute it, and judged by its artifact."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.export import ExportedProgram

from edgekit import chips, targets
from edgekit.base import atomic, digest
from edgekit.base.progress import Progress, Stages
from edgekit.data.rows import Rows
from edgekit.data.samples import Samples
from edgekit.errors import EdgeKitError, ProjectError, QuantizeError
from edgekit.execution import artifact as runs
from edgekit.execution import orders
from edgekit.execution.eager import run_quantized
from edgekit.model.narrow import source_with_batch
from edgekit.model.program import Captured, Quantized
from edgekit.model.source.given import Data, samples_given
from edgekit.pipeline.stages import capture
from edgekit.quantization.training.loop import Epoch, Judge, State, train
from edgekit.quantization.training.network import QatNetwork, trainable
from edgekit.render.telling import telling
from edgekit.spec import CPU_CHIP, CPU_PLACING, Format, QuantSpec, Scheme, Target, Training, arguments

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Finetuned:
    """What came of a training. Its loss is `quantization.training.loss`'s."""

    epochs: tuple[Epoch, ...]
    """The first is of the network before it was trained."""
    best_epoch: int
    """Whose weights and ranges the network has now; 0: none was better than before."""


def prepare_qat(
    model: nn.Module | ExportedProgram | str | Path | Captured,
    example_inputs: Any = None,
    *,
    calibration: Data,
    scheme: str = "int8",
    quantization: QuantSpec | Mapping[str, object] | None = None,
    target: str | Path | None = None,
    **described: Any,
) -> QatNetwork:
    """Quantize a float model, and return a network to train that computes what its artifact will.

    It starts as `edgekit.quantize` would leave it. Train it as any module, on a CPU or a GPU; `edgekit.build` and
    `QatNetwork.quantized` take its weights and ranges as they are. Batch norms behind convolutions are folded, and the
    statistics of all are constants.

    Args:
        model: The float model, or a program, as `edgekit.build` takes it; or what `edgekit.capture` gave. It is copied.
        example_inputs: The arguments of ``forward``, batch first.
        calibration: The samples that ranges start from, in the forms that `edgekit.build` takes.
        scheme: A scheme's name, but for ``float``.
        quantization: How to quantize, beside the scheme.
        target: A target whose chip says what is rounded; a CPU's unless given.
        described: What else `edgekit.capture` takes: ``name``, ``output_names``, ``labels``, ``meanings`` and so on.

    Raises:
        EdgeKitError: As `edgekit.capture` and `edgekit.quantize` do.
    """
    if scheme not in set(Scheme) - {Scheme.FLOAT}:
        raise ProjectError(f"There is no scheme {scheme!r} to train.", hint=f"There are {', '.join(Scheme)}.")
    settings = arguments.spec("quantization", quantization, QuantSpec, "an edgekit.QuantSpec") or QuantSpec()
    captured = model if isinstance(model, Captured) else capture(model, example_inputs, **described)
    samples = samples_given(calibration, captured.source, what="calibration data", memory=captured.memory)
    placing = CPU_PLACING if target is None else chips.of_target(targets.load(target)).placing
    return of_captured(captured, Scheme(scheme), settings, samples, placing)


def of_captured(
    captured: Captured, scheme: Scheme, spec: QuantSpec, calibration: Samples, placing: Any = CPU_PLACING
) -> QatNetwork:
    """Return a network to train, see `prepare_qat`.

    Raises:
        QuantizeError: If an operation cannot be quantized, or nothing is.
    """
    try:
        return trainable(captured, scheme, spec, calibration, placing)
    except EdgeKitError:
        raise
    except Exception as error:  # the quantizer raises many unrelated classes
        name = captured.source.name
        raise QuantizeError(
            f"{name} cannot be trained: {error}", hint="Run again with --debug to see where."
        ) from error


def finetune(
    network: QatNetwork,
    samples: Data,
    *,
    target: str | Path | None = None,
    format: str | None = None,
    training: Training | Mapping[str, object] | None = None,
    device: Device = "cpu",
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Finetuned:
    """Train a network in place to answer as the float network does; the best epoch is kept.

    After every epoch the program is lowered, and the file is run on samples that are not trained with: these answers
    decide which epoch is the best, and when to end.

    Args:
        network: From `prepare_qat`.
        samples: What to train with, in the forms that `edgekit.build` takes its evaluation data; labels are optional.
        target: What to lower for; unless given, or where it is no CPU, the quantized program is judged in torch.
        format: ``"pte"`` or ``"onnx"``; the first of the target unless given.
        training: How: ``Training(epochs=5)``, or a mapping.
        device: Where to train.
        checkpoint: A file that is written after every epoch; if it is of the same training, that goes on from there.
        progress: Told about every epoch, with the time left.

    Raises:
        DataError: If the samples do not fit the model.
        ProjectError, TargetError: If a setting is wrong.
        LowerError, RunError: If an artifact cannot be made or run.
    """
    plan = arguments.spec("training", training, Training, "an edgekit.Training") or Training()
    captured = network.plan.captured
    source = captured.source
    given = samples_given(samples, source, what="training data", outputs=source.outputs, memory=captured.memory)
    profile = None if target is None else targets.load(target)
    formats: Sequence[Format] = () if format is None else arguments.formats_of(format)
    with telling(progress) as told:
        return trained_with(network, given, plan, profile, formats, device, checkpoint, told)


def trained_with(
    network: QatNetwork,
    samples: Samples,
    plan: Training,
    target: Target | None,
    formats: Sequence[Format],
    device: Device,
    checkpoint: str | Path | None,
    progress: Progress,
) -> Finetuned:
    """Train a network, see `finetune`; afterwards it lies on the CPU."""
    check_device(device)
    file = None if checkpoint is None else Path(checkpoint)
    format = None if target is None else (*formats, *target.formats)[0]
    key = _key(network, samples, plan, target, format)
    state = None if file is None else _resumed(file, key)

    def save(now: State) -> None:
        if file is not None:
            _save(file, key, now)

    left = range(1 if state is None else state.epochs[-1].number + 1, plan.epochs + 1)
    stages = Stages(progress, {f"epoch {number}": 1.0 for number in left})
    network.to(device)
    try:
        done = train(network, samples, plan, judge(target, format), stages, state=state, save=save)
    finally:
        network.to("cpu")
    return Finetuned(epochs=tuple(done.epochs), best_epoch=done.best_epoch)


def check_device(device: Device) -> None:
    """Make sure that there is a device to train on.

    Raises:
        ProjectError: If there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ProjectError("There is no CUDA device here.", hint="Train on the CPU: leave the device out.")


def judge(target: Target | None, format: Format | None) -> Judge:
    """Return what answers for a program: its file where a runtime runs it here, else the program in torch."""

    def of_program(program: Quantized, samples: Samples) -> Mapping[str, Rows]:
        return run_quantized(program, samples).outputs

    def of_file(program: Quantized, samples: Samples) -> Mapping[str, Rows]:
        assert target is not None
        assert format is not None
        artifact, _ = chips.of_target(target).lower(format, target, program, None)
        source = source_with_batch(program.captured.source, artifact.batch)
        sizes = orders.tried(orders.batch_sizes(source))
        return runs.answers(artifact, source, samples, cpu=target.cpu, sizes=sizes)[1].outputs

    return of_program if target is None or target.chip.name != CPU_CHIP else of_file


def _key(network: QatNetwork, samples: Samples, plan: Training, target: Target | None, format: Format | None) -> str:
    """Return a digest of all that a training depends on."""
    own = network.plan
    return digest.of_json(
        [
            own.captured.source.weights_sha256,
            own.scheme,
            own.spec.model_dump(mode="json"),
            own.placing.model_dump(mode="json"),
            own.calibration.digest,
            samples.digest,
            plan.model_dump(mode="json"),
            None if target is None else target.model_dump(mode="json"),
            format,
        ]
    )


def _save(file: Path, key: str, state: State) -> None:
    buffer = io.BytesIO()
    held = {
        "key": key,
        "epochs": [asdict(one) for one in state.epochs],
        "network": state.network,
        "best": state.best,
        "optimizer": state.optimizer,
    }
    torch.save(held, buffer)
    atomic.replace_file(file, buffer.getvalue())


def _resumed(file: Path, key: str) -> State | None:
    """Return where a training stopped; None if there is none, or another one."""
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
        if held["key"] != key:
            return None
        epochs = [Epoch(**one) for one in held["epochs"]]
    except Exception:  # torch.load raises many unrelated classes for what is no checkpoint; the training begins anew
        return None
    return State(epochs=epochs, network=held["network"], best=held["best"], optimizer=held["optimizer"])
