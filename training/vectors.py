"""The sentence vector: a projection of pooled states in which the same complaint comes near.

It is learned with the judgement by a small contrastive loss (`training.fit`) and finished here with
the encoder frozen. Messages of one situation (the same matter in other words) belong together.
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

from training.loss import same_complaint_loss
from training.mixture import text_key
from training.network import Network
from training.rows import Row

_TEMPERATURE = 0.07
_BATCH = 96
_STEPS = 400
_RATE = 3e-4
_ALIKE = 0.5


def fit_projection(network: Network, rows: list[Row], features: Tensor, seed: int = 7) -> None:
    """Fit `network.project` further on features [rows, 768], encoder frozen.

    Half of each batch's situations are of one industry: they are the hard ones to tell apart.
    """
    situations = _situations(rows)
    if len(situations) < 2:
        return
    optimizer = torch.optim.AdamW(network.project.parameters(), lr=_RATE, weight_decay=0.0)
    chance = random.Random(seed)
    for _ in range(_STEPS):
        chosen = _draw(situations, rows, chance)
        members = [i for group in chosen for i in chance.sample(situations[group], 2)]
        groups = torch.arange(len(chosen)).repeat_interleave(2)
        vectors = network.vectors(features[torch.tensor(members)])
        loss = same_complaint_loss(vectors, groups, _TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _situations(rows: list[Row]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        groups[row.group].append(i)
    return [members for members in groups.values() if len(members) > 1]


def _draw(situations: list[list[int]], rows: list[Row], chance: random.Random) -> list[int]:
    """Numbers of the situations of one batch."""
    industry = rows[chance.choice(situations)[0]].industry
    alike = [n for n, members in enumerate(situations) if rows[members[0]].industry == industry]
    alike = chance.sample(alike, min(len(alike), _BATCH // 2))
    others = chance.sample(range(len(situations)), min(len(situations), _BATCH - len(alike)))
    return list(dict.fromkeys([*alike, *others]))


def complaint_pairs(rows: list[Row], seed: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Index pairs with whether they are the same complaint.

    Same: two messages of one situation that share less than half of their words (near-copies prove
    nothing). Different: for each, one message of another situation of the same industry, the
    hardest that the data has; so there are as many different pairs as same ones.
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
            if others:
                yield a, b, True
                yield a, chance.choice(others), False


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def precision_at_recall(
    same: NDArray[np.bool_], similarity: NDArray[np.float64], recall: float
) -> float:
    """Precision where at least `recall` of the same-complaint pairs are found."""
    threshold = -np.quantile(-similarity[same], recall, method="inverted_cdf")
    found = similarity >= threshold
    return float(same[found].mean())
