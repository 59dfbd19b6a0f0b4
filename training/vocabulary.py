"""Vocabulary: the base's unigram tokenizer, and its trim to the languages served.

Trimming keeps whole rows of the embedding table, so a text made of kept pieces gets the same
vectors as before, at a third of the size.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from more_itertools import chunked
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from model.preparation import prepare
from training.base import Base

_SPECIALS = 4
_UNK = 3
_MIN_COUNT = 3
_EMOJI_SCORE = -11.0


def build_tokenizer(pieces: list[str], scores: list[float]) -> Tokenizer:
    """A unigram tokenizer over prepared text: Metaspace, `<s> … </s>`, no normaliser of its own."""
    vocabulary = list(zip(pieces, scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=_UNK, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def count_pieces(base: Base, texts: Iterable[str]) -> Counter[int]:
    """How often each piece of the full vocabulary occurs in the prepared texts."""
    tokenizer = build_tokenizer(base.pieces, base.scores)
    counts: Counter[int] = Counter()
    for batch in chunked(texts, 10_000):
        for encoding in tokenizer.encode_batch_fast([prepare(t).text for t in batch]):
            counts.update(encoding.ids)
    return counts


def trim(base: Base, counts: Counter[int]) -> Base:
    """Keep the special, single-character and Arabic pieces, and those that occur in the texts.

    The order of the kept pieces stays; the encoder is changed in place.
    """
    kept = [i for i, piece in enumerate(base.pieces) if _keeps(i, piece, counts)]
    rows = base.encoder.embeddings.word_embeddings.weight.data[torch.tensor(kept)].clone()
    base.encoder.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        rows, freeze=False, padding_idx=1
    )
    base.encoder.config.vocab_size = len(kept)
    return Base(base.encoder, [base.pieces[i] for i in kept], [base.scores[i] for i in kept])


def count_emoji(texts: Iterable[str]) -> Counter[str]:
    """How often each emoji or symbol occurs in the texts."""
    return Counter(char for text in texts for char in text if _is_emoji(char))


def add_emoji(base: Base, counts: Counter[str], most: int = 300) -> Base:
    """Give the most frequent emoji that the base lacks a row each: the mean of its English name's.

    The base was built before many of today's emoji, and some of them are insults by themselves.
    """
    known = set("".join(base.pieces))
    frequent = [char for char, _ in counts.most_common() if char not in known]
    added = frequent[:most]
    if not added:
        return base
    table = base.encoder.embeddings.word_embeddings.weight.data
    tokenizer = build_tokenizer(base.pieces, base.scores)
    rows = [_mean_row(table, tokenizer, unicodedata.name(char).lower()) for char in added]
    base.encoder.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        torch.cat([table, torch.stack(rows)]), freeze=False, padding_idx=1
    )
    base.encoder.config.vocab_size += len(added)
    return Base(base.encoder, base.pieces + added, base.scores + [_EMOJI_SCORE] * len(added))


def _is_emoji(char: str) -> bool:
    return (
        unicodedata.category(char) == "So"
        and ord(char) > 0x2000
        and bool(unicodedata.name(char, ""))
    )


def _mean_row(table: torch.Tensor, tokenizer: Tokenizer, name: str) -> torch.Tensor:
    ids = tokenizer.encode(name, add_special_tokens=False).ids
    return table[torch.tensor(ids)].mean(0)


def _keeps(index: int, piece: str, counts: Counter[int]) -> bool:
    if index < _SPECIALS:
        return True
    letters = piece.lstrip("▁")
    if prepare(letters).text != letters:
        return False
    if len(letters) < 2:
        return not letters or _is_served(letters) or counts[index] > 0
    if all(map(_is_arabic, letters)):
        return counts[index] > 0
    return counts[index] >= _MIN_COUNT and all(map(_is_served, letters))


def _is_arabic(char: str) -> bool:
    return "\u0620" <= char <= "\u064a"


def _is_served(char: str) -> bool:
    """Arabic and Latin letters, digits, punctuation, symbols (emoji among them)."""
    letter = unicodedata.category(char).startswith("L")
    return not letter or _is_arabic(char) or char in "پچڤگژ" or char <= "\u017f"


def unknown_share(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """Share of pieces that are unknown over the texts, 0 to 1."""
    unknown = total = 0
    for ids in _ids(tokenizer, texts):
        unknown += ids.count(_UNK)
        total += len(ids)
    return unknown / total if total else 0.0


def _ids(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[int]]:
    for text in texts:
        yield tokenizer.encode(prepare(text).text, add_special_tokens=False).ids
