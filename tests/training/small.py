"""A small base, network, run and rows, made by hand: the tests of training need no download."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from model.labels import LABELS, OUTPUTS, SIGNS, THREAT_KINDS
from training.base import Base
from training.lexical import BUCKETS, Lexical
from training.network import Network
from training.rows import Row
from training.run import SOURCES
from training.vocabulary import build_tokenizer

torch.set_num_threads(1)

WIDTH = 32
LAYERS = 9
"""One more than the layer that the sentence vector reads, so that the two states differ."""

ENGLISH = [
    "refund",
    "money",
    "late",
    "order",
    "you",
    "are",
    "agent",
    "phone",
    "broken",
    "never",
    "wait",
]
LABEL_WORDS = ["idiot", "thieves", "thanks"]
ARABIC = ["فلوسي", "الطلب", "متاخر", "نصابين", "شكرا", "خدمة", "حرامية", "انتو"]
WORDS = ENGLISH + LABEL_WORDS + ARABIC
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,!?'@ءابةتثجحخدذرزسشصضطظعغفقكلمنهويىؤئ")


def pieces() -> tuple[list[str], list[float]]:
    """A unigram vocabulary: specials, the word mark, single letters, a few whole words."""
    words = ["▁" + word for word in WORDS]
    scores = [0.0] * 4 + [-6.0] * (1 + len(LETTERS)) + [-4.0] * len(words)
    return [*SPECIALS, "▁", *LETTERS, *words], scores


@functools.cache
def tokenizer() -> Tokenizer:
    return build_tokenizer(*pieces())


def config(layers: int = LAYERS) -> BertConfig:
    made = BertConfig(
        vocab_size=len(pieces()[0]),
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=256,
        type_vocab_size=2,
        pad_token_id=1,
    )
    made._attn_implementation = "eager"
    return made


def base(seed: int = 0) -> Base:
    torch.manual_seed(seed)
    encoder = BertModel(config(), add_pooling_layer=False)
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(4)  # a fresh BertModel is nearly constant in its input
    names, scores = pieces()
    return Base(encoder, names, scores)


def network(seed: int = 0) -> Network:
    """A random network whose logits differ from text to text, in evaluation mode."""
    made = Network(base(seed).encoder, len(SOURCES))
    made.head.weight.data.mul_(4)
    return made.eval()


@functools.cache
def lexical() -> Lexical:
    """A random lexical part, whose logits differ by about 1 from text to text."""
    chance = np.random.default_rng(0)
    table = chance.normal(size=(len(pieces()[0]) + BUCKETS, len(OUTPUTS))).astype(np.float32)
    return Lexical(table, chance.normal(size=len(OUTPUTS)).astype(np.float32))


def row(text: str, *holds: str, sentiment: str | None = "neutral", **fields: Any) -> Row:
    """A row all of whose labels are known; `holds` names those that are 1."""
    names = (*LABELS, *THREAT_KINDS, *SIGNS)
    labels = {name: int(name in holds) for name in names}
    return Row(text, labels, sentiment, **{"language": "en", "industry": "shop", **fields})


def record(
    number: int, text: str, split: str = "train", *holds: str, **fields: Any
) -> dict[str, Any]:
    """A line of `datasets/messages/*.jsonl`."""
    kinds = [kind for kind in THREAT_KINDS if kind in holds]
    flags = {name: int(name in holds) for name in ("abuse", "accusation", *SIGNS)}
    return {
        "id": f"w1-01-{number}",
        "text": text,
        "language": "en",
        "dialect": "us",
        "channel": "chat",
        "industry": "shop",
        "situation": f"w1-{number // 2}",
        "split": split,
        "threat": int(bool(kinds)),
        "threat_kind": kinds,
        "sentiment": "negative" if holds else "neutral",
        **flags,
        **fields,
    }


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(text, encoding="utf-8")


def write_messages(folder: Path, records: list[dict[str, Any]]) -> Path:
    """A datasets folder with these messages; returns it."""
    write_lines(folder / "messages" / "all.jsonl", records)
    return folder


def many_records(count: int = 60) -> list[dict[str, Any]]:
    """Messages of a toy language in which two words decide two labels, over all splits."""
    made = []
    for i in range(count):
        holds = (("abuse",), ("accusation",), (), ())[i % 4]
        word = {"abuse": "idiot", "accusation": "thieves"}.get("".join(holds), "thanks")
        filler = " ".join(ENGLISH[(i * 7 + k) % len(ENGLISH)] for k in range(3))
        split = ("train", "train", "dev", "test")[(i // 4) % 4]
        fields = {"situation": f"w1-{i // 8}{split}"}
        made.append(
            record(
                i, f"{word} {filler} {chr(97 + i % 26)}{chr(97 + i // 26)}", split, *holds, **fields
            )
        )
    return made
