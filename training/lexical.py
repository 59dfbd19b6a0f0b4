"""The lexical part: a linear model on pieces and pairs of neighbouring pieces, beside the network.

It errs on other texts than the network, so the sum of their logits ranks better than either. It
reads the token ids that the network reads; a pair's feature is plain int64 arithmetic, so that the
ONNX graph (`training.graph`) finds the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression

from model.labels import OUTPUTS, SENTIMENTS
from training.rows import Row, label_matrix, sentiment_indices

BUCKETS = 2**18
FIRST, SECOND = 0x9E3779B1, 0x85EBCA77
"""Multipliers of the two ids of a pair, odd and below 2^32: with ids below 2^30 nothing overflows."""

MIXING_WEIGHT = 0.4
"""Of the linear model's logits beside the network's. Chosen on dev rows: 0.3 to 0.5 are as good."""

_USUAL_IDF = 7.5
"""About the root mean square idf of a text's features. Divided by it they have a norm of about 1
(the square root of their number is divided by elsewhere), for which the penalty is meant.
"""
_PENALTY = 4.0  # scikit-learn's C
_MIN_TEXTS = 2
_MIN_CLASS = 20


@dataclass(frozen=True)
class Lexical:
    """Added to the network's logits before calibration; the mixing weight is inside.

    Attributes:
        table: float32 [vocabulary + 2^18, 16], what each feature adds: pieces first, then the
            buckets of pairs.
        bias: float32 [16].
    """

    table: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def vocabulary(self) -> int:
        return len(self.table) - BUCKETS

    def logits(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits [texts, 16] of token ids with begin and end marks: the sum of a text's features'
        rows by the square root of their number.
        """
        return np.asarray(features(ids, self.vocabulary) @ self.table + self.bias, np.float32)

    def save(self, path: Path) -> None:
        """A kill leaves the whole file or none."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, table=self.table, bias=self.bias)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Lexical:
        with np.load(path) as kept:
            return cls(kept["table"], kept["bias"])


def features(ids: Sequence[Sequence[int]], vocabulary: int) -> csr_matrix:
    """Counts [texts, vocabulary + 2^18] of pieces and hashed pairs, by the square root of their sum."""
    lengths = np.array([len(text) for text in ids])
    text = np.repeat(np.arange(len(ids)), lengths)
    pieces = np.concatenate([np.asarray(row, np.int64) for row in ids])
    together = text[:-1] == text[1:]
    pairs = (pieces[:-1] * FIRST + pieces[1:] * SECOND) % BUCKETS + vocabulary
    row = np.concatenate([text, text[:-1][together]])
    column = np.concatenate([pieces, pairs[together]])
    value = (1 / np.sqrt(2 * lengths - 1)).astype(np.float32)[row]  # n pieces have n - 1 pairs
    return csr_matrix((value, (row, column)), shape=(len(ids), vocabulary + BUCKETS))


def fit_lexical(rows: list[Row], ids: Sequence[Sequence[int]], vocabulary: int) -> Lexical:
    """Fit one logistic regression per output on the rows that tell it.

    Features weigh by their idf; those of a single text are left out. An output with fewer than 20
    rows of a class adds nothing.

    Args:
        rows: with their labels; a row's loss has its weight.
        ids: token ids of each row's text, with begin and end marks.
        vocabulary: number of pieces; ids are below it.
    """
    counts = features(ids, vocabulary)
    texts = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(texts >= _MIN_TEXTS)
    idf = (np.log((1 + len(rows)) / (1 + texts[kept])) + 1) / _USUAL_IDF
    scaled = csr_matrix(counts[:, kept] @ diags(idf))
    weights = np.array([row.weight for row in rows])
    table = np.zeros((counts.shape[1], len(OUTPUTS)), np.float32)
    bias = np.zeros(len(OUTPUTS), np.float32)
    for output, truth in enumerate(_targets(rows).T):
        known = ~np.isnan(truth)
        positives = truth[known].sum()
        if min(positives, known.sum() - positives) < _MIN_CLASS:
            continue
        linear = LogisticRegression(C=_PENALTY, max_iter=300, class_weight="balanced")
        linear.fit(scaled[known], truth[known], sample_weight=weights[known])
        table[kept, output] = MIXING_WEIGHT * idf * linear.coef_[0]
        bias[output] = MIXING_WEIGHT * linear.intercept_[0]
    return Lexical(table, bias)


def _targets(rows: list[Row]) -> NDArray[np.floating]:
    """1, 0 or NaN where unknown, shape [rows, 16]; each sentiment against the other two."""
    feeling = sentiment_indices(rows)[:, None]
    sentiments = np.where(feeling < 0, np.nan, feeling == np.arange(len(SENTIMENTS)))
    return np.concatenate([label_matrix(rows), sentiments], axis=1)
