"""From a sound to a spectrogram, exactly: apps follow this arithmetic, which is that of torchaudio and librosa.

All in double precision; the result alone is rounded to float32. ``x`` are the samples, ``n = n_fft``, and ``w =
win_length``.

1. **Pad**, with ``center``, by ``n // 2`` at both ends: ``x[n // 2], ..., x[1]`` in front of ``x[0]``, likewise at the
   end (``reflect``), or zeros (``constant``).
2. **Frames**: frame ``t`` begins at ``t * hop_length``; those that reach beyond the end are left out, and with
   ``drop_last`` one more.
3. **Window**: ``a - (1 - a) * cos(2 * pi * k / w)`` for ``k`` below ``w``, where ``a`` is 0.5 (``hann``) or 0.54
   (``hamming``), behind ``(n - w) // 2`` zeros and before as many as are missing.
4. **Power** of the discrete Fourier transform of each frame, at the frequencies ``f[i] = i * rate / n`` for ``i`` up
   to ``n // 2``: the square of the magnitude, or with ``power = 1`` the magnitude.
5. **Mel bands**: of ``n_mels + 2`` places ``p``, evenly spaced on the mel scale from ``f_min`` to ``f_max``; the weight
   of ``f[i]`` in band ``b`` is ``max(0, min((f[i] - p[b]) / (p[b+1] - p[b]), (p[b+2] - f[i]) / (p[b+2] - p[b+1])))``,
   with ``mel_norm`` times ``2 / (p[b+2] - p[b])``. The scales, from hertz ``h`` to mel::

       htk:    2595 * log10(1 + h / 700)
       slaney: 3 * h / 200 below 1000 Hz, 15 + 27 * log(h / 1000) / log(6.4) from there on

6. **Logarithm** of ``max(v, floor) + offset``: ``log``, ``log10``, or ``10 * log10`` (``20 *`` with ``power = 1``);
   then ``max(v, m - dynamic_range)``, where ``m`` is the largest value of the sound.
7. **Cosines**: coefficient ``c`` is the sum over the bands ``b`` of ``v[b] * cos(pi / n_mels * (b + 0.5) * c)``, times
   ``sqrt(2 / n_mels)``, for ``c = 0`` times ``sqrt(1 / n_mels)``.
8. **Normalise**: ``(v - mean) / std``, rounded to float32, of shape (bands, frames) or (frames, bands).

Tests hold this against torchaudio, librosa and Whisper's feature extractor, see decision 0018.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

from edgekit.spec.media import Features

Numbers = npt.NDArray[np.float64]
# Samples in frames that are transformed at once.
_AT_ONCE = 2**19


def features_of(samples: npt.NDArray[np.float32], rate: int, spec: Features) -> npt.NDArray[np.float32]:
    """Turn samples into a spectrogram.

    Args:
        samples: The sound, of shape (samples,).
        rate: Samples a second.
        spec: The steps.

    Returns:
        float32 of shape (bands, frames), or (frames, bands) with the layout ``TF``.
    """
    found = _logarithm(_bands(samples.astype(np.float64), rate, spec), spec)
    if spec.n_mfcc is not None:
        found = found @ _cosines(found.shape[1], spec.n_mfcc)
    found = (found - np.array(spec.mean)) / np.array(spec.std)
    return np.ascontiguousarray(found if spec.layout == "TF" else found.T, dtype=np.float32)


def _bands(samples: Numbers, rate: int, spec: Features) -> Numbers:
    """Return power or magnitudes of shape (frames, bands)."""
    count, half = spec.frames(len(samples)), spec.n_fft // 2
    if spec.center:
        samples = np.pad(samples, half, mode=spec.pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(samples, spec.n_fft)[:: spec.hop_length][:count]
    window = _window(spec)
    weights = None if spec.n_mels is None else mel_weights(rate, spec)
    found = np.empty((count, half + 1 if weights is None else weights.shape[1]))
    step = max(1, _AT_ONCE // spec.n_fft)
    for start in range(0, count, step):
        spectrum = np.fft.rfft(frames[start : start + step] * window)
        power = spectrum.real**2 + spectrum.imag**2
        values = power if spec.power == 2 else np.sqrt(power)
        found[start : start + step] = values if weights is None else values @ weights
    return found


def _window(spec: Features) -> Numbers:
    size, a = spec.win_length or spec.n_fft, {"hann": 0.5, "hamming": 0.54}[spec.window]
    before = (spec.n_fft - size) // 2
    window = a - (1 - a) * np.cos(2 * np.pi * np.arange(size) / size)
    return np.pad(window, (before, spec.n_fft - size - before))


@functools.lru_cache(maxsize=8)
def mel_weights(rate: int, spec: Features) -> Numbers:
    """Return what each frequency counts in each mel band, of shape (n_fft // 2 + 1, n_mels)."""
    bands = spec.n_mels or 0
    ends = _mel(spec.f_min, spec), _mel(rate / 2 if spec.f_max is None else spec.f_max, spec)
    places = np.array([_hertz(mel, spec) for mel in np.linspace(*ends, bands + 2)])
    frequencies = (np.arange(spec.n_fft // 2 + 1) * rate / spec.n_fft)[:, np.newaxis]
    rising = (frequencies - places[:-2]) / (places[1:-1] - places[:-2])
    falling = (places[2:] - frequencies) / (places[2:] - places[1:-1])
    weights: Numbers = np.maximum(0.0, np.minimum(rising, falling))
    if spec.mel_norm == "slaney":
        weights = weights * (2 / (places[2:] - places[:-2]))
    return weights


def _mel(hertz: float, spec: Features) -> float:
    if spec.mel_scale == "htk":
        return 2595 * math.log10(1 + hertz / 700)
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mel: float, spec: Features) -> float:
    if spec.mel_scale == "htk":
        return float(700 * (10 ** (mel / 2595) - 1))
    return 200 * mel / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


def _logarithm(values: Numbers, spec: Features) -> Numbers:
    if spec.log == "none":
        return values
    above = np.maximum(values, spec.floor) + spec.offset
    factor = {"natural": 1, "log10": 1, "db": 20 if spec.power == 1 else 10}[spec.log]
    found: Numbers = factor * (np.log(above) if spec.log == "natural" else np.log10(above))
    return found if spec.dynamic_range is None else np.maximum(found, found.max() - spec.dynamic_range)


def _cosines(bands: int, count: int) -> Numbers:
    """Return the first of the orthonormal cosines (DCT-II), of shape (bands, count)."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(count))
    factors = np.full(count, math.sqrt(2 / bands))
    factors[0] = math.sqrt(1 / bands)
    return np.asarray(np.cos(angles) * factors)
