"""The evaluation report of a model folder on test rows: one dictionary, from what the user runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from model.manifest import BALANCED, FEW_FALSE_ALARMS
from training.calibrate import column_of
from training.corpora import RELABELLED
from training.data import Data
from training.export import customer_rows, verdict_probabilities
from training.metrics import (
    Estimate,
    auroc,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1,
    macro_f1,
    rate,
)
from training.rows import Row, label_matrix, sentiment_indices
from training.suites import identity_suite, obfuscation_suite
from training.vectors import complaint_pairs, precision_at_recall

Probabilities = NDArray[np.float32]
_MOST_CORPUS_ROWS = 600
_MIN_ROWS = 20
_MIN_CLASS = 5


def evaluate(classifier: Classifier, data: Data) -> dict[str, Any]:
    """All figures of the released model at its shipped thresholds."""
    written = [row for row in data.test if row.source == "own"]
    real = [row for row in data.test if row.source == RELABELLED]
    report: dict[str, Any] = {"model": classifier.version}
    for name, rows in (("written", written), ("real", real)):
        if rows:
            report[name] = _customer_report(classifier, rows)
    report["corpora"] = _corpora_report(classifier, data)
    toxic_pool = customer_rows(data.test)
    report["obfuscation"] = obfuscation_suite(classifier, toxic_pool)
    report["identity"] = identity_suite(classifier)
    report["same_complaint"] = _vector_report(classifier, written)
    return report


def _customer_report(classifier: Classifier, rows: list[Row]) -> dict[str, Any]:
    probabilities = verdict_probabilities(classifier, [row.text for row in rows])
    report = customer_metrics(rows, probabilities, classifier.manifest.thresholds)
    report["review"] = _review(classifier, rows)
    report["groups"] = {
        key: customer_metrics([rows[i] for i in members], probabilities[members],
                              classifier.manifest.thresholds, brief=True)
        for key, members in _groups(rows)
    }  # fmt: skip
    return report


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, list[int]]]:
    keys: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        keys.setdefault(row.language, []).append(i)
        if row.dialect:
            keys.setdefault(f"{row.language} {row.dialect}", []).append(i)
    return ((key, keys[key]) for key in sorted(keys) if len(keys[key]) >= _MIN_ROWS)


def customer_metrics(
    rows: list[Row],
    probabilities: Probabilities,
    thresholds: dict[str, dict[str, float]],
    brief: bool = False,
) -> dict[str, Any]:
    """Per label AUROC, average precision, F1, ECE; false alarms on fair rows; sentiment."""
    labels = label_matrix(rows)
    fair = np.array([row.is_fair for row in rows])
    balanced = {name: thresholds[name][BALANCED] for name in LABELS}
    flagged = np.column_stack([probabilities[:, column_of(n)] >= balanced[n] for n in LABELS])
    report: dict[str, Any] = {"rows": len(rows)}
    names = LABELS if brief else (*LABELS, *THREAT_KINDS, *SIGNS)
    report["labels"] = {
        name: _label_metrics(labels, probabilities, name, thresholds[name][BALANCED], brief)
        for name in names
    }
    known = ~np.isnan(labels[:, :3]).any(1)
    report["macro_f1"] = _estimate(_macro_f1, labels[known, :3], flagged[known].astype(float))
    report["false_alarms"] = _estimate(rate, flagged[fair].any(1).astype(float))
    if not brief:
        report["few_false_alarms"] = {
            name: _menu_entry(labels, probabilities, fair, name, thresholds[name][FEW_FALSE_ALARMS])
            for name in LABELS
        }
    truth = sentiment_indices(rows)
    predicted = probabilities[:, -len(SENTIMENTS) :].argmax(1)
    report["sentiment_macro_f1"] = _estimate(macro_f1, truth[truth >= 0], predicted[truth >= 0])
    return report


def _macro_f1(truth: NDArray[np.floating], flagged: NDArray[np.floating]) -> float:
    return float(np.mean([f1(truth[:, i], flagged[:, i]) for i in range(truth.shape[1])]))


def _label_metrics(
    labels: NDArray[np.float32],
    probabilities: Probabilities,
    name: str,
    threshold: float,
    brief: bool,
) -> dict[str, Any]:
    column = column_of(name)
    known = ~np.isnan(labels[:, column])
    truth, score = labels[known, column], probabilities[known, column]
    report: dict[str, Any] = {"positives": int(truth.sum())}
    if min(truth.sum(), (1 - truth).sum()) < _MIN_CLASS:
        return report
    report["auroc"] = _estimate(auroc, truth, score)
    report["f1"] = _estimate(f1, truth, (score >= threshold).astype(float))
    if not brief:
        report["average_precision"] = _estimate(average_precision, truth, score)
        report["ece"] = round(expected_calibration_error(truth, score), 4)
    return report


def _menu_entry(
    labels: NDArray[np.float32],
    probabilities: Probabilities,
    fair: NDArray[np.bool_],
    name: str,
    threshold: float,
) -> dict[str, float]:
    column = column_of(name)
    flagged = probabilities[:, column] >= threshold
    return {
        "threshold": threshold,
        "recall": round(rate(flagged[labels[:, column] == 1]), 4),
        "false_alarms": round(rate(flagged[fair]), 4),
    }


def _review(classifier: Classifier, rows: list[Row]) -> dict[str, float]:
    """Share of rows that need review, and the share of the rows with a wrong label among them."""
    verdicts = classifier.score([row.text for row in rows])
    review = np.array([v.needs_review for v in verdicts])
    wrong = np.array(
        [
            set(v.labels) != {n for n in LABELS if r.labels.get(n)}
            for v, r in zip(verdicts, rows, strict=True)
        ]
    )
    return {"share": round(rate(review), 4), "errors_found": round(rate(review[wrong]), 4)}


def _corpora_report(classifier: Classifier, data: Data) -> dict[str, Any]:
    """Abuse and sentiment by corpus on test rows (at most 600 each); the threshold is of its dev rows."""
    report = {}
    sources = sorted({row.source for row in data.test} - {"own", RELABELLED})
    for source in (*sources, "osact4_offenseval2020_ar"):
        test = [row for row in data.test if row.source == source][:_MOST_CORPUS_ROWS]
        dev = [row for row in data.dev if row.source == source][: 2 * _MOST_CORPUS_ROWS]
        if dev and (test or source not in sources):
            report[source] = _corpus_metrics(classifier, dev, test)
    return report


def _corpus_metrics(classifier: Classifier, dev: list[Row], test: list[Row]) -> dict[str, Any]:
    measured = test or dev
    split = "test" if test else "dev"
    dev_scores, scores = (
        verdict_probabilities(classifier, [row.text for row in rows]) for rows in (dev, measured)
    )
    entry: dict[str, Any] = {"rows": len(measured), "split": split}
    column = column_of("abuse")
    truth = label_matrix(measured)[:, column]
    known = ~np.isnan(truth)
    if len(set(truth[known])) == 2:
        threshold = _best_macro_threshold(label_matrix(dev)[:, column], dev_scores[:, column])
        flagged = (scores[known, column] >= threshold).astype(float)
        entry["abuse_auroc"] = _estimate(auroc, truth[known], scores[known, column])
        entry["abuse_macro_f1"] = _estimate(macro_f1, truth[known], flagged)
    feeling = sentiment_indices(measured)
    if (feeling >= 0).sum() >= _MIN_ROWS:
        predicted = scores[:, -len(SENTIMENTS) :].argmax(1)
        entry["sentiment_macro_f1"] = _estimate(
            macro_f1, feeling[feeling >= 0], predicted[feeling >= 0]
        )
    return entry


def _best_macro_threshold(truth: NDArray[np.float32], score: NDArray[np.float32]) -> float:
    known = ~np.isnan(truth)
    if len(set(truth[known])) < 2:
        return 0.5
    candidates = np.linspace(0.02, 0.98, 97)
    return float(
        max(candidates, key=lambda t: macro_f1(truth[known], (score[known] >= t).astype(float)))
    )


def _vector_report(classifier: Classifier, rows: list[Row]) -> dict[str, float]:
    pairs = list(complaint_pairs(rows))
    if not pairs:
        return {}
    vectors = np.stack([v.vector for v in classifier.score([row.text for row in rows])])
    left, right, same = (np.array(column) for column in zip(*pairs, strict=True))
    similarity = (vectors[left] * vectors[right]).sum(1).astype(np.float64)
    return {
        "same": int(same.sum()),
        "different": int((~same).sum()),
        "auroc": round(auroc(same.astype(float), similarity), 4),
        "precision_at_recall_0.6": round(precision_at_recall(same, similarity, 0.6), 4),
    }


def _estimate(metric: Callable[..., float], *arrays: NDArray[Any]) -> dict[str, float] | None:
    estimate: Estimate | None = bootstrap(metric, *arrays)
    return estimate.as_dict() if estimate else None
