"""Two models on the same rows: paired bootstrap over clusters, all draws at once.

A draw of clusters gives every row a weight (how often its cluster was drawn), and a figure is a
function of weights. Both models are weighed alike, so what they share cancels in their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = NDArray[np.float32]
Statistic = Callable[[Weights], Array]
"""Weights [draws, rows] to one figure a draw; NaN where a draw leaves it undefined."""

_AT_ONCE = 128
_BINS = 10


def draw_weights(clusters: NDArray[np.intp], draws: int, seed: int) -> Weights:
    """Weights [draws + 1, rows]; the first are all 1, which gives the figure itself.

    Clusters (0, 1, …) are drawn whole, as many as there are (Field and Welsh 2007).
    """
    count = int(clusters.max(initial=-1)) + 1
    if not count:
        return np.ones((draws + 1, 0), np.float32)
    chance = np.random.default_rng(seed)
    drawn = chance.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float32)
    return np.concatenate([np.ones((1, len(clusters)), np.float32), drawn[:, clusters]])


def over_draws(statistic: Statistic, weights: Weights, index: NDArray[np.intp]) -> Array:
    """The figure of each draw, on the rows of `index` (a row may occur more than once)."""
    starts = range(0, len(weights), _AT_ONCE)
    return np.concatenate([statistic(weights[i : i + _AT_ONCE][:, index]) for i in starts])


def mean_of(
    values: NDArray[np.floating] | NDArray[np.bool_], counts: NDArray[np.floating] | None = None
) -> Statistic:
    """Mean of values [rows]; with `counts`, of sums over so many values each."""
    total = np.asarray(values, np.float32)
    count = np.ones_like(total) if counts is None else np.asarray(counts, np.float32)
    return lambda weights: _ratio(weights @ total, weights @ count)


def auroc_of(truth: NDArray[np.floating], score: NDArray[np.floating]) -> Statistic:
    """Area under the ROC curve, ties by half; rows whose truth is NaN do not count."""
    order = np.argsort(score, kind="stable")
    truth, score = truth[order], score[order]
    positive = np.flatnonzero(truth == 1)
    negative = np.flatnonzero(truth == 0)
    below = np.searchsorted(score[negative], score[positive], "left")
    upto = np.searchsorted(score[negative], score[positive], "right")

    def statistic(weights: Weights) -> Array:
        ordered = weights[:, order]
        lower = np.zeros((len(weights), len(negative) + 1), np.float32)
        np.cumsum(ordered[:, negative], axis=1, out=lower[:, 1:])
        won = (ordered[:, positive] * (lower[:, below] + lower[:, upto])).sum(1, dtype=np.float64)
        return _ratio(won / 2, ordered[:, positive].sum(1, dtype=np.float64) * lower[:, -1])

    return statistic


def f1_of(truth: NDArray[np.floating], flagged: NDArray[np.bool_]) -> Statistic:
    """F1 of the positive class; rows whose truth is NaN do not count."""
    known = ~np.isnan(truth)
    hits = ((truth == 1) & flagged).astype(np.float32)
    sizes = (truth == 1).astype(np.float32) + (flagged & known)
    return lambda weights: _ratio(2 * (weights @ hits), weights @ sizes)


def calibration_error_of(truth: NDArray[np.floating], score: NDArray[np.floating]) -> Statistic:
    """Expected calibration error over ten bins of equal width (Naeini 2015)."""
    known = ~np.isnan(truth)
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    gaps = np.eye(_BINS, dtype=np.float32)[bins]
    gaps *= np.where(known, truth - score, 0)[:, None].astype(np.float32)
    counts = known.astype(np.float32)
    return lambda weights: _ratio(np.abs(weights @ gaps).sum(1), weights @ counts)


def average_of(statistics: Sequence[Statistic]) -> Statistic:
    return lambda weights: np.mean([statistic(weights) for statistic in statistics], axis=0)


def lower_bound(draws: Array, risk: float) -> float:
    """The draw below which at most a share of `risk` lies: a one-sided percentile bound.

    Percentiles, not a standard error: a worse candidate has a worse figure in every draw, so its bound
    can never be better.
    """
    return float(np.nanquantile(draws, risk, method="lower"))


def upper_bound(draws: Array, risk: float) -> float:
    """The draw above which at most a share of `risk` lies."""
    return float(np.nanquantile(draws, 1 - risk, method="higher"))


def _ratio(above: NDArray[np.floating], below: NDArray[np.floating]) -> Array:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    ratio: Array = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return ratio
