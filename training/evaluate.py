"""The evaluation report of a model folder on test rows: one dictionary, from what the user runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from model.manifest import BALANCED, FEW_FALSE_ALARMS
from training.calibrate import column_of, uncalibrated
from training.corpora import COMPANY_CORPORA, RELABELLED
from training.data import Data
from training.export import customer_rows, verdict_probabilities
from training.metrics import (
    MIN_CLASS,
    Estimate,
    auroc,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1,
    macro_f1,
    rate,
)
from training.rows import Row, clusters_of, label_matrix, sentiment_indices
from training.suites import identity_suite, obfuscation_suite
from training.vectors import complaint_pairs, precision_at_recall
from training.vocabulary import unknown_share

Probabilities = NDArray[np.float32]
_MOST_CORPUS_ROWS = 600
_MIN_ROWS = 20
_MOST_TEXTS = 2_000


def evaluate(classifier: Classifier, data: Data) -> dict[str, Any]:
    """All figures of the released model at its shipped thresholds."""
    parts = customer_parts(data.test)
    report: dict[str, Any] = {"model": classifier.version}
    report |= {name: _customer_report(classifier, rows) for name, rows in parts.items()}
    report["corpora"] = _corpora_report(classifier, data)
    toxic_pool = customer_rows(data.test)
    report["obfuscation"] = obfuscation_suite(classifier, toxic_pool)
    report["identity"] = identity_suite(classifier)
    report["same_complaint"] = _vector_report(classifier, parts.get("written", []))
    report["unknown_pieces"] = _unknown_pieces(classifier, data.test)
    return report


def customer_parts(rows: list[Row]) -> dict[str, list[Row]]:
    """Customer rows in three parts: `written`, `reviews` (real messages to companies), and
    `comments` (real threat candidates and Arabizi); empty ones are left out.
    """
    parts: dict[str, list[Row]] = {"written": [], "reviews": [], "comments": []}
    for row in customer_rows(rows):
        real = "reviews" if row.origin in COMPANY_CORPORA else "comments"
        parts["written" if row.source == "own" else real].append(row)
    return {name: members for name, members in parts.items() if members}


def _unknown_pieces(classifier: Classifier, rows: list[Row]) -> dict[str, float]:
    """Share of unknown pieces by language and dialect, over test rows of every source."""
    groups = {key: [rows[i].text for i in members] for key, members in _groups(rows)}
    return {
        key: round(unknown_share(classifier.tokenizer, texts[:_MOST_TEXTS]), 5)
        for key, texts in groups.items()
    }


def _customer_report(classifier: Classifier, rows: list[Row]) -> dict[str, Any]:
    probabilities = verdict_probabilities(classifier, [row.text for row in rows])
    report = customer_metrics(rows, probabilities, classifier.manifest.thresholds)
    for name in LABELS:
        report["labels"][name]["ece_before"] = _ece_before(classifier, rows, probabilities, name)
    report["review"] = _review(classifier, rows)
    report["groups"] = {
        key: customer_metrics([rows[i] for i in members], probabilities[members],
                              classifier.manifest.thresholds, brief=True)
        for key, members in _groups(rows)
    }  # fmt: skip
    return report


def _ece_before(
    classifier: Classifier, rows: list[Row], probabilities: Probabilities, name: str
) -> float:
    column = column_of(name)
    truth = label_matrix(rows)[:, column]
    known = ~np.isnan(truth)
    before = uncalibrated(probabilities[known, column], *classifier.manifest.calibration[name])
    return round(expected_calibration_error(truth[known], before), 4)


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
    """Per label AUROC, average precision, F1, ECE; false alarms on fair rows; sentiment.

    Macro-F1 is over those of the three labels that have at least five positives. `brief` leaves out
    kinds of threat, signs and the second threshold.
    """
    labels = label_matrix(rows)
    clusters = clusters_of(rows)
    fair = np.array([row.is_fair for row in rows])
    balanced = {name: thresholds[name][BALANCED] for name in LABELS}
    flagged = np.column_stack([probabilities[:, column_of(n)] >= balanced[n] for n in LABELS])
    report: dict[str, Any] = {"rows": len(rows)}
    names = LABELS if brief else (*LABELS, *THREAT_KINDS, *SIGNS)
    report["labels"] = {
        name: _label_metrics(
            labels[:, column_of(name)],
            probabilities[:, column_of(name)],
            clusters,
            thresholds[name][BALANCED],
        )
        for name in names
    }
    for column, name in enumerate(LABELS):
        report["labels"][name]["false_alarms"] = _share(flagged[fair, column])
    known = ~np.isnan(labels[:, :3]).any(1)
    enough = labels[known, :3].sum(axis=0) >= MIN_CLASS
    report["macro_f1_of"] = [name for name, seen in zip(LABELS, enough, strict=True) if seen]
    report["macro_f1"] = _estimate(
        _macro_f1,
        labels[known][:, :3][:, enough],
        flagged[known][:, enough].astype(float),
        clusters=clusters[known],
    )
    report["false_alarms"] = _estimate(
        rate, flagged[fair].any(1).astype(float), clusters=clusters[fair]
    )
    if not brief:
        report["few_false_alarms"] = {
            name: _menu_entry(labels, probabilities, fair, name, thresholds[name][FEW_FALSE_ALARMS])
            for name in LABELS
        }
    truth = sentiment_indices(rows)
    predicted = probabilities[:, -len(SENTIMENTS) :].argmax(1)
    report["sentiment_macro_f1"] = _estimate(
        macro_f1, truth[truth >= 0], predicted[truth >= 0], clusters=clusters[truth >= 0]
    )
    return report


def _macro_f1(truth: NDArray[np.floating], flagged: NDArray[np.floating]) -> float:
    if not truth.shape[1]:
        return np.nan
    return float(np.mean([f1(truth[:, i], flagged[:, i]) for i in range(truth.shape[1])]))


def _label_metrics(
    labels: NDArray[np.float32],
    scores: NDArray[np.float32],
    clusters: NDArray[np.intp],
    threshold: float,
) -> dict[str, Any]:
    known = ~np.isnan(labels)
    truth, score, cluster = labels[known], scores[known], clusters[known]
    report: dict[str, Any] = {"positives": int(truth.sum())}
    if min(truth.sum(), (1 - truth).sum()) < MIN_CLASS:
        return report
    flagged = (score >= threshold).astype(float)
    report["auroc"] = _estimate(auroc, truth, score, clusters=cluster)
    report["f1"] = _estimate(f1, truth, flagged, clusters=cluster)
    report["average_precision"] = _estimate(average_precision, truth, score, clusters=cluster)
    report["ece"] = round(expected_calibration_error(truth, score), 4)
    return report


def _menu_entry(
    labels: NDArray[np.float32],
    probabilities: Probabilities,
    fair: NDArray[np.bool_],
    name: str,
    threshold: float,
) -> dict[str, float | None]:
    column = column_of(name)
    flagged = probabilities[:, column] >= threshold
    return {
        "threshold": threshold,
        "recall": _share(flagged[labels[:, column] == 1]),
        "false_alarms": _share(flagged[fair]),
    }


def _review(classifier: Classifier, rows: list[Row]) -> dict[str, float | None]:
    """Share of rows that need review, and the share of the rows with a wrong label among them."""
    verdicts = classifier.score([row.text for row in rows])
    review = np.array([v.needs_review for v in verdicts])
    wrong = np.array(
        [
            set(v.labels) != {n for n in LABELS if r.labels.get(n)}
            for v, r in zip(verdicts, rows, strict=True)
        ]
    )
    return {"share": _share(review), "errors_found": _share(review[wrong])}


def _share(flags: NDArray[np.bool_]) -> float | None:
    return round(rate(flags), 4) if len(flags) else None


def _corpora_report(classifier: Classifier, data: Data) -> dict[str, Any]:
    """Abuse and sentiment by corpus on test rows (at most 600 each), with a threshold of dev rows.

    Where either split is missing, the halves of the other stand in for both. Corpora whose official
    splits are not at hand were split by the hash of their texts.
    """
    report = {}
    sources = {row.source for row in data.dev + data.test} - {"own", RELABELLED}
    for source in sorted(sources):
        dev, test = (
            [row for row in rows if row.source == source] for rows in (data.dev, data.test)
        )
        split = "test" if test and dev else "half of dev" if dev else "half of test"
        split = f"official {split}" if source in data.official else f"{split}, by hash"
        if not (dev and test):
            dev, test = (dev + test)[::2], (dev + test)[1::2]
        dev, test = (_drawn(rows, _MOST_CORPUS_ROWS) for rows in (dev, test))
        report[source] = {"split": split, **_corpus_metrics(classifier, dev, test)}
    return report


def _drawn(rows: list[Row], most: int) -> list[Row]:
    return random.Random(0).sample(rows, min(most, len(rows)))


def _corpus_metrics(classifier: Classifier, dev: list[Row], test: list[Row]) -> dict[str, Any]:
    dev_scores, scores = (
        verdict_probabilities(classifier, [row.text for row in rows]) for rows in (dev, test)
    )
    entry: dict[str, Any] = {"rows": len(test)}
    column = column_of("abuse")
    truth = label_matrix(test)[:, column]
    known = ~np.isnan(truth)
    if len(set(truth[known])) == 2:
        threshold = _best_macro_threshold(label_matrix(dev)[:, column], dev_scores[:, column])
        flagged = (scores[known, column] >= threshold).astype(float)
        entry["abuse_auroc"] = _estimate(auroc, truth[known], scores[known, column])
        entry["abuse_macro_f1"] = _estimate(macro_f1, truth[known], flagged)
        entry["abuse_average_precision"] = _estimate(
            average_precision, truth[known], scores[known, column]
        )
        entry["abuse_ece"] = round(
            expected_calibration_error(truth[known], scores[known, column]), 4
        )
    feeling = sentiment_indices(test)
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


def _estimate(
    metric: Callable[..., float],
    *arrays: NDArray[Any],
    clusters: NDArray[np.intp] | None = None,
) -> dict[str, float] | None:
    estimate: Estimate | None = bootstrap(metric, *arrays, clusters=clusters)
    return estimate.as_dict() if estimate else None
