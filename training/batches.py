"""Batches of similar length: texts are sorted, cut by a token budget, and the batches shuffled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.preparation import prepare
from training.rows import Row, label_matrix, sentiment_indices

PAD = 1
_END = 2


@dataclass
class Batch:
    """Tensors of one step; ids and mask are [batch, tokens], labels [batch, 13]."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    sentiment: Tensor
    weight: Tensor
    source: Tensor
    group: Tensor


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of the prepared texts, cut at `max_tokens` with the end mark kept."""
    encodings = tokenizer.encode_batch_fast([prepare(text).text for text in texts])
    return [cut(encoding.ids, max_tokens) for encoding in encodings]


def cut(ids: list[int], max_tokens: int) -> list[int]:
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], _END]


def plan(
    lengths: Sequence[int],
    token_budget: int,
    max_rows: int,
    seed: int,
    groups: Sequence[str] = (),
) -> list[list[int]]:
    """Row indices of each batch: at most `max_rows` rows and `token_budget` padded tokens.

    Rows of one group (an empty name is none) are sorted as their longest, so that they stay
    together.
    """
    chance = random.Random(seed)
    lengths = _group_lengths(lengths, groups) if groups else lengths
    place = {group: chance.random() for group in groups}
    keys = [place[g] if g else chance.random() for g in groups or [""] * len(lengths)]
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], keys[i]))
    batches: list[list[int]] = []
    current: list[int] = []
    for i in order:
        if current and (len(current) == max_rows or lengths[i] * (len(current) + 1) > token_budget):
            batches.append(current)
            current = []
        current.append(i)
    if current:
        batches.append(current)
    chance.shuffle(batches)
    return batches


def _group_lengths(lengths: Sequence[int], groups: Sequence[str]) -> list[int]:
    longest: dict[str, int] = {}
    for length, group in zip(lengths, groups, strict=True):
        longest[group] = max(length, longest.get(group, 0))
    return [
        longest[group] if group else length for length, group in zip(lengths, groups, strict=True)
    ]


def pad(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask as tensors [rows, longest]."""
    longest = max(map(len, ids))
    padded = np.full((len(ids), longest), PAD, np.int64)
    mask = np.zeros((len(ids), longest), np.int64)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return torch.from_numpy(padded), torch.from_numpy(mask)


def make_batch(rows: list[Row], ids: list[list[int]], sources: dict[str, int]) -> Batch:
    padded, mask = pad(ids)
    return Batch(
        padded,
        mask,
        torch.from_numpy(label_matrix(rows)),
        torch.from_numpy(sentiment_indices(rows)),
        torch.tensor([row.weight for row in rows]),
        torch.tensor([sources[row.source] for row in rows]),
        _group_numbers(rows),
    )


def _group_numbers(rows: list[Row]) -> Tensor:
    """The same number for rows of one group, -1 for rows of none."""
    numbers = {group: i for i, group in enumerate({row.group for row in rows if row.group})}
    return torch.tensor([numbers.get(row.group, -1) for row in rows])
