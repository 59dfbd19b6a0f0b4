"""Metrics with bootstrap intervals; all take numpy arrays over rows.

A report draws hundreds of thousands of resamples, so the two commonest metrics are counted directly;
tests hold them to scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, f1_score

Array = NDArray[np.floating] | NDArray[np.bool_]
_RESAMPLES = 300
_BINS = 10
MIN_CLASS = 5
"""Fewer rows of a class give no figure."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % bootstrap interval, and the rows it is of."""

    value: float
    low: float
    high: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        return {
            "value": round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "rows": self.rows,
        }


def bootstrap(
    metric: Callable[..., float],
    *arrays: NDArray[np.generic],
    clusters: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Estimate | None:
    """The metric over the arrays' rows with a percentile interval (300 resamples).

    Rows of one cluster (a situation) are alike, so whole clusters are drawn (Field and Welsh 2007);
    without `clusters` each row is one. None where the metric is undefined (no rows, a single class).
    """
    rows = len(arrays[0])
    value = metric(*arrays) if rows else np.nan
    if np.isnan(value):
        return None
    chance = np.random.default_rng(seed)
    members = _members(np.arange(rows) if clusters is None else clusters)
    draws = []
    for _ in range(_RESAMPLES):
        drawn = chance.integers(0, len(members), len(members))
        pick = np.concatenate([members[i] for i in drawn])
        draws.append(metric(*(array[pick] for array in arrays)))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high), rows)


def _members(clusters: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    """Row numbers of each cluster."""
    order = np.argsort(clusters, kind="stable")
    _, starts = np.unique(clusters[order], return_index=True)
    return np.split(order, starts[1:])


def auroc(truth: Array, score: Array) -> float:
    """Chance that a positive row ranks above a negative one (Mann and Whitney 1947)."""
    if not _has_both(truth):
        return np.nan
    positive = truth.astype(bool)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    above = rankdata(score)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def average_precision(truth: Array, score: Array) -> float:
    return float(average_precision_score(truth, score)) if _has_both(truth) else np.nan


def _has_both(truth: Array) -> bool:
    return bool(truth.any()) and not bool(truth.all())


def f1(truth: Array, predicted: Array) -> float:
    """F1 of the positive class."""
    right, positive = truth.astype(bool), predicted.astype(bool)
    if not right.any():
        return np.nan
    return float(2 * (right & positive).sum() / (right.sum() + positive.sum()))


def macro_f1(truth: NDArray[np.generic], predicted: NDArray[np.generic]) -> float:
    """Macro-average of F1 over the classes that occur in the truth."""
    labels = np.unique(truth)
    if len(labels) < 2:
        return np.nan
    return float(f1_score(truth, predicted, average="macro", labels=labels, zero_division=0.0))


def rate(flags: Array) -> float:
    return float(np.mean(flags)) if len(flags) else np.nan


def expected_calibration_error(truth: Array, score: Array) -> float:
    """Mean gap between probability and frequency over ten bins of equal width (Naeini 2015)."""
    if not len(truth):
        return np.nan
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(truth[bins == b].mean() - score[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(sum(gaps))
