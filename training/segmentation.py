"""Subword regularisation (Kudo 2018): a text is segmented into other pieces at each reading.

The pretrained vocabulary has few pieces for dialects and Arabizi, so that one more letter cuts a word
otherwise. What is learnt from many segmentations holds for spellings that were not seen (for
fine-tuning multilingual encoders: Wang et al. 2021). Messages to judge always get the likeliest one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from tokenizers import Tokenizer

from training.batches import encode

_TOKENIZERS = 24
_MISSING = (0.05, 0.25)
_NEVER = -50.0  # nats: below any way around the piece


def encode_sampled(
    tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, share: float, seed: int
) -> list[list[int]]:
    """`encode` with about `share` of the texts segmented by tokenizers of other scores, drawn anew.

    In each of these, 5 to 25 % of the pieces of two characters and more are missing, and the log
    probabilities of the others are moved by a normal deviate of one nat.
    """
    chance = random.Random(seed)
    ids = encode(tokenizer, texts, max_tokens)
    drawn = [i for i in range(len(texts)) if chance.random() < share]
    chance.shuffle(drawn)
    for first in range(min(_TOKENIZERS, len(drawn))):
        part = drawn[first::_TOKENIZERS]
        sampled = encode(_other_scores(tokenizer, chance), [texts[i] for i in part], max_tokens)
        for i, pieces in zip(part, sampled, strict=True):
            ids[i] = pieces
    return ids


def _other_scores(tokenizer: Tokenizer, chance: random.Random) -> Tokenizer:
    described = json.loads(tokenizer.to_str())
    missing = chance.uniform(*_MISSING)
    for entry in described["model"]["vocab"]:
        piece, score = entry
        if len(piece) > 1 and score < 0:  # not the marks, whose score is 0
            entry[1] = score + (_NEVER if chance.random() < missing else chance.gauss(0, 1))
    return Tokenizer.from_str(json.dumps(described))
