"""Calibration, thresholds and what needs review: all chosen on dev rows, none on test rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.classifier import chance_of_error
from model.labels import LABELS, OUTPUTS, SENTIMENTS, YES_NO
from model.manifest import BALANCED, FEW_FALSE_ALARMS
from training.graph import Calibration
from training.rows import Row, label_matrix, sentiment_indices

Array = NDArray[np.float64]
_MIN_POSITIVES = 15
_BALANCED_FALSE_ALARMS = 0.05
_FEW_FALSE_ALARMS = 0.009
_REVIEW_SHARE = 0.095
_NEAR_BEST = 0.009
_GRID = np.concatenate([np.arange(0.1, 0.9, 0.025), np.arange(0.9, 0.999, 0.01)])
_SENTIMENT_SCALES = np.linspace(0.4, 1.6, 25)


@dataclass(frozen=True)
class Thresholds:
    """The menu by label, and the chance of a wrong label above which a verdict needs review."""

    menu: dict[str, dict[str, float]]
    review_above: float


def logit(probability: NDArray[np.generic]) -> Array:
    clipped = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))


def uncalibrated(
    probabilities: NDArray[np.generic], scale: float, shift: float
) -> NDArray[np.float64]:
    """The probabilities that one output had before its calibration."""
    return np.asarray(1 / (1 + np.exp(-(logit(probabilities) - shift) / scale)))


def fit_calibration(rows: list[Row], probabilities: NDArray[np.float32]) -> Calibration:
    """Platt scaling of each yes/no output and one temperature for the sentiment.

    Platt 1999: logistic regression of the label on the logit, without a penalty to speak of. An
    output with fewer than 15 positives in dev keeps its probabilities.
    """
    calibration = Calibration.identity()
    labels = label_matrix(rows)
    for column in range(len(YES_NO)):
        known = ~np.isnan(labels[:, column])
        truth = labels[known, column]
        if truth.sum() >= _MIN_POSITIVES and (1 - truth).sum() >= _MIN_POSITIVES:
            regression = LogisticRegression(C=1e3)
            regression.fit(logit(probabilities[known, column])[:, None], truth)
            calibration.scale[column] = regression.coef_[0, 0]
            calibration.shift[column] = regression.intercept_[0]
    calibration.scale[-len(SENTIMENTS) :] = _sentiment_scale(rows, probabilities)
    return calibration


def _sentiment_scale(rows: list[Row], probabilities: NDArray[np.float32]) -> float:
    """Inverse temperature (Guo et al. 2017) with the highest likelihood on the rows."""
    truth = sentiment_indices(rows)
    known = truth >= 0
    logs = np.log(np.clip(probabilities[known, -len(SENTIMENTS) :].astype(np.float64), 1e-9, 1))
    truth = truth[known]

    def likelihood(scale: float) -> float:
        scaled = logs * scale
        return float((scaled[np.arange(len(truth)), truth] - np.log(np.exp(scaled).sum(1))).mean())

    return float(max(_SENTIMENT_SCALES, key=likelihood)) if len(truth) else 1.0


def choose_thresholds(rows: list[Row], probabilities: NDArray[np.float32]) -> Thresholds:
    """The threshold menu on dev rows with calibrated probabilities [rows, 16].

    `balanced` maximises F1; of the three labels, their macro-F1 among thresholds that together flag
    at most 5 % of the fair rows, of the written ones and of the real ones. `few_false_alarms` is
    the lowest that flags at most 0.9 % of the fair rows for the label, and not below `balanced`
    (both limits a little inside what is aimed at, 6 % and 1 %, because dev rows are few).
    """
    labels = label_matrix(rows)
    fair = np.array([row.is_fair for row in rows])
    written = np.array([row.source == "own" for row in rows])
    menu: dict[str, dict[str, float]] = {}
    for column, name in enumerate(YES_NO):
        known = ~np.isnan(labels[:, column])
        best = _best_f1(labels[known, column], probabilities[known, column])
        menu[name] = {BALANCED: best}
    _limit_false_alarms(menu, labels, probabilities, [fair & written, fair & ~written])
    for column, name in enumerate(LABELS):
        few = _few_false_alarms(probabilities[fair, column])
        menu[name][FEW_FALSE_ALARMS] = max(few, menu[name][BALANCED])
    return Thresholds(menu, _review_above(menu, probabilities, [written, ~written]))


def _rounded(value: float) -> float:
    return round(min(max(value, 0.001), 0.999), 4)


def _rounded_up(value: float) -> float:
    """Above the value, so that a row that lies on it is not flagged."""
    return _rounded((math.floor(value * 10_000) + 1) / 10_000)


def _best_f1(truth: Array, score: NDArray[np.float32]) -> float:
    """Threshold of the highest F1, halfway through the run of near-best ones (flat tops are noise)."""
    if truth.sum() < _MIN_POSITIVES:
        return 0.5
    candidates = np.linspace(0.05, 0.95, 91)
    values = np.array([_f1(truth, score >= t) for t in candidates])
    near = candidates[values >= values.max() - 0.003]
    return _rounded(float(np.median(near)))


def _limit_false_alarms(
    menu: dict[str, dict[str, float]],
    labels: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    fair_parts: list[NDArray[np.bool_]],
) -> None:
    """Replace the three balanced thresholds by a combination of the grid that keeps the limit on
    every part and has nearly the highest macro-F1; of several, the one that moves least.
    """
    start = [menu[name][BALANCED] for name in LABELS]
    grids = [_grid(start[i], probabilities[:, i], fair_parts) for i in range(len(LABELS))]
    gains = [
        np.array([_f1(labels[:, i], probabilities[:, i] >= t) for t in grid])
        for i, grid in enumerate(grids)
    ]
    moves = [np.abs(grid - value) for grid, value in zip(grids, start, strict=True)]
    total = _outer_sum(gains)
    for part in fair_parts:
        if part.any():
            alarms = _false_alarms(probabilities[part], grids)
            total = np.where(alarms <= _BALANCED_FALSE_ALARMS, total, -1.0)
    near = total >= total.max() - _NEAR_BEST
    best = np.unravel_index(int(np.where(near, _outer_sum(moves), np.inf).argmin()), total.shape)
    for name, grid, place in zip(LABELS, grids, best, strict=True):
        menu[name][BALANCED] = float(grid[place])


def _grid(start: float, scores: NDArray[np.float32], fair_parts: list[NDArray[np.bool_]]) -> Array:
    """Thresholds to choose from; the highest flags no fair row (up to 0.999)."""
    tops = [_rounded_up(float(scores[part].max()) + 1e-6) for part in fair_parts if part.any()]
    return np.unique([_rounded(t) for t in (*_GRID, start, *tops)])


def _outer_sum(parts: list[Array]) -> Array:
    a, b, c = parts
    return np.asarray(a[:, None, None] + b[None, :, None] + c[None, None, :])


def _false_alarms(fair: NDArray[np.float32], grids: list[NDArray[np.float64]]) -> Array:
    """Share of fair rows flagged for any label, for each combination of thresholds."""
    a, b, c = (fair[:, i] >= grid[:, None] for i, grid in enumerate(grids))
    either = (a[:, None] | b[None]).reshape(-1, fair.shape[0])
    clear = (~either).astype(np.float32) @ (~c).T.astype(np.float32)
    return np.asarray(1 - clear.reshape(len(a), len(b), len(c)) / fair.shape[0])


def _f1(truth: NDArray[np.floating], flagged: NDArray[np.bool_]) -> float:
    known = ~np.isnan(truth)
    hits = float((flagged[known] * truth[known]).sum())
    return 2 * hits / max(float(flagged[known].sum() + truth[known].sum()), 1.0)


def _few_false_alarms(fair_scores: NDArray[np.float32]) -> float:
    """Lowest threshold that flags at most 0.9 % of these fair rows."""
    if not len(fair_scores):
        return 0.999
    highest = np.sort(fair_scores)[::-1]
    return _rounded_up(float(highest[int(_FEW_FALSE_ALARMS * len(highest))]) + 1e-6)


def _review_above(
    menu: dict[str, dict[str, float]],
    probabilities: NDArray[np.float32],
    parts: list[NDArray[np.bool_]],
) -> float:
    """The lowest limit at which no part has more than its share of rows to review."""
    thresholds = np.array([menu[name][BALANCED] for name in LABELS])
    chances = chance_of_error(probabilities[:, : len(LABELS)], thresholds)
    limits = [
        np.quantile(chances[part], 1 - _REVIEW_SHARE, method="higher")
        for part in parts
        if part.any()
    ]
    return _rounded_up(float(max(limits)))


def column_of(name: str) -> int:
    return OUTPUTS.index(name)
