"""Write what torchaudio, librosa and the feature extractor of Whisper make of the sounds in ``tests/vectors/sounds``.

Run by a Python that has them: ``pip install torchaudio librosa transformers``. EdgeKit itself needs none of them, and
is not imported here.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
import torchaudio
from transformers import WhisperFeatureExtractor

SOUNDS = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "sounds"


def main() -> None:
    """Write the files."""
    told = {}
    for number, case in enumerate(json.loads((SOUNDS / "cases.json").read_text(encoding="utf-8"))):
        own, audio = case["samples"]["rate"], case["audio"]
        samples = np.fromfile(SOUNDS / case["samples"]["file"], dtype="<f4")
        wave = torchaudio.functional.resample(torch.from_numpy(samples), own, audio["rate"]).numpy()
        wave = np.pad(wave, (0, max(0, audio["length"] - len(wave))))[: audio["length"]]
        found = wave if audio["features"] is None else _features(case["name"], wave, audio["rate"], audio["features"])
        if found is None:
            continue
        by = next(name for name in ("transformers", "librosa", "torchaudio") if _is_by(case["name"], name))
        told[f"{number:02}.peer.bin"] = {"case": case["name"], "by": f"{by} {version(by)}", "shape": found.shape}
        np.ascontiguousarray(found, dtype="<f4").tofile(SOUNDS / f"{number:02}.peer.bin")
    (SOUNDS / "peers.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {len(told)} files to {SOUNDS}\n")


def _is_by(case: str, library: str) -> bool:
    return library == "torchaudio" or case.startswith({"transformers": "whisper", "librosa": "librosa"}[library])


def _features(case: str, wave: Any, rate: int, steps: dict[str, Any]) -> Any:
    """Return what the library makes of a sound, called as its documentation says, not as EdgeKit's formulas do."""
    sound, transforms = torch.from_numpy(wave), torchaudio.transforms
    frames = {key: steps[key] for key in ("n_fft", "hop_length")}
    match case.partition(",")[0]:
        case "whisper":
            made = WhisperFeatureExtractor(feature_size=80, sampling_rate=rate)
            found = made(wave, sampling_rate=rate, padding="do_not_pad", return_tensors="np")
            return found.input_features[0]
        case "torchaudio mel in dB":
            mel = transforms.MelSpectrogram(rate, **frames, n_mels=64)(sound)
            return transforms.AmplitudeToDB(top_db=80)(mel).numpy()
        case "torchaudio mfcc":
            return transforms.MFCC(rate, n_mfcc=13, melkwargs={**frames, "n_mels": 40})(sound).numpy()
        case "librosa mfcc":
            return librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=20, **frames, n_mels=32)
        case "torchaudio 40 mel":
            mel = transforms.MelSpectrogram(
                rate, **frames, win_length=400, window_fn=torch.hamming_window, center=False, n_mels=40, f_min=20.0,
                f_max=7600.0,
            )(sound)  # fmt: skip
            return torch.log(mel + 1e-6).T.numpy()
        case "torchaudio magnitudes":
            return transforms.Spectrogram(**frames, power=1)(sound).numpy()
    return None


if __name__ == "__main__":
    main()
