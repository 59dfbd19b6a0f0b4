"""The sentence vector: a projection of pooled states, fit so that the same complaint comes near.

The encoder is frozen here, so the vector costs the judgement nothing. Positive pairs are messages of
one situation (the same matter in other words); negatives are the other situations of the batch.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from training.mixture import text_key
from training.network import Network
from training.rows import Row

_TEMPERATURE = 0.05
_BATCH = 128
_STEPS = 600
_RATE = 1e-3
_KEEP_NEAR_START = 0.02
_NEGATIVES = 10
_ALIKE = 0.5


def fit_projection(network: Network, rows: list[Row], features: Tensor, seed: int = 7) -> None:
    """Fit `network.project` on features [rows, 768] of rows with situations; InfoNCE loss.

    It starts from the principal directions, which keep what the encoder knew about meaning.
    """
    situations = _situations(rows)
    start = _principal_directions(features, network.project.out_features)
    weight = start.clone().requires_grad_()
    optimizer = torch.optim.AdamW([weight], lr=_RATE, weight_decay=0.0)
    chance = random.Random(seed)
    for _ in range(_STEPS if len(situations) > 1 else 0):
        pairs = [
            chance.sample(m, 2) for m in chance.sample(situations, min(_BATCH, len(situations)))
        ]
        left, right = (features[torch.tensor(side)] for side in zip(*pairs, strict=True))
        a, b = normalize(left @ weight.T, dim=-1), normalize(right @ weight.T, dim=-1)
        similar = a @ b.T / _TEMPERATURE
        target = torch.arange(len(pairs))
        loss = cross_entropy(similar, target) + cross_entropy(similar.T, target)
        loss = loss + _KEEP_NEAR_START * ((weight - start) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.project.weight.data.copy_(weight.data)


def _situations(rows: list[Row]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        groups[row.group].append(i)
    return [members for members in groups.values() if len(members) > 1]


def _principal_directions(features: Tensor, size: int) -> Tensor:
    centred = features - features.mean(0)
    _, _, directions = torch.linalg.svd(centred[:5000], full_matrices=False)
    if len(directions) < size:
        directions = torch.nn.init.orthogonal_(torch.empty(features.shape[1], features.shape[1]))
    kept: Tensor = directions[:size].clone()
    return kept


def complaint_pairs(rows: list[Row], seed: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Index pairs with whether they are the same complaint.

    Same: two messages of one situation that share less than half of their words (near-copies prove
    nothing). Different: for each, ten pairs of other situations of the same industry, the hardest
    that the data has.
    """
    chance = random.Random(seed)
    words = [frozenset(text_key(row.text).split()) for row in rows]
    industries: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        industries[row.industry].append(i)
    for members in _situations(rows):
        for a, b in itertools.combinations(members, 2):
            if _overlap(words[a], words[b]) >= _ALIKE:
                continue
            others = [i for i in industries[rows[a].industry] if rows[i].group != rows[a].group]
            if len(others) >= _NEGATIVES:
                yield a, b, True
                yield from ((a, i, False) for i in chance.sample(others, _NEGATIVES))


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def precision_at_recall(
    same: NDArray[np.bool_], similarity: NDArray[np.float64], recall: float
) -> float:
    """Precision where `recall` of the same-complaint pairs are found."""
    threshold = np.quantile(similarity[same], 1 - recall)
    found = similarity >= threshold
    return float(same[found].mean())
