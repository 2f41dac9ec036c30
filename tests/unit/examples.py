"""Hand-made values for tests: a manifest, a build result, a trace. No model is run."""

from pathlib import Path
from typing import Any

import numpy as np

from edgekit.base import digest
from edgekit.bundles.manifest import ArtifactInfo, Golden, GoldenOutput, GoldenTensor, Manifest, Model, TargetInfo
from edgekit.bundles.result import BuildResult, Built
from edgekit.data import trace
from edgekit.data.samples import Samples
from edgekit.data.trace import Origin, Trace
from edgekit.drift.metrics import Metrics
from edgekit.drift.report import Check, DriftReport, Leg, LegName, LimitResult
from edgekit.drift.statistics import Interval
from edgekit.model.drawing import Drawing, DrawnOperation
from edgekit.model.layers import FallbackReport, Kept, Layer, lines
from edgekit.model.left_out import LeftOut
from edgekit.spec import Budget, Cpu, Format, Limits, Platform, Scheme, TensorSpec

SERVER = "float32 on NVIDIA H200 (cuda), TF32 off"
HOST = "float32 on AMD EPYC 9654 (cpu), oneDNN"
PROGRAM = "int8 program on AMD EPYC 9654 (cpu)"


def metrics(**changes: Any) -> Metrics:
    """Metrics of a classifier that is a little off."""
    values = {
        "sqnr_db": 32.1234,
        "max_abs_error": 0.4321,
        "mean_abs_error": 0.05678,
        "cosine": 0.999712,
        "non_finite": 0,
        "top1_agreement": 0.9917,
        "top5_agreement": 0.99611,
        "kl_divergence": 0.000123,
        "accuracy": 0.98611,
        "reference_accuracy": 0.98889,
    }
    return Metrics(**(values | changes))


def leg(name: LegName, artifact: str | None = None, output: str = "logits", **changes: Any) -> Leg:
    """A leg; ``checks`` among the changes are the leg's, all else its metrics'."""
    checks = changes.pop("checks", ())
    reference = SERVER if name in ("server", "total") else HOST if name == "quantization" else PROGRAM
    runtime = "ExecuTorch 1.5.1 XNNPACK" if artifact == "model.pte" else "ONNX Runtime 1.32 as arm64"
    candidate = HOST if name == "server" else PROGRAM if name == "quantization" else runtime
    return Leg(
        name=name,
        artifact=artifact,
        output=output,
        reference=reference,
        candidate=candidate,
        metrics=metrics(**changes),
        intervals={
            "sqnr_db": Interval(low=31.5, high=32.75),
            "top1_agreement": Interval(low=0.9833, high=0.9972),
            "accuracy": Interval(low=0.975, high=0.997),
        },
        checks=checks,
    )


def check(
    name: str, limit: float, value: float, result: LimitResult = LimitResult.KEPT, *, spread: float = 0.01
) -> Check:
    """A limit and its result, with an interval about the value."""
    return Check(
        name=name,
        metric=name.removeprefix("min_").removeprefix("max_"),
        limit=limit,
        value=value,
        interval=Interval(low=value - spread, high=value + spread),
        result=result,
    )


def report(*, breach: bool = False, doubt: bool = False) -> DriftReport:
    """All legs of two artifacts; with a breach the .pte is over two limits, with a doubt the .onnx perhaps over one."""
    checks = (
        check("min_sqnr_db", 25.0, 11.25, LimitResult.BROKEN, spread=0.5),
        check("min_top1_agreement", 0.98, 0.9125, LimitResult.BROKEN),
    )
    doubts = (check("min_top1_agreement", 0.98, 0.975, LimitResult.NOISE),)
    legs = (
        leg("server", sqnr_db=123.4, max_abs_error=1.2e-6, mean_abs_error=2e-7, kl_divergence=0.0, cosine=1.0,
            top1_agreement=1.0, top5_agreement=1.0, accuracy=0.98889),
        leg("quantization"),
        leg("lowering", "model.pte", sqnr_db=None, max_abs_error=0.0, mean_abs_error=0.0, kl_divergence=0.0,
            cosine=1.0, top1_agreement=1.0, top5_agreement=1.0),
        leg("lowering", "model.onnx", top1_agreement=0.99999),
        leg("total", "model.pte", sqnr_db=11.25, top1_agreement=0.9125, checks=checks if breach else ()),
        leg("total", "model.onnx", checks=doubts if doubt else (check("min_top1_agreement", 0.98, 0.9917),)),
    )  # fmt: skip
    return DriftReport(samples=360, legs=legs, notes=("The evaluation set is small: a sample is 0.28 points.",))


def artifact(file: str = "model.pte", data: bytes = b"pte", **changes: Any) -> ArtifactInfo:
    """An artifact's entry in the manifest."""
    values: dict[str, Any] = {
        "format": Format(file.rpartition(".")[2]),
        "file": file,
        "sha256": digest.of_bytes(data),
        "bytes": 63_400,
        "quantization": Scheme.INT8,
        "minimum_runtime": "executorch 1.5.1",
        "operators": (),
        "delegates": ("XnnpackBackend",),
        "delegated_fraction": 1.0,
        "int8_fraction": 0.9804,
        "not_delegated": (),
        "verified_batches": (1, 16, 64),
        "within_size": True,
        "size_limit": 80_000,
    }
    return ArtifactInfo(**(values | changes))


def left_out(operation: str, path: str = "", **changes: Any) -> LeftOut:
    """An operation that computes in float, unless changed."""
    values: dict[str, Any] = {
        "outside": False,
        "in_float": True,
        "reason": "there is no int8 kernel for it",
        "float_bytes": 0,
        "time_share": 0.02,
    } | changes
    return LeftOut(operation=operation, path=path, int8_bytes=values["float_bytes"] // 4, **values)


def manifest(*, breach: bool = False, large: bool = False) -> Manifest:
    """A valid manifest; over its drift budget with ``breach``, over its size limit with ``large``."""
    image = b"\0" * 4096
    logits = b"\1" * 40
    golden = Golden(
        label=3,
        inputs=(
            GoldenTensor(
                name="image",
                file="golden/0.image.bin",
                sha256=digest.of_bytes(image),
                shape=(1, 1, 32, 32),
                dtype="float32",
            ),
        ),
        outputs=(
            GoldenOutput(
                name="logits",
                file="golden/0.logits.bin",
                sha256=digest.of_bytes(logits),
                shape=(1, 10),
                artifact=None,
                max_abs_error=0.5,
                dtype="float32",
            ),
        ),
    )
    onnx = artifact(
        "model.onnx",
        b"onnx",
        bytes=90_000 if large else 71_234,
        within_size=not large,
        delegates=(),
        delegated_fraction=0.91,
        not_delegated=tuple(f"Gather (head.block{number})" for number in range(11)),
        minimum_runtime="onnxruntime 1.32.0",
    )
    return Manifest(
        schema_version=1,
        model=Model(name="digits", weights_sha256="0" * 64, parameters=58_123, float_bytes=232_492),
        target=TargetInfo(name="android-arm64", platform=Platform.ANDROID, cpu=Cpu.ARM64, runtimes={"executorch": "1"}),
        artifacts=(artifact(), onnx),
        inputs=(TensorSpec(name="image", shape=("batch", 1, 32, 32), meaning="image"),),
        outputs=(TensorSpec(name="logits", shape=("batch", 10), meaning="logits"),),
        dimensions={"batch": 64},
        preprocessing=None,
        postprocessing=("softmax", "top_k"),
        labels=tuple(map(str, range(10))),
        golden=(golden,),
        baseline="NVIDIA H200 (cuda, float32)",
        drift=report(breach=breach),
        budget=Budget(total=Limits(min_sqnr_db=25.0, min_top1_agreement=0.98)),
        verdict="failed" if breach or large else "passed",
        producer={"edgekit": "0.1.0", "torch": "2.13.0"},
    )


def fallback_report() -> FallbackReport:
    """Fallback that kept one layer beside three that the settings name."""
    layer = Layer(path="features.3.se.fc1", kind="conv2d", weights=1_296, int8_bytes=1_368, float_bytes=5_184)
    named = ("head.0", "features.3.se.fc1", "features.3.se.fc2", "features.4.se.fc1")
    return FallbackReport(
        outcome="met",
        attempts=2,
        all_int8_sqnr_db=33.25,
        kept=(Kept(layer=layer, sqnr_db=36.5, gain_db=3.25),),
        float_share=0.091,
        float_limit=0.1,
        float_layers=named,
        paste=lines(named),
    )


def built(*, breach: bool = False, large: bool = False, fallback: bool = False) -> BuildResult:
    """A build of one target."""
    one = manifest(breach=breach, large=large)
    if fallback:
        report = fallback_report()
        one = one.model_copy(update={"fallback": report, "float_layers": report.float_layers})
    made = Built(folder=Path("artifacts/digits/android-arm64"), manifest=one, files={})
    return BuildResult(bundles=(made,), seconds=(("capture", 1.25), ("quantize int8", 12.5)))


def write_bundle(folder: Path, written: Manifest | None = None) -> Path:
    """Write the files that `manifest` names, and that manifest or another one of the same files."""
    (folder / "golden").mkdir(parents=True)
    (folder / "model.pte").write_bytes(b"pte")
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "golden/0.image.bin").write_bytes(b"\0" * 4096)
    (folder / "golden/0.logits.bin").write_bytes(b"\1" * 40)
    (folder / "manifest.json").write_text((written or manifest()).to_json(), encoding="utf-8")
    return folder


def baseline(device: str = "cuda") -> Trace:
    """A recorded trace of four samples."""
    origin = Origin.model_validate(
        {
            "program": "float",
            "device": device,
            "device_name": "NVIDIA H200" if device == "cuda" else "AMD EPYC 9654",
            "dtype": "float32",
            "kernels": "cuDNN 9, deterministic" if device == "cuda" else "oneDNN",
            "versions": {"torch": "2.13.0", "edgekit": "0.1.0"},
        }
    )
    samples = Samples(inputs={"image": np.zeros((4, 1, 32, 32), np.float32)}, labels=np.arange(4))
    return Trace(samples=samples, outputs={"logits": np.ones((4, 10), np.float32)}, origin=origin)


def write_baseline(path: Path, device: str = "cuda") -> Path:
    """Write a recorded trace."""
    trace.save(baseline(device), path)
    return path


def drawing(blocks: int = 3) -> Drawing:
    """A network of a stem, blocks with a shortcut each, and a head; five operations a block."""
    operations = [drawn("conv2d", "stem", (), 640)]
    for number in range(blocks):
        before = len(operations) - 1
        path = f"features.{number}"
        operations += [
            drawn("conv2d", f"{path}.expand", (before,), 4_096),
            drawn("hardswish", f"{path}.act", (before + 1,)),
            drawn("conv2d", f"{path}.project.0", (before + 2,), 2_048),
            drawn("relu", f"{path}.project.1", (before + 3,)),
            drawn("add", path, (before, before + 4)),
        ]
    operations.append(drawn("linear", "head.0", (len(operations) - 1,), 5_120))
    return Drawing(operations=tuple(one.model_copy(update={"time_share": 1 / len(operations)}) for one in operations))


def drawn(operation: str, path: str, inputs: tuple[int, ...], float_bytes: int = 0) -> DrawnOperation:
    """An operation of a drawing."""
    return DrawnOperation(
        operation=operation, path=path, inputs=inputs, float_bytes=float_bytes, int8_bytes=float_bytes // 4,
        time_share=0.0,
    )  # fmt: skip
