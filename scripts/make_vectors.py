"""Write ``tests/vectors``: what the SDK computes, for the tests of the apps to hold theirs against.

The layout is described in ``tests/vectors/README.md``. Manifests come from a real bundle of the sample, and are written
only if one is given: their figures depend on the processor that it was built on.
"""

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_sample_images

from edgekit.data.postprocess import classes
from edgekit.data.preprocess import to_array
from edgekit.data.sounds import prepared
from edgekit.drift.metrics import measure
from edgekit.spec import Audio, Features, Limits, Preprocessing, Resize
from edgekit.spec.limits import RULES

VECTORS = Path(__file__).resolve().parent.parent / "tests" / "vectors"
Files = dict[str, bytes]
_ORIENTATION = 0x0112
_METRICS = (
    "sqnr_db", "max_abs_error", "mean_abs_error", "cosine", "non_finite", "top1_agreement", "top5_agreement",
    "kl_divergence", "accuracy", "reference_accuracy",
)  # fmt: skip
_FAULTS: tuple[tuple[str, tuple[str | int, ...], Any], ...] = (
    ("newer-version", ("schema_version",), 2),
    ("no-version", ("schema_version",), None),
    ("no-artifacts", ("artifacts",), []),
    ("no-outputs-key", ("outputs",), None),
    ("path-outside", ("artifacts", 0, "file"), "../model.pte"),
    ("absolute-path", ("golden", 0, "inputs", 0, "file"), "/golden/0.bin"),
    ("bad-sha256", ("artifacts", 0, "sha256"), "XYZ"),
    ("unknown-format", ("artifacts", 0, "format"), "tflite"),
    ("unknown-dtype", ("inputs", 0, "dtype"), "float8"),
    ("unknown-filter", ("preprocessing", "resize", "filter"), "lanczos"),
    ("bytes-are-text", ("artifacts", 0, "bytes"), "many"),
    ("std-of-zero", ("preprocessing", "std"), [0.0]),
    ("huge-picture", ("preprocessing", "resize", "height"), 2**31 - 1),
    ("golden-outside", ("golden", 0, "inputs", 0, "file"), "../databases/notes.db"),
    ("golden-of-no-name", ("golden", 0, "inputs", 0, "name"), "../x"),
    ("huge-golden", ("golden", 0, "inputs", 0, "shape"), [2**31 - 1, 2**31 - 1, 4]),
    ("two-means-for-grey", ("preprocessing", "mean"), [0.1, 0.2]),
    ("huge-sound", ("audio", "length"), 2**31 - 1),
    ("rate-of-zero", ("audio", "rate"), 0),
    ("hop-of-zero", ("audio", "features", "hop_length"), 0),
    ("sound-of-no-frame", ("audio", "length"), 100),
    ("window-over-frame", ("audio", "features", "win_length"), 401),
    ("band-over-half-the-rate", ("audio", "features", "f_max"), 8001.0),
    ("unknown-mel-scale", ("audio", "features", "mel_scale"), "bark"),
    ("two-means-for-bands", ("audio", "features", "mean"), [0.1, 0.2]),
    ("tokenizer-outside", ("text", "file"), "../tokenizer.json"),
    ("unknown-part-of-text", ("text", "inputs", "mask"), "words"),
)
"""Manifests that are refused: the name, the place, and what stands there; None: nothing."""
_SIZES = ((1, 1), (3, 5), (16, 16), (17, 9), (40, 30), (31, 64), (64, 64), (90, 20))


def main() -> None:
    """Write the files."""
    files = {**_preprocessing(), **_sounds(), **_metrics(), **_classes(), **_limits()}
    if len(sys.argv) > 1:
        files |= _manifests(json.loads((Path(sys.argv[1]) / "manifest.json").read_text(encoding="utf-8")))
    for name, data in files.items():
        path = VECTORS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    sys.stdout.write(f"wrote {len(files)} files to {VECTORS}\n")


def _preprocessing() -> Files:
    files: Files = {}
    cases = []
    for number, (name, pixels, orientation, spec) in enumerate(_pictures()):
        picture = Image.fromarray(pixels)
        picture.getexif()[_ORIENTATION] = orientation
        expected = to_array(picture, spec)
        height, width = pixels.shape[:2]
        stem = f"preprocessing/{number:02}"
        files[f"{stem}.picture.bin"] = pixels.tobytes()
        files[f"{stem}.expected.bin"] = expected.astype(expected.dtype.newbyteorder("<")).tobytes()
        cases.append(
            {
                "name": name,
                "picture": {
                    "file": f"{number:02}.picture.bin",
                    "width": width,
                    "height": height,
                    "channels": 1 if pixels.ndim == 2 else pixels.shape[2],
                    "orientation": orientation,
                },
                "preprocessing": spec.model_dump(mode="json"),
                "expected": {
                    "file": f"{number:02}.expected.bin",
                    "shape": expected.shape,
                    "dtype": expected.dtype.name,
                },
            }
        )
    files["preprocessing/cases.json"] = _text(cases)
    return files


def _pictures() -> Iterator[tuple[str, npt.NDArray[np.uint8], int, Preprocessing]]:
    """Yield name, pixels, orientation and preprocessing of every case."""
    random = np.random.default_rng(0)
    photos = [photo[100:220:1, 200:330:1] for photo in load_sample_images().images]
    modes: tuple[tuple[Any, Any, Any], ...] = tuple(
        (mode, kernel, color)
        for mode in ("stretch", "cover")
        for kernel in ("nearest", "bilinear", "bicubic")
        for color in ("grey", "rgb", "bgr")
    )
    for number, (width, height) in enumerate(_SIZES * 5):
        mode, kernel, color = modes[number % len(modes)]
        channels = (1, 3, 4)[number % 3]
        if number % 2:
            photo = photos[number % len(photos)][:height, :width]
            pixels = photo if channels != 4 else np.dstack([photo, random.integers(0, 256, photo.shape[:2], np.uint8)])
            pixels = pixels[:, :, 0] if channels == 1 else pixels
        else:
            pixels = random.integers(0, 256, (height, width) if channels == 1 else (height, width, channels), np.uint8)
        resize = Resize(
            height=(16, 12, 20)[number % 3], width=(16, 20, 12)[number % 3], mode=mode, filter=kernel
        )  # fmt: skip
        per_channel = number % 4 == 0 and color != "grey"
        spec = Preprocessing(
            color=color,
            background=(0, 255, 100)[number % 3],
            resize=resize,
            mean=(0.485, 0.456, 0.406) if per_channel else (0.3,),
            std=(0.229, 0.224, 0.225) if per_channel else (0.35,),
            scale=1.0 if number % 7 == 0 else 1 / 255,
            layout="NHWC" if number % 5 == 0 else "NCHW",
        )
        shape = "x".join(map(str, (width, height, channels)))
        name = f"{shape} {mode} {kernel} to {resize.width}x{resize.height} {color} {spec.layout}"
        yield name, np.ascontiguousarray(pixels), 1, spec
    asymmetric = random.integers(0, 256, (11, 7, 3), np.uint8)
    for orientation in range(1, 9):
        spec = Preprocessing(resize=Resize(height=10, width=6, mode="cover", filter="bilinear"))
        yield f"orientation {orientation}", asymmetric, orientation, spec
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    alpha = np.dstack([ramp, ramp.T, 255 - ramp, ramp[::-1]])
    for background in (0, 128, 255):
        spec = Preprocessing(color="grey", background=background, resize=Resize(height=16, width=16))
        yield f"alpha ramp over {background}", np.ascontiguousarray(alpha), 1, spec
    yield from _placed(photos)


def _placed(
    photos: list[npt.NDArray[np.uint8]],
) -> Iterator[tuple[str, npt.NDArray[np.uint8], int, Preprocessing]]:
    """Yield pictures whose shorter side is resized, that are padded, and that are resized without antialiasing."""
    random = np.random.default_rng(3)
    ways: tuple[dict[str, Any], ...] = (
        {"mode": "shorter", "shorter": 21}, {"mode": "shorter", "shorter": 9, "pad": 60},
        {"mode": "shorter", "shorter": 16, "antialias": False}, {"mode": "letterbox", "pad": 114},
        {"mode": "letterbox", "pad": 114, "antialias": False}, {"mode": "cover", "antialias": False},
        {"antialias": False},
    )  # fmt: skip
    number = 0
    for width, height in ((40, 30), (31, 64), (17, 9), (1, 1), (7, 90), (5, 40), (16, 16), (65, 66)):
        for way in ways:
            kernel: Any = ("bilinear", "bicubic", "bilinear", "nearest")[number % 4]
            pixels = photos[number % len(photos)][:height, :width]
            if number % 3 == 0:
                pixels = np.dstack([pixels, random.integers(0, 256, (height, width), np.uint8)])
            size = ((16, 16), (12, 20), (15, 10))[number % 3]
            resize = Resize(height=size[0], width=size[1], filter=kernel, **way)
            spec = Preprocessing(
                color=("rgb", "bgr", "rgb", "grey")[number % 4],
                background=90,
                resize=resize,
                mean=(0.485, 0.456, 0.406) if number % 4 == 0 else (0.5,),
                layout="NHWC" if number % 5 < 2 else "NCHW",
                in_graph=number % 2 == 1,
            )
            told = "antialiased" if resize.antialias else "plain"
            name = f"{width}x{height} {resize.mode} {told} {kernel} to {size[1]}x{size[0]} {spec.color} {spec.dtype}"
            yield name, np.ascontiguousarray(pixels), (1, 1, 6, 3)[number % 4], spec
            number += 1


# As the networks that take them were trained: Whisper; torchaudio's MelSpectrogram and AmplitudeToDB, and its MFCC;
# librosa's mfcc; then what those leave out.
_STEPS: tuple[tuple[str, int, dict[str, Any] | None], ...] = (
    ("whisper", 16000, {"n_fft": 400, "hop_length": 160, "n_mels": 80, "mel_scale": "slaney", "mel_norm": "slaney",
     "log": "log10", "dynamic_range": 8.0, "mean": [-4.0], "std": [4.0], "drop_last": True}),
    ("torchaudio mel in dB", 16000, {"n_fft": 1024, "hop_length": 512, "n_mels": 64, "log": "db",
     "dynamic_range": 80.0}),
    ("torchaudio mfcc", 16000, {"n_fft": 400, "hop_length": 200, "n_mels": 40, "n_mfcc": 13, "log": "db",
     "dynamic_range": 80.0}),
    ("librosa mfcc", 16000, {"n_fft": 512, "hop_length": 256, "n_mels": 32, "n_mfcc": 20, "mel_scale": "slaney",
     "mel_norm": "slaney", "log": "db", "dynamic_range": 80.0, "pad_mode": "constant"}),
    ("torchaudio 40 mel, natural logarithm", 16000, {"n_fft": 512, "win_length": 400, "hop_length": 160,
     "window": "hamming", "center": False, "n_mels": 40, "f_min": 20.0, "f_max": 7600.0, "log": "natural",
     "floor": 1e-12, "offset": 1e-6, "layout": "TF"}),
    ("torchaudio magnitudes", 8000, {"n_fft": 126, "hop_length": 50, "power": 1}),
    ("magnitudes in dB, an odd prime", 8000, {"n_fft": 97, "hop_length": 40, "power": 1, "log": "db",
     "dynamic_range": 60.0, "layout": "TF", "mean": [-20.0], "std": [12.5]}),
    ("mel without logarithm, normalised by band", 8000, {"n_fft": 256, "win_length": 255, "hop_length": 128,
     "n_mels": 4, "mean": [0.1, 0.2, 0.3, 0.4], "std": [1.0, 2.0, 3.0, 4.0], "drop_last": True}),
    ("samples", 8000, None),
)  # fmt: skip
_OWN_RATES = (16000, 44100, 8000, 22050, 16000, 11025, 8000, 48000, 44100)


def heard(number: int, rate: int) -> npt.NDArray[np.float32]:
    """Return the sound of a case: tones that rise, and noise, of about a quarter of a second."""
    random, t = np.random.default_rng(number), np.arange(rate // 4) / rate
    tones = sum(0.2 / k * np.sin(2 * np.pi * k * (110 + 55 * number + 300 * t) * t) for k in (1, 2, 5))
    return (tones + 0.02 * random.standard_normal(len(t))).astype(np.float32)


def steps(number: int, own: int) -> Audio:
    """Return the steps of a case, for a sound at its own rate; every third sound is cut off, every third filled up."""
    _, rate, features = _STEPS[number]
    length = rate // 4 if own == rate else (rate // 5, rate // 4, rate // 3)[number % 3]
    return Audio(
        rate=rate,
        length=length,
        features=None if features is None else Features.model_validate_json(json.dumps(features)),
    )


def _sounds() -> Files:
    files: Files = {}
    cases = []
    for number, (name, rate, _) in enumerate(_STEPS):
        for own in dict.fromkeys((rate, _OWN_RATES[number])):
            samples, audio, stem = heard(number, own), steps(number, own), f"{len(cases):02}"
            expected = prepared(samples, own, audio)
            files[f"sounds/{stem}.samples.bin"] = samples.astype("<f4").tobytes()
            files[f"sounds/{stem}.expected.bin"] = expected.astype("<f4").tobytes()
            cases.append(
                {
                    "name": f"{name}, from {own} Hz",
                    "samples": {"file": f"{stem}.samples.bin", "rate": own},
                    "audio": audio.model_dump(mode="json"),
                    "expected": {"file": f"{stem}.expected.bin", "shape": expected.shape},
                }
            )
    files["sounds/cases.json"] = _text(cases)
    return files


def _metrics() -> Files:
    files: Files = {}
    cases = []
    for number, (name, reference, candidate, logits, labels) in enumerate(_outputs()):
        known = None if labels is None else np.array(labels, dtype=np.int64)
        found = measure(reference, candidate, logits=logits, labels=known).model_dump(mode="json")
        stem = f"{number:02}"
        files[f"metrics/{stem}.reference.bin"] = reference.astype("<f4").tobytes()
        files[f"metrics/{stem}.candidate.bin"] = candidate.astype("<f4").tobytes()
        cases.append(
            {
                "name": name,
                "logits": logits,
                "reference": {"file": f"{stem}.reference.bin", "shape": reference.shape},
                "candidate": {"file": f"{stem}.candidate.bin", "shape": candidate.shape},
                "labels": labels,
                "expected": {metric: found[metric] for metric in _METRICS},
            }
        )
    files["metrics/cases.json"] = _text(cases)
    return files


Output = npt.NDArray[np.float32]


def _outputs() -> Iterator[tuple[str, Output, Output, bool, list[int] | None]]:
    """Yield name, reference, candidate, whether they are logits, and labels of every case."""
    random = np.random.default_rng(1)

    def noisy(values: Output, share: float) -> Output:
        return (values + share * random.standard_normal(values.shape)).astype(np.float32)

    for samples, width, share in ((5, 10, 0.1), (5, 10, 1.0), (1, 2, 0.5), (8, 1000, 0.2), (7, 3, 2.0)):
        logits = (3 * random.standard_normal((samples, width))).astype(np.float32)
        labels = [int(label) for label in random.integers(0, width, samples)]
        yield f"{samples} logits of {width} classes, noise {share}", logits, noisy(logits, share), True, labels
        yield f"{samples} logits of {width} classes, no labels", logits, noisy(logits, share), True, None
    logits = (3 * random.standard_normal((6, 10))).astype(np.float32)
    yield "identical", logits, logits.copy(), True, [0, 1, 2, 3, 4, 5]
    yield "ties go to the lower class", np.zeros((4, 6), np.float32), np.zeros((4, 6), np.float32), True, [0, 1, 0, 2]
    broken = noisy(logits, 0.1)
    broken[2, 3], broken[4, 0], broken[5, 9] = np.nan, np.inf, -np.inf
    yield "values that are not finite", logits, broken, True, [0, 1, 2, 3, 4, 5]
    yield "all values are not finite", logits, np.full_like(logits, np.nan), True, None
    large = (logits * 300).astype(np.float32)
    yield "large logits", large, noisy(large, 20.0), True, None
    yield "opposite", logits, -logits, True, None
    volume = random.standard_normal((3, 2, 4, 5)).astype(np.float32)
    yield "a tensor of four axes", volume, noisy(volume, 0.05), False, None
    yield "logits of a sequence have no classifier's metrics", volume, noisy(volume, 0.05), True, None
    yield "a reference of zeros", np.zeros((3, 4), np.float32), noisy(np.zeros((3, 4), np.float32), 0.1), False, None
    one_zero = volume.copy()
    one_zero[1] = 0
    yield "one sample of zeros", one_zero, noisy(one_zero, 0.05), False, None
    scalars = random.standard_normal((9, 1)).astype(np.float32)
    yield "one value a sample", scalars, noisy(scalars, 0.3), True, None


def _classes() -> Files:
    random = np.random.default_rng(2)
    cases = []
    for name, logits, labels in (
        ("ten classes", 3 * random.standard_normal(10), [f"class {number}" for number in range(10)]),
        ("no labels", random.standard_normal(4), []),
        ("ties go to the lower class", np.array([1.0, 2.0, 2.0, 0.0]), ["a", "b", "c", "d"]),
        ("large", np.array([1000.0, 999.0, -1000.0]), ["x", "y", "z"]),
    ):
        values = logits.astype(np.float32)
        cases.append(
            {"name": name, "logits": values.tolist(), "labels": labels, "expected": classes(values, tuple(labels))}
        )
    return {"classes/cases.json": _text(cases)}


def _limits() -> Files:
    """Limits held against a phone's metrics, as ``tests/vectors/README.md`` says."""
    good = {"sqnr_db": 40.0, "max_abs_error": 0.1, "mean_abs_error": 0.01, "cosine": 0.9999, "top1_agreement": 1.0,
            "top5_agreement": 0.98, "kl_divergence": 0.001, "accuracy": 0.8, "reference_accuracy": 0.8}  # fmt: skip
    flipped = {**good, "top1_agreement": 0.8, "accuracy": 0.6}
    noisy = {**good, "sqnr_db": 10.0, "max_abs_error": 3.0, "cosine": 0.9}
    unlabelled = {**good, "accuracy": None, "reference_accuracy": None}
    given: tuple[tuple[str, Limits, Mapping[str, float | None], Mapping[str, float | None]], ...] = (
        ("all kept", Limits(min_sqnr_db=30, min_top1_agreement=0.98, min_accuracy_ratio=0.98), good, good),
        ("broken by the phone alone", Limits(min_sqnr_db=30, max_abs_error=1, min_cosine=0.99), noisy, good),
        ("broken on the host too", Limits(min_top1_agreement=0.98, min_accuracy_ratio=0.98), flipped, flipped),
        ("broken in accuracy by the phone", Limits(max_accuracy_drop=0.1, min_accuracy_ratio=0.98), flipped, good),
        ("no labels", Limits(min_accuracy_ratio=0.98, max_accuracy_drop=0.01, min_sqnr_db=30), unlabelled, unlabelled),
        ("infinite ratio", Limits(min_sqnr_db=30), {**good, "sqnr_db": None}, good),
        ("met exactly", Limits(min_sqnr_db=40, max_abs_error=0.1, max_kl_divergence=0.001), good, good),
        ("not computed by an app", Limits(min_mean_iou_ratio=0.96, min_r2_agreement=0.98), good, good),
        ("reference accuracy of zero", Limits(min_accuracy_ratio=0.98),
         {**good, "accuracy": 0.2, "reference_accuracy": 0.0}, {**good, "accuracy": 0.2, "reference_accuracy": 0.0}),
    )  # fmt: skip
    cases = [
        {
            "name": name,
            "limits": limits.model_dump(mode="json"),
            "device": device,
            "host": host,
            "expected": _findings(limits, device, host),
        }
        for name, limits, device, host in given
    ]
    return {"limits/cases.json": _text(cases)}


def _findings(
    limits: Limits, device: Mapping[str, float | None], host: Mapping[str, float | None]
) -> list[dict[str, object]]:
    found = []
    for rule in RULES:
        bound = getattr(limits, rule.name)
        if bound is None:
            continue
        value, own = _value(rule.metric, device), _value(rule.metric, host)
        sign = 1 if rule.better == "higher" else -1
        breaks = [v is not None and sign * v < sign * bound - 1e-12 * max(1.0, abs(bound)) for v in (value, own)]
        known = rule.metric == "sqnr_db" or value is not None
        result = "not_judged" if not known or all(breaks) else "broken" if breaks[0] else "kept"
        found.append({"limit": rule.name, "metric": rule.metric, "value": value, "result": result})
    return found


def _value(metric: str, metrics: Mapping[str, float | None]) -> float | None:
    if metric in ("accuracy_drop", "accuracy_ratio"):
        accuracy, reference = metrics["accuracy"], metrics["reference_accuracy"]
        if accuracy is None or reference is None:
            return None
        if metric == "accuracy_drop":
            return reference - accuracy
        return 1.0 if reference == 0 else 1 - (reference - accuracy) / abs(reference)
    return metrics.get(metric)


def _manifests(whole: dict[str, Any]) -> Files:
    """Manifests that an app reads, and such that it refuses, with the failure for each."""
    short = copy.deepcopy(whole)
    short["golden"], short["drift"]["legs"] = short["golden"][:1], short["drift"]["legs"][-1:]
    image, grey = whole["inputs"][0], whole["preprocessing"]
    pte, onnx = whole["artifacts"]
    own = {"score": {"total": {"min_sqnr_db": 10}}}  # goes before what the leg asks of all outputs
    valid = {
        "classifier": whole,
        "two-inputs-two-outputs": {
            **short,
            "budget": {**short["budget"], "total": {**short["budget"]["total"], "min_sqnr_db": 30}, "outputs": own},
            "preprocessing": None, "labels": [], "postprocessing": [], "golden": [],
            "dimensions": {"batch": 64, "length": 128}, "artifacts": [{**onnx, "quantization": "int8-dynamic"}],
            "inputs": [{"name": "tokens", "dtype": "int64", "shape": ["batch", "length"], "meaning": "tensor"},
                       {"name": "mask", "dtype": "bool", "shape": ["batch", "length"], "meaning": "tensor"}],
            "outputs": [{"name": "embedding", "dtype": "float32", "shape": ["batch", 16], "meaning": "embedding"},
                        {"name": "score", "dtype": "float32", "shape": ["batch", 1], "meaning": "regression"}],
        },
        "sound": {
            **short, "preprocessing": None, "golden": [], "audio": steps(0, 16000).model_dump(mode="json"),
            "inputs": [{"name": "sound", "dtype": "float32", "shape": ["batch", 1, 80, 25], "meaning": "tensor"}],
        },
        "text": {
            **short, "preprocessing": None, "golden": [],
            "text": {"file": "tokenizer.json", "sha256": "0" * 64, "bytes": 700, "length": 128,
                     "inputs": {"tokens": "ids", "mask": "attention_mask"}},
            "inputs": [{"name": "tokens", "dtype": "int64", "shape": ["batch", 128], "meaning": "tensor"},
                       {"name": "mask", "dtype": "int64", "shape": ["batch", 128], "meaning": "tensor"}],
        },
        "bgr-fixed-batch": {
            **short, "golden": [], "dimensions": {}, "inputs": [{**image, "shape": [1, 224, 192, 3]}],
            "artifacts": [{**pte, "quantization": "8da4w"}, {**onnx, "quantization": "w8a16"}],
            "preprocessing": {**grey, "color": "bgr", "layout": "NHWC", "background": 255,
                              "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
                              "resize": {"height": 224, "width": 192, "mode": "cover", "filter": "bicubic"}},
        },
        "failed-without-label": {
            **short, "verdict": "failed", "float_layers": ["head.0"],
            "artifacts": [{**pte, "quantization": "float", "operators": ["aten::add.out"]}, onnx],
            "golden": [{**short["golden"][0], "label": None}],
        },
    }  # fmt: skip
    files = {f"manifests/valid/{name}.json": _text(value) for name, value in valid.items()}
    sources = {"audio": valid["sound"], "text": valid["text"]}
    refused: dict[str, tuple[str, bytes]] = {
        "cut-off": ("not_a_manifest", _text(short)[:700]),
        "list": ("not_a_manifest", b"[]\n"),
        "empty": ("not_a_manifest", b""),
    }
    for name, place, value in _FAULTS:
        wrong = copy.deepcopy(sources.get(str(place[0]), short))
        *path, last = place
        part: Any = wrong
        for key in path:
            part = part[key]
        if value is None:
            del part[last]
        else:
            part[last] = value
        failure = "manifest_version" if place == ("schema_version",) else "manifest_schema"
        refused[name] = failure, _text(wrong)
    files |= {f"manifests/invalid/{name}.json": text for name, (_, text) in refused.items()}
    files["manifests/invalid.json"] = _text({f"{name}.json": failure for name, (failure, _) in refused.items()})
    return files


def _text(value: object) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False, default=list) + "\n").encode()


if __name__ == "__main__":
    main()
