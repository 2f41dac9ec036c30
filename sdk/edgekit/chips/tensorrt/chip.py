"""Lower for TensorRT, and hold what was lowered against its rules: nothing but an Nvidia GPU runs it."""

from dataclasses import replace

from edgekit import lowering
from edgekit.base.cache import Cache
from edgekit.chips.chip import Chip, Trial, Tried
from edgekit.chips.measure import not_executed
from edgekit.chips.tensorrt import rules
from edgekit.errors import LowerError, RunError
from edgekit.model.artifact import Artifact
from edgekit.model.program import Quantized
from edgekit.spec import Format, Placing, Scheme, Target

_CHIP = "Nvidia GPU with TensorRT"
_WHY = "TensorRT runs on Nvidia's GPUs alone; the file keeps the rules of its explicit quantization"


def lower(format: Format, target: Target, quantized: Quantized, cache: Cache | None) -> tuple[Artifact, bool]:
    """Return the .onnx of a program with its biases in float, and whether the cache had it.

    Raises:
        LowerError: If the program cannot be lowered, or the file would break a rule of TensorRT's.
    """
    artifact, known = lowering.lower(format, target, quantized, cache)
    model = rules.parse(artifact.data, artifact.file)
    rules.with_float_biases(model)
    if faults := rules.broken(model):
        raise LowerError(
            _report(artifact.file, faults), hint="Keep these layers in float, [quantize] float_layers, or choose float."
        )
    data = model.SerializeToString(deterministic=True)
    return replace(artifact, data=data, delegates=("TensorrtExecutionProvider",)), known


def run(trial: Trial) -> Tried:
    """Hold an .onnx against TensorRT's rules; the quantized program stands in for its answers.

    Raises:
        RunError: If it is damaged, or breaks a rule.
    """
    artifact = trial.artifact
    if faults := rules.broken(rules.parse(artifact.data, artifact.file)):
        raise RunError(_report(artifact.file, faults), hint="Build it again: it is not what was lowered.")
    return not_executed(trial, _CHIP, _WHY)


def _report(file: str, faults: tuple[str, ...]) -> str:
    return f"{file} breaks rules of TensorRT's:\n" + "\n".join(f"  - {fault}" for fault in faults)


def _name(format: Format, target: Target, scheme: Scheme) -> str:
    return f"{lowering.name(format, target, scheme)}, biases in float"


CHIP = Chip(
    title="Nvidia TensorRT",
    name_of=_name,
    lower=lower,
    run=run,
    formats=frozenset({Format.ONNX}),
    placing=Placing(symmetric=True),
)
