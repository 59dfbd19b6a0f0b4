"""One training row, and the label vector and mask that the loss reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.labels import SENTIMENTS, YES_NO


@dataclass
class Row:
    """A text with the labels that its source tells.

    Attributes:
        labels: yes/no labels by name; a name that is absent is unknown (masked out of the loss).
        sentiment: negative, neutral, positive, or None when unknown.
        source: corpus name, or `own` for `datasets/`.
        origin: the corpus that a relabelled text was sampled from; else the source.
        group: rows of one group never straddle splits (situation id, or the text's key).
        split: train, dev or test.
        weight: of its loss, 0 to 1.
    """

    text: str
    labels: dict[str, int]
    sentiment: str | None = None
    language: str = "other"
    dialect: str | None = None
    source: str = "own"
    group: str = ""
    split: str = "train"
    weight: float = 1.0
    id: str = ""
    industry: str = ""
    origin: str = ""

    @property
    def is_fair(self) -> bool:
        """True when none of the three labels is known to hold and all three are known."""
        return all(self.labels.get(name) == 0 for name in YES_NO[:3])


def fingerprint(rows: Iterable[Row]) -> str:
    """16 hex digits that change with any text, label, sentiment, weight or source of the rows."""
    digest = hashlib.sha256()
    for row in rows:
        fields = (row.text, sorted(row.labels.items()), row.sentiment, row.source, row.weight)
        digest.update(repr(fields).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:16]


def clusters_of(rows: Sequence[Row]) -> np.ndarray:
    """A number for each row, the same for rows of one group: what a bootstrap draws as one."""
    return np.unique([row.group or row.text for row in rows], return_inverse=True)[1]


def label_matrix(rows: list[Row]) -> np.ndarray:
    """Yes/no labels, shape [rows, 13], 1.0, 0.0 or NaN where unknown."""
    labels = [[row.labels.get(name, np.nan) for name in YES_NO] for row in rows]
    return np.array(labels, np.float32).reshape(-1, len(YES_NO))


def sentiment_indices(rows: list[Row]) -> np.ndarray:
    """Sentiment index, shape [rows], -1 where unknown."""
    indices = [SENTIMENTS.index(row.sentiment) if row.sentiment else -1 for row in rows]
    return np.array(indices, np.int64)
