"""A hand-made profile for tests of what shows one. No model is run: the shapes are real, the figures are invented."""

import base64
import io
import math

import numpy as np
from PIL import Image

from edgekit.base import digest
from edgekit.bundles.cost import Cost, Histogram, KindTime, Latency, OperatorTime
from edgekit.bundles.device_profile import DeviceCost, DeviceInfo, DeviceProfile
from edgekit.bundles.profile import (
    ChangedSample,
    ChannelRange,
    Classes,
    ClassProfile,
    Departure,
    LayerValues,
    LoweringLeg,
    Noise,
    Profile,
    StepGain,
    ValueProfile,
)
from edgekit.drift.report import DriftReport
from edgekit.model.layers import Layer, Sensitivities, Sensitivity
from edgekit.spec import Format, Scheme
from tests.unit import examples

HOST = "AMD EPYC 9654 (cpu): its times are not a phone's"
PATHS = (
    "features.0", "features.1.se.fc1", "features.1.se.fc2", "features.2.add", "features.3.expand.0",
    "features.3.depthwise.0", "features.3.se.fc1", "features.3.project.0", "features.4", "head.0", "head.3",
)  # fmt: skip
_BINS = 64


def on_phone(manifest_sha256: str, name: str, factor: float = 1.0) -> DeviceProfile:
    """What a phone did with the bundle in ``examples``; its times are a multiple of fixed ones."""
    costs = tuple(
        DeviceCost(
            artifact=info.file, runtime=info.minimum_runtime, status="passed", reason=None, failure=None, threads=1,
            runs=200, load_ms=12.5, first_ms=3.0, median_ms=0.8 * factor, p90_ms=0.9, p95_ms=1.0, p99_ms=1.6 * factor,
        )
        for info in examples.manifest().artifacts
    )  # fmt: skip
    legs = tuple(examples.leg("device", one.artifact) for one in costs)
    return DeviceProfile(
        model="digits",
        target="android-arm64",
        manifest_sha256=manifest_sha256,
        device=DeviceInfo(name=name, soc="Tensor G3", os="Android 15", cpu="arm64"),
        app={"version": "0.1.0"},
        verdict="passed",
        drift=DriftReport(samples=5, legs=legs),
        artifacts=costs,
        warnings=(),
    )


def profile(*, layers: int = len(PATHS), labels: tuple[str, ...] = tuple("0123456789")) -> Profile:
    """A profile of the manifest in ``examples``."""
    manifest = examples.manifest()
    ranked = tuple(_sensitivity(index, path) for index, path in enumerate(_paths(layers)))
    return Profile(
        model=manifest.model.name,
        target=manifest.target.name,
        manifest_sha256=digest.of_bytes(manifest.to_json().encode()),
        host=HOST,
        kernels={"model.pte": "ExecuTorch 1.5.1 XNNPACK", "model.onnx": "ONNX Runtime 1.32.0 CPU, exact int8 kernels"},
        seconds=75.4,
        drift=manifest.drift,
        sensitivities=Sensitivities(
            samples=256,
            compared=64,
            all_int8={"logits": examples.metrics()},
            all_int8_sqnr_db=32.1234,
            ranking=ranked,
        ),
        layers=tuple(one.layer for one in sorted(ranked, key=lambda one: one.layer.path)),
        values=tuple(LayerValues(path=one.layer.path, values=_values(index)) for index, one in enumerate(ranked)),
        lowering=(
            LoweringLeg(
                artifact="model.onnx",
                observed=tuple(
                    Departure(name=f"add_{i}", path=path, sqnr_db=None if i < 3 else 70.0 - i)
                    for i, path in enumerate(_paths(layers))
                ),
                first=None,
                note="Every value behind a DequantizeLinear was looked at.",
            ),
            LoweringLeg(
                artifact="model.pte", observed=(), first="head.3", note="The delegate shows its outputs and no more."
            ),
        ),
        steps=(
            StepGain(step="equalization", scheme=Scheme.INT8, samples=256, sqnr_db=32.12, without_sqnr_db=29.5),
            StepGain(step="ranges", scheme=Scheme.INT8, samples=256, sqnr_db=32.12, without_sqnr_db=33.02),
            StepGain(step="smooth_quant", scheme=Scheme.INT8, samples=256, sqnr_db=None, without_sqnr_db=None),
        ),
        noise=(
            Noise(
                precision="float32 with TF32",
                place="NVIDIA H200 (cuda, float32)",
                output="logits",
                sqnr_db=71.25,
                top1_agreement=1.0,
            ),
            Noise(
                precision="bfloat16",
                place="NVIDIA H200 (cuda, bfloat16)",
                output="logits",
                sqnr_db=46.5,
                top1_agreement=0.9972,
            ),
        ),
        classes=tuple(_classes(file, labels) for file in ("model.pte", "model.onnx")),
        costs=(
            _cost("model.pte", Format.PTE, 0.41, 63_400),
            _cost("float32 .pte", Format.PTE, 0.72, 246_112, quantized=False),
            _cost("model.onnx", Format.ONNX, 0.68, 71_234),
            _cost("float32 .onnx", Format.ONNX, 0.55, 251_020, quantized=False),
        ),
        warnings=("model.onnx: int8 is not faster than float32 on this host.",),
        paste=('scheme = "int8-mixed"', f'float_layers = ["{PATHS[0]}"]'),
        notes=("Accuracy was measured with the kernels that the target has; times are this host's.",),
    )


def _paths(count: int) -> tuple[str, ...]:
    return tuple(
        PATHS[index] if index < len(PATHS) else f"blocks.{index}.conv.0" for index in range(count)
    )  # fmt: skip


def _sensitivity(index: int, path: str) -> Sensitivity:
    weights = 144 + 1297 * ((index * 7) % 11)
    only = 34.5 + 1.7 * index
    return Sensitivity(
        layer=Layer(
            path=path,
            kind="add" if path.endswith("add") else "conv2d",
            weights=0 if path.endswith("add") else weights,
            int8_bytes=0 if path.endswith("add") else weights + 64,
            float_bytes=0 if path.endswith("add") else 4 * weights,
        ),
        only={"logits": examples.metrics(sqnr_db=only, accuracy=0.98889)},
        all_but={"logits": examples.metrics(sqnr_db=32.2 + 1 / (1 + index))},
        only_sqnr_db=only,
        all_but_sqnr_db=32.2 + 1 / (1 + index),
        gain_db=round(0.08 + 1 / (1 + index), 3),
        measured=True,
    )


def _values(index: int) -> tuple[ValueProfile, ...]:
    random = np.random.default_rng(index)
    found = []
    for name, kind, spread in ((f"hardswish_{index}", "activation", 2.5), (f"conv_{index}.weight", "weight", 0.3)):
        drawn = random.normal(0.2 * index, spread, 4000)
        counts, edges = np.histogram(drawn, bins=_BINS)
        lo, hi = np.quantile(drawn, [0.002, 0.998])
        each = [spread * share for share in (0.4, 0.9, 1.7)] if kind == "weight" else []
        found.append(
            ValueProfile.model_validate(
                {
                    "name": name,
                    "kind": kind,
                    "histogram": Histogram(lo=float(edges[0]), hi=float(edges[-1]), counts=tuple(counts.tolist())),
                    "range_lo": float(lo),
                    "range_hi": float(hi),
                    "scale": float((hi - lo) / 255),
                    "values": len(drawn),
                    "saturated": int(((drawn < lo) | (drawn > hi)).sum()),
                    "channels": tuple(
                        ChannelRange(channel=7 * number % 8, lo=-reach, hi=0.8 * reach, scale=reach / 127)
                        for number, reach in enumerate(each)
                    ),
                }
            )
        )
    return tuple(found)


def _classes(file: str, labels: tuple[str, ...]) -> Classes:
    three, eight = labels[3], labels[8]
    return Classes(
        artifact=file,
        output="logits",
        classes=tuple(
            ClassProfile(name=name, samples=36, reference_accuracy=0.98, accuracy=0.97, agreement=0.99)
            for name in labels
        ),
        moved=((eight, three, 2), (labels[1], labels[7], 1)),
        changed=tuple(
            ChangedSample(
                index=17 * (number + 1),
                label=eight,
                reference=eight,
                candidate=three,
                reference_share=0.612 - 0.05 * number,
                candidate_share=0.533 - 0.02 * number,
                picture=_picture(number),
            )
            for number in range(3)
        ),
        changed_count=3,
    )


def _picture(number: int) -> str:
    rows, columns = np.mgrid[:16, :16]
    ring = np.abs(np.hypot(rows - 7.5, columns - 7.5) - 4 - number) < 1.2
    file = io.BytesIO()
    Image.fromarray((ring * 255).astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _cost(artifact: str, format: Format, median: float, size: int, *, quantized: bool = True) -> Cost:
    spread = [500 * math.exp(-(((x - 12) / 5) ** 2)) for x in range(48)]
    return Cost(
        artifact=artifact,
        format=format,
        precision="quantized" if quantized else "float32",
        file_bytes=size,
        load_ms=3.25,
        first_ms=median * 2.5,
        latency=Latency(
            runs=500,
            warm_up=50,
            threads=2,
            median_ms=median,
            p90_ms=median * 1.2,
            p99_ms=median * 1.9,
            histogram=Histogram(lo=median * 0.8, hi=median * 2.2, counts=tuple(round(x) for x in spread)),
        ),
        peak_memory_bytes=7_340_032,
        delegated_fraction=1.0,
        operators=(
            OperatorTime(name="Convolution (NHWC, QS8) #1", operator="Conv", mean_ms=0.125, share=0.31, layer="stem"),
            OperatorTime(name="Fully Connected (NC, QS8) #2", operator="Linear", mean_ms=0.025, share=0.06),
        ),
        kinds=(
            KindTime(operator="Conv", calls=1, mean_ms=0.125, share=0.31),
            KindTime(operator="Linear", calls=1, mean_ms=0.025, share=0.06),
        ),
        operators_note="ONNX Runtime's profiler." if format is Format.ONNX else "ExecuTorch's event tracer.",
    )
