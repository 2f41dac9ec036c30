"""Sounds as rows of an input: read, averaged over their channels, resampled, cut or filled, and their features."""

import importlib
import math
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.features import features_of
from edgekit.data.found import HINT, reading
from edgekit.data.pictures import FromFiles
from edgekit.errors import DataError
from edgekit.spec import TensorSpec
from edgekit.spec.fits import completed, sound_faults
from edgekit.spec.media import Audio

Wave = npt.NDArray[np.float32]
SUFFIXES = (".flac", ".ogg", ".wav")
_NEEDED = 'Install it: pip install "edgekit[audio]"; or write PCM with 8 to 32 bits.'
# An hour at 48 kHz; a recording of more is cut before it is read.
_MOST_FRAMES = 3600 * 48_000
_MOST_CHANNELS, _MOST_RATE = 64, 1_000_000
# A recording of more, four minutes at 16 kHz, does not tell how much a model takes at once.
_MOST_TOLD = 2**22
# torchaudio's own choice: zero crossings on each side, and how far below the Nyquist frequency the filter ends.
_CROSSINGS, _ROLLOFF = 6, 0.99


class Sounds(FromFiles[Path]):
    """Sounds in files."""

    def __init__(
        self, files: Sequence[Path], shape: tuple[int, ...], make: Callable[[Path], Wave], places: Sequence[str] = ()
    ) -> None:
        """Take files, none of which is opened yet."""
        super().__init__(files, shape, np.float32, make, places)


def maker(
    path: Path, inputs: tuple[TensorSpec, ...], audio: Audio
) -> tuple[str, Callable[[Path], Wave], tuple[int, ...]]:
    """Return the input that sounds become, what makes it of a file, and its shape.

    Raises:
        DataError: If the model takes no sounds of one length.
    """
    if faults := sound_faults(audio, inputs):
        raise DataError(
            f"{path} holds sounds, which do not become what the model takes: {faults[0]}",
            hint="Correct [audio] and [[inputs]], or write an .npz of what the model takes.",
        )
    known = completed(audio, inputs)
    shape = tuple(size for size in inputs[0].shape[1:] if isinstance(size, int))

    def make(file: Path) -> Wave:
        return of_file(file, known).reshape(shape)

    return inputs[0].name, make, shape


def of_file(file: Path, audio: Audio) -> Wave:
    """Read a sound as a model takes it: samples of shape (length,), or its features.

    Args:
        file: The sound.
        audio: The steps, with a length.

    Raises:
        DataError: If it cannot be read.
    """
    length = audio.length or 0
    with reading(file, hint="Save it as a WAV file of PCM."):
        samples, own = _read(file, length, audio.rate)
    return prepared(samples, own, audio)


def sizes_of(file: Path) -> tuple[int, int]:
    """Return samples a second and samples of a WAV file of PCM; zeros of any other, which is not opened further."""
    try:
        with wave.open(str(file), "rb") as sound:
            rate, count = sound.getframerate(), sound.getnframes()
    except Exception:  # damaged bytes end in whatever the reader stumbles over: the build says what is wrong with them
        return 0, 0
    return (rate if 0 < rate <= _MOST_RATE else 0), (count if 0 < count <= _MOST_TOLD else 0)


def prepared(samples: Wave, own: int, audio: Audio) -> Wave:
    """Turn samples at their own rate into what a model takes, exactly: apps follow this, see `edgekit.data.features`.

    They are brought to the rate, cut off at the length or filled up with zeros, and turned into features.
    """
    length = audio.length or 0
    found = resampled(samples, own, audio.rate)[:length]
    fitted = np.concatenate([found, np.zeros(length - len(found), np.float32)])
    return fitted if audio.features is None else features_of(fitted, audio.rate, audio.features)


def _read(file: Path, length: int, rate: int) -> tuple[Wave, int]:
    """Return the mean of all channels and the rate; no more is read than is needed for the length."""
    try:
        with wave.open(str(file), "rb") as sound:
            channels, width, own, count = (
                sound.getnchannels(),
                sound.getsampwidth(),
                sound.getframerate(),
                sound.getnframes(),
            )
            _check(file, channels, own)
            data = sound.readframes(min(count, _frames(length, rate, own)))
            return _mono(_of_pcm(data, width), channels), own
    except wave.Error:  # floats, or no WAV at all
        try:
            soundfile: Any = importlib.import_module("soundfile")
        except ImportError as error:
            raise DataError(
                f"{file} is no WAV file of PCM; the library soundfile reads others.", hint=_NEEDED
            ) from error
        with soundfile.SoundFile(str(file)) as opened:
            _check(file, opened.channels, opened.samplerate)
            frames = opened.read(_frames(length, rate, opened.samplerate), dtype="float32", always_2d=True)
            return frames.mean(axis=1, dtype=np.float32), int(opened.samplerate)


def _check(file: Path, channels: int, rate: int) -> None:
    if not (0 < channels <= _MOST_CHANNELS and 0 < rate <= _MOST_RATE):
        raise DataError(f"{file} has {channels} channels and {rate} samples a second.", hint=HINT)


def _frames(length: int, rate: int, own: int) -> int:
    return min(_MOST_FRAMES, math.ceil(length * own / rate) + 64 * max(1, math.ceil(own / rate)))


def _of_pcm(data: bytes, width: int) -> npt.NDArray[np.float32]:
    """Return integers of so many bytes as floats from -1 to below 1; of 8 bits they are unsigned."""
    data = data[: len(data) // width * width]
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if width == 3:
        three = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(three), 4), np.uint8)
        whole[:, 1:] = three
        return whole.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    return np.frombuffer(data, f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))


def _mono(values: npt.NDArray[np.float32], channels: int) -> Wave:
    found: Wave = values[: len(values) // channels * channels].reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return found


def resampled(samples: Wave, own: int, wanted: int) -> Wave:
    """Return samples at another rate, by a windowed sinc: the arithmetic of ``torchaudio.functional.resample``.

    With ``o`` and ``w`` the two rates, divided by what divides both, ``b = 0.99 * min(o, w)`` and ``t = (i / o - j / w)
    * b``, sample ``j`` is the sum over the samples ``x[i]`` with ``t`` between -6 and 6 of ``x[i] * sinc(t) *
    cos(pi * t / 12)**2 * b / o``, in double precision, rounded to float32; ``sinc(t)`` is ``sin(pi * t) / (pi * t)``.

    Args:
        samples: The samples, of shape (n,).
        own: Their rate.
        wanted: The rate wanted; ``ceil(n * wanted / own)`` samples are returned.
    """
    if own == wanted or not len(samples):
        return samples
    common = math.gcd(own, wanted)
    own, wanted = own // common, wanted // common
    base = min(own, wanted) * _ROLLOFF
    width = math.ceil(_CROSSINGS * own / base)
    count = math.ceil(wanted * len(samples) / own)
    padded = np.pad(samples.astype(np.float64), (width, width + own))
    found = np.empty(count, np.float32)
    offsets = np.arange(-width, width + own) / own
    for phase in range(min(wanted, count)):
        t = np.clip((offsets - phase / wanted) * base, -_CROSSINGS, _CROSSINGS)
        kernel = np.sinc(t) * np.cos(t * np.pi / _CROSSINGS / 2) ** 2 * (base / own)
        there = len(range(phase, count, wanted))
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel))[::own][:there]
        found[phase::wanted] = windows @ kernel
    return found
