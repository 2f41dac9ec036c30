"""How sounds and texts become inputs: ``[audio]`` and ``[text]``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgekit.base.values import Positive, Spec

# No model for phones takes more; what a manifest of others asks for must not exhaust a phone.
_MOST_RATE, _MOST_SAMPLES = 1_000_000, 2**25
_MOST_BINS, _MOST_BANDS = 2**15, 2**10
_MOST_FEATURES, _MOST_FRAMED = 2**25, 2**30

TextPart = Literal["ids", "attention_mask", "type_ids"]
"""What a tokenizer makes of a text, by its library's names."""
Hertz = Annotated[float, Field(ge=0)]


class Features(Spec):
    """``[audio.features]``: a spectrogram, of the power of frequencies, of mel bands, or of their cosines (MFCC).

    The keys that torchaudio's ``MelSpectrogram`` and ``MFCC`` have are called as there. The steps, in this order: pad;
    cut into frames, multiply by the window, transform; the power; sum up to mel bands; the logarithm; cosines;
    subtract ``mean``, divide by ``std``. All arithmetic is in double precision; `edgekit.data.features` has the
    formulas.
    """

    n_fft: Annotated[int, Field(ge=2, le=_MOST_BINS)]
    """Samples of a frame, and of its discrete Fourier transform, which has ``n_fft // 2 + 1`` frequencies."""
    hop_length: Positive
    """Samples from one frame to the next."""
    win_length: Positive | None = None
    """Samples of the window, in the middle of the frame; ``n_fft`` unless given."""
    window: Literal["hann", "hamming"] = "hann"
    """The window, the periodic one as torch and librosa have it."""
    center: bool = True
    """Whether frames lie around their places: half a frame is added at both ends. Without, frames that would reach
    beyond the end are left out."""
    pad_mode: Literal["reflect", "constant"] = "reflect"
    """With ``center``: what is added, the sound itself backwards, as torch has it, or silence, as librosa has it."""
    drop_last: bool = False
    """Whether the last frame is left out, as Whisper does."""
    power: Literal[1, 2] = 2
    """1: magnitudes, 2: power."""
    n_mels: Annotated[int, Field(gt=0, le=_MOST_BANDS)] | None = None
    """Mel bands; none unless given: the frequencies as they are."""
    f_min: Hertz = 0.0
    """The lowest frequency of the bands, in Hz."""
    f_max: Hertz | None = None
    """The highest; half the rate unless given."""
    mel_scale: Literal["htk", "slaney"] = "htk"
    """The formula of the mel scale: ``htk`` is torchaudio's, ``slaney`` is librosa's and Whisper's."""
    mel_norm: Literal["none", "slaney"] = "none"
    """Whether each band is divided by its width: ``slaney`` is librosa's and Whisper's."""
    log: Literal["none", "natural", "log10", "db"] = "none"
    """The logarithm: natural, decimal, or decibel, which is 10 times the decimal one of power and 20 times that of
    magnitudes."""
    floor: Annotated[float, Field(gt=0)] = 1e-10
    """Least value before the logarithm."""
    offset: Annotated[float, Field(ge=0)] = 0.0
    """Added before the logarithm."""
    dynamic_range: Annotated[float, Field(gt=0)] | None = None
    """After the logarithm nothing is further below the sound's largest value: 80 dB in torchaudio's ``top_db``, 8 in
    Whisper."""
    n_mfcc: Positive | None = None
    """So many cosines of the bands' values, orthonormal, take their place."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted: one for all, or one for each band."""
    std: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    """What the rest is divided by, likewise. Whisper's ``(x + 4) / 4`` is a mean of -4 and a std of 4."""
    layout: Literal["FT", "TF"] = "FT"
    """Order of the axes: frequencies and frames, or frames and frequencies."""

    @property
    def bands(self) -> int:
        """Number of values of a frame."""
        return self.n_mfcc or self.n_mels or self.n_fft // 2 + 1

    def frames(self, length: int) -> int:
        """Return the number of frames of so many samples; below one: there is none."""
        padded = length + 2 * (self.n_fft // 2) if self.center else length
        return (padded - self.n_fft) // self.hop_length + 1 - self.drop_last

    @model_validator(mode="after")
    def _steps_agree(self) -> Self:
        if (self.win_length or 0) > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is over n_fft {self.n_fft}")
        if self.n_mels is None and (given := {"f_min", "f_max", "mel_scale", "mel_norm"} & self.model_fields_set):
            different = [key for key in sorted(given) if getattr(self, key) != type(self).model_fields[key].default]
            if different:
                raise ValueError(f"{', '.join(different)}: stands beside n_mels, and nowhere else")
        if self.n_mfcc is not None and (self.n_mels is None or self.n_mfcc > self.n_mels):
            raise ValueError(
                f"n_mfcc {self.n_mfcc} is over n_mels {self.n_mels}" if self.n_mels else "n_mfcc needs n_mels"
            )
        if self.log == "none" and (self.dynamic_range is not None or self.offset):
            raise ValueError("dynamic_range and offset stand beside log, and nowhere else")
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.bands):
                raise ValueError(f"{key} has {len(values)} values for {self.bands} band(s)")
        return self


class Audio(Spec):
    """``[audio]``: how a sound becomes the only input, float32 of shape (batch, samples) or (batch, 1, samples).

    The channels of a recording are averaged, it is brought to ``rate``, and cut off or filled with silence at its end.
    With ``features`` the input is a spectrogram of it, of shape (batch, bands, frames) or (batch, 1, bands, frames).
    Apps follow the same steps.
    """

    rate: Annotated[int, Field(gt=0, le=_MOST_RATE)]
    """Samples a second that the model takes, 16000 for instance."""
    length: Annotated[int, Field(gt=0, le=_MOST_SAMPLES)] | None = None
    """Samples that a sound is cut off at or filled up to; the input's own length unless given. Needed beside
    ``features``."""
    features: Features | None = None
    """The spectrogram that the input is; none unless given."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The last sizes of the input: samples, or the two of the spectrogram; empty where no length is known."""
        if self.length is None:
            return ()
        if self.features is None:
            return (self.length,)
        sizes = self.features.bands, self.features.frames(self.length)
        return sizes if self.features.layout == "FT" else sizes[::-1]

    @model_validator(mode="after")
    def _steps_are_possible(self) -> Self:
        steps = self.features
        if steps is None:
            return self
        if self.length is None:
            raise ValueError("length is missing: the number of samples that features are made of")
        frames = steps.frames(self.length)
        if frames < 1 or (steps.center and steps.pad_mode == "reflect" and self.length <= steps.n_fft // 2):
            raise ValueError(f"length {self.length} is too short for features of frames of {steps.n_fft}")
        if frames * steps.bands > _MOST_FEATURES or frames * steps.n_fft > _MOST_FRAMED:
            raise ValueError(f"{frames} frames of {steps.n_fft} samples are more than a phone computes")
        top = self.rate / 2 if steps.f_max is None else steps.f_max
        if steps.f_min >= top or top > self.rate / 2:
            raise ValueError(f"bands from {steps.f_min:g} to {top:g} Hz are not within 0 to {self.rate / 2:g} Hz")
        return self


class Text(Spec):
    """``[text]``: how a line of text becomes token ids, a mask and segment ids, whichever the model takes.

    They go to inputs called ``input_ids``, ``token_ids``, ``tokens`` or ``ids``; ``attention_mask`` or ``mask``; and
    ``token_type_ids`` or ``segment_ids``. The bundle carries the tokenizer's file; the demo apps hand over the tensors.
    """

    tokenizer: Annotated[str, Field(min_length=1)] = "tokenizer.json"
    """The tokenizer's file, as the ``tokenizers`` library writes it."""
    length: Positive | None = None
    """Texts are cut off, or padded, to so many tokens; the input's own length unless given."""
