"""From lines of text to a bundle that carries its tokenizer, and `edgekit run` on a sentence."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit import bundles
from edgekit.cli import main
from edgekit.inspection.predict import predict
from edgekit.spec import Format, Text
from tests.unit.test_media import WORDS, tokenizer


class Opinion(nn.Module):
    """Whether a sentence praises a film: the words' weights, added up."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), 16)
        self.hidden = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)
        with torch.no_grad():
            self.words.weight[WORDS.index("good")] += 3
            self.words.weight[WORDS.index("bad")] -= 3
            self.hidden.weight.copy_(torch.eye(16))
            self.head.weight.copy_(torch.tensor([[-0.1], [0.1]]).expand(2, 16))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Give two logits."""
        seen = mask.to(torch.float32).unsqueeze(-1)
        mean = (self.words(tokens) * seen).sum(1) / seen.sum(1)
        found: Tensor = self.head(self.hidden(mean))
        return found


def test_texts_to_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A table of texts, a bundle that holds the tokenizer, and answers to a sentence and to a file with one."""
    tokenizer(tmp_path)
    rows = [
        {"text": f"{'a ' * more}{word} film{' a' * less}", "label": label}
        for label, word in enumerate(("bad", "good"))
        for more in range(4)
        for less in range(4)
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    ones = torch.ones(1, 8, dtype=torch.int64)
    built = edgekit.build(
        Opinion().eval(),
        (ones, ones),
        target="android-arm64",
        calibration="texts.jsonl",
        output="artifacts",
        labels=("bad", "good"),
        text=Text(length=8),
    )
    bundle = built.bundles[0].folder
    manifest = bundles.read(bundle)
    assert manifest.text is not None
    assert manifest.text.model_dump()["inputs"] == {"tokens": "ids", "mask": "attention_mask"}
    assert (bundle / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    assert manifest.drift.legs[-1].metrics.accuracy == 1
    capfd.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main(["run", str(bundle), "--input", "a good film", "--json"])
    assert json.loads(capfd.readouterr().out)["classes"][0]["label"] == "good"
    (tmp_path / "heard.txt").write_text("a bad film\n")
    assert predict(bundle, "heard.txt", Format.ONNX).classes[0][0] == "bad"
