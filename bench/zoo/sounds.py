"""Samples from speech: sentences spoken by eSpeak NG, other sentences and other voices for evaluation."""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.zoo.data import Part, Rows
from bench.zoo.packages import folder_of
from bench.zoo.texts import sentences

Signal = npt.NDArray[np.float32]
RATE = 16000
_VOICES: dict[Part, tuple[str, ...]] = {
    "calibration": ("en+m1", "en+f1", "en+m3", "en+f3", "en+m5"),
    "evaluation": ("en+m2", "en+f2", "en+m7"),
}
_SENTENCES = 12
# From espeak-ng/speak_lib.h.
_SYNCHRONOUS, _CHARACTERS_UTF8 = 2, 1
_NOISE = 3e-3


@dataclass(frozen=True)
class Speech:
    """Pieces of speech as a network takes them; float32."""

    form: Literal["frames", "windows", "mel-40", "mel-80", "mfcc"]
    """``frames``: 1024 samples, normalised (CREPE); ``windows``: 31 of 576 samples, each 512 on (Silero VAD);
    ``mel-40``: 160 frames of 40 bands, frames first (Resemblyzer); ``mel-80``: 80 bands of 3000 frames, in decades
    (Whisper); ``mfcc``: 49 frames of 40 bands in decades, with an axis for the channel (keyword spotting)."""

    def rows(self, part: Part, count: int) -> Rows:
        """Return pieces from all over the speech of a part, pauses among them."""
        random = np.random.default_rng(part == "evaluation")
        match self.form:
            case "frames":
                pieces = _pieces(part, count, 1024, random)
                pieces -= pieces.mean(1, keepdims=True)
                return ((pieces / np.maximum(pieces.std(1, keepdims=True), 1e-10)).astype(np.float32),)
            case "windows":
                pieces = _pieces(part, count, 64 + 31 * 512, random)
                return (np.lib.stride_tricks.sliding_window_view(pieces, 576, axis=1)[:, ::512].copy(),)
            case "mel-40":
                return (
                    _bands(_pieces(part, count, 160 * 160 + 240, random), 40, 400, 400).transpose(0, 2, 1)[:, :160],
                )
            case "mel-80":
                logs = np.log10(np.maximum(_bands(_pieces(part, count, 3000 * 160 + 240, random), 80, 400, 400), 1e-10))
                logs = np.maximum(logs, logs.max((1, 2), keepdims=True) - 8)
                return (((logs + 4) / 4).astype(np.float32)[:, :, :3000],)
            case "mfcc":
                piece = _pieces(part, count, 49 * 320 + 320, random)
                logs = np.log10(np.maximum(_bands(piece, 40, 640, 1024, step=320), 1e-6))
                return ((logs.transpose(0, 2, 1)[:, None, :49]).astype(np.float32),)

    @property
    def words(self) -> str:
        """Say what the samples are."""
        return "speech of eSpeak NG"


def _pieces(part: Part, count: int, length: int, random: np.random.Generator) -> Signal:
    speech = _speech(part)
    if len(speech) < length * 2:
        speech = np.tile(speech, 1 + 2 * length // len(speech))
    starts = random.integers(0, len(speech) - length, count)
    return np.stack([speech[start : start + length] for start in starts])


@cache
def _speech(part: Part) -> Signal:
    """Return the sentences of a part, each by the next voice, with pauses and a little noise."""
    package = folder_of("espeakng_loader")
    library = ctypes.CDLL(str(package / "libespeak-ng.so"))
    taken: list[Signal] = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def take(wave: "ctypes._Pointer[ctypes.c_short]", count: int, _: object) -> int:
        if wave and count:
            taken.append(np.ctypeslib.as_array(wave, (count,)).astype(np.float32) / np.float32(32768))
        return 0

    callback = kind(take)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(package / "espeak-ng-data").encode(), 0)
    if rate <= 0:
        raise RuntimeError("eSpeak NG cannot read its data")
    library.espeak_SetSynthCallback(callback)
    voices = _VOICES[part]
    for number, line in enumerate(sentences(part)[:_SENTENCES]):
        library.espeak_SetVoiceByName(voices[number % len(voices)].encode())
        text = line.encode() + b"\0"
        library.espeak_Synth(text, len(text), 0, 0, 0, _CHARACTERS_UTF8, None, None)
        library.espeak_Synchronize()
        taken.append(np.zeros(rate // 2, np.float32))
    library.espeak_Terminate()
    spoken = np.concatenate(taken)
    places = np.arange(0, len(spoken) - 1, rate / RATE)
    resampled = np.interp(places, np.arange(len(spoken)), spoken)
    return (resampled + _NOISE * np.random.default_rng(0).standard_normal(len(resampled))).astype(np.float32)


def _bands(pieces: Signal, bands: int, window: int, size: int, *, step: int = 160) -> Signal:
    """Return powers in mel bands, of shape (pieces, bands, frames): Slaney's triangles on a Hann window's spectrum."""
    frames = np.lib.stride_tricks.sliding_window_view(pieces, window, axis=1)[:, ::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1], size)) ** 2
    return (power @ _triangles(bands, size).T).transpose(0, 2, 1).astype(np.float32)


@cache
def _triangles(bands: int, size: int) -> npt.NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
