"""Spectrograms: sizes, blocks, and steps that cannot be; their values are in test_vectors.py."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgekit.data import features
from edgekit.data.features import features_of
from edgekit.data.sounds import of_file
from edgekit.errors import DataError
from edgekit.spec import Audio, Features, TensorSpec
from edgekit.spec.fits import completed, sound_faults
from tests.unit.test_media import read, tone, write

WHISPER: dict[str, Any] = {
    "n_fft": 400, "hop_length": 160, "n_mels": 80, "mel_scale": "slaney", "mel_norm": "slaney", "log": "log10",
    "dynamic_range": 8.0, "mean": (-4.0,), "std": (4.0,), "drop_last": True,
}  # fmt: skip


def test_whisper_has_its_three_thousand_frames() -> None:
    """Of half a minute at 16 kHz."""
    assert Audio(rate=16000, length=480_000, features=Features(**WHISPER)).sizes == (80, 3000)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(("n_fft", "hop", "length"), [(400, 160, 4000), (97, 33, 97), (16, 40, 500), (25, 25, 75)])
def test_sizes_are_those_of_what_is_made(n_fft: int, hop: int, length: int, center: bool, drop_last: bool) -> None:
    """What `frames` says is what comes out, in both layouts, however many frames are transformed at once."""
    sound = tone(8000)[:length].astype(np.float32)
    sound = np.pad(sound, (0, length - len(sound)))
    spec = Features(n_fft=n_fft, hop_length=hop, center=center, drop_last=drop_last, log="db")
    count = spec.frames(length)
    if count < 1:
        with pytest.raises(ValidationError, match="too short"):
            Audio(rate=8000, length=length, features=spec)
        return
    found = features_of(sound, 8000, spec)
    assert found.shape == Audio(rate=8000, length=length, features=spec).sizes == (n_fft // 2 + 1, count)
    turned = spec.model_copy(update={"layout": "TF"})
    np.testing.assert_array_equal(features_of(sound, 8000, turned), found.T)


def test_frames_in_blocks_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound of an hour takes no more memory than its samples and its features."""
    sound, spec = tone(16000, 0.5).astype(np.float32), Features(**WHISPER)
    whole = features_of(sound, 16000, spec)
    monkeypatch.setattr(features, "_AT_ONCE", 1600)
    np.testing.assert_array_equal(features_of(sound, 16000, spec), whole)


def test_a_tone_is_loudest_in_its_band() -> None:
    """At its frequency, and higher ones in later bands; with mfcc the first coefficient says how loud it is."""
    spec = Features(n_fft=512, hop_length=128, n_mels=40, log="db")
    peaks = [
        features_of(tone(16000, 0.2, hertz).astype(np.float32), 16000, spec).mean(1).argmax()
        for hertz in (300, 900, 2700)
    ]
    assert sorted(set(peaks)) == peaks
    noise, cosines = np.random.default_rng(0).standard_normal(4000), spec.model_copy(update={"n_mfcc": 5})
    loud, soft = (features_of((part * noise).astype(np.float32), 16000, cosines) for part in (1.0, 0.1))
    np.testing.assert_allclose(loud[0] - soft[0], 20 * np.sqrt(40), rtol=1e-5)
    np.testing.assert_allclose(loud[1:], soft[1:], atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"win_length": 401}, "win_length 401 is over n_fft 400"),
        ({"n_mels": None}, "mel_norm, mel_scale: stands beside n_mels"),
        ({"n_mfcc": 81}, "n_mfcc 81 is over n_mels 80"),
        ({"log": "none"}, "stand beside log"),
        ({"mean": (1.0, 2.0)}, "mean has 2 values for 80"),
        ({"std": (0.0,)}, "greater than 0"),
        ({"n_fft": 2**20}, "less than or equal"),
        ({"power": 3}, "Input should be 1 or 2"),
    ],
)
def test_steps_that_do_not_agree(changes: dict[str, Any], reason: str) -> None:
    """They are refused with a reason."""
    with pytest.raises(ValidationError, match=reason):
        Features(**WHISPER | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"length": None}, "length is missing"),
        ({"length": 200}, "too short"),
        ({"rate": 2_000_000}, "less than or equal"),
        ({"features": Features(**WHISPER | {"f_max": 9000.0})}, "bands from 0 to 9000 Hz are not within 0 to 8000"),
        ({"features": Features(**WHISPER | {"f_min": 8000.0})}, "bands from 8000 to 8000 Hz"),
        ({"length": 2**25, "features": Features(**WHISPER | {"hop_length": 1})}, "more than a phone computes"),
        ({"length": 2**25 + 1}, "less than or equal"),
    ],
)
def test_sounds_that_cannot_be(changes: dict[str, Any], reason: str) -> None:
    """They are refused with a reason, those of a manifest that would exhaust a phone, too."""
    given: dict[str, Any] = {"rate": 16000, "length": 16000, "features": Features(**WHISPER)}
    with pytest.raises(ValidationError, match=reason):
        Audio(**given | changes)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ([("batch", 80, 100)], ""),
        ([(1, 1, 80, 100)], ""),
        ([("batch", 100, 80)], r"must be \[batch, 80, 100\] or \[batch, 1, 80, 100\] after \[audio.features\]"),
        ([("batch", "frames", 80)], "must be"),
        ([("batch", 80, 100), ("batch", 4)], "one input"),
    ],
)
def test_inputs_that_sounds_become(shapes: list[tuple[int | str, ...]], reason: str) -> None:
    """The shape must be that of the features, with or without a channel."""
    audio = Audio(rate=16000, length=16000, features=Features(**WHISPER))
    faults = sound_faults(audio, tuple(TensorSpec(name=f"x{n}", shape=shape) for n, shape in enumerate(shapes)))
    assert len(faults) == bool(reason)
    assert all(re.search(reason, fault) for fault in faults)


def test_a_length_that_is_left_to_the_input() -> None:
    """Is in the manifest all the same: an app derives nothing."""
    inputs = (TensorSpec(name="wave", shape=("batch", 1, 800)),)
    assert completed(Audio(rate=8000), inputs) == Audio(rate=8000, length=800)
    assert completed(Audio(rate=8000, length=800), inputs).length == 800
    assert sound_faults(Audio(rate=8000, length=900), inputs)


def test_folders_of_sounds_become_features(tmp_path: Path) -> None:
    """As rows that are made when they are asked for; what is no sound is refused."""
    audio = Audio(rate=16000, length=1600, features=Features(n_fft=256, hop_length=128, n_mels=20, log="natural"))
    inputs = (TensorSpec(name="sound", shape=("batch", 1, 20, 13)),)
    for name in ("no", "yes"):
        write(tmp_path / "sounds" / name / "1.wav", tone(8000), 8000)
    found = read(tmp_path / "sounds", inputs=inputs, audio=audio).samples
    assert found.inputs["sound"].shape == (2, 1, 20, 13)
    np.testing.assert_array_equal(found.inputs["sound"][:][0, 0], of_file(tmp_path / "sounds/no/1.wav", audio))
    with pytest.raises(DataError, match="do not become what the model takes"):
        read(tmp_path / "sounds", inputs=(TensorSpec(name="sound", shape=("batch", 13, 20)),), audio=audio)
