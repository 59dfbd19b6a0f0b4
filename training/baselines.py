"""Two baselines on the rows of the customers stage: what the fine-tuned model must beat.

`ngrams`: a linear model on character and word n-grams. `frozen`: a linear model on the mean-pooled
states of the base encoder as it came. Both predict abuse, threat and accusation. The model's lead is
a paired difference: both are measured on the same draws of the test rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from model.labels import LABELS
from model.preparation import prepare
from training.base import Base
from training.metrics import MIN_CLASS, auroc, bootstrap
from training.network import Network
from training.predict import predict
from training.rows import Row, clusters_of, label_matrix
from training.vocabulary import build_tokenizer

_FROZEN_SCALE = 4.0
"""Brings the states to a spread of about one, for which the penalty of the linear model is meant."""

Scores = NDArray[np.floating]


def evaluate_baselines(
    base: Base, train: list[Row], test: dict[str, list[Row]], scores: dict[str, Scores]
) -> dict[str, dict[str, Any]]:
    """By baseline, test set and label: its AUROC, and the model's lead in AUROC.

    `scores` holds the model's probabilities [rows, 16] of each test set.
    """
    makers = {
        "ngrams": _ngram_features,
        "frozen": lambda *texts: _frozen_features(base, *texts),
    }
    return {name: _evaluate(maker, train, test, scores) for name, maker in makers.items()}


def _evaluate(
    features: Any, train: list[Row], test: dict[str, list[Row]], scores: dict[str, Scores]
) -> dict[str, Any]:
    names = list(test)
    texts = [[row.text for row in rows] for rows in (train, *test.values())]
    train_features, *test_features = features(*texts)
    labels = label_matrix(train)
    report: dict[str, Any] = {name: {} for name in names}
    for column, label in enumerate(LABELS):
        known = ~np.isnan(labels[:, column])
        weights = np.array([row.weight for row in train])[known]
        linear = LogisticRegression(C=4.0, max_iter=300, class_weight="balanced")
        linear.fit(train_features[known], labels[known, column], sample_weight=weights)
        for name, x in zip(names, test_features, strict=True):
            report[name][label] = _compare(
                test[name], column, scores[name][:, column], linear.predict_proba(x)[:, 1]
            )
    return report


def _compare(
    rows: list[Row], column: int, ours: Scores, theirs: Scores
) -> dict[str, dict[str, float]] | None:
    """None where a class has fewer than five rows."""
    truth = label_matrix(rows)[:, column]
    seen = ~np.isnan(truth)
    truth, ours, theirs = truth[seen], ours[seen], theirs[seen]
    if min(truth.sum(), (1 - truth).sum()) < MIN_CLASS:
        return None
    clusters = clusters_of(rows)[seen]
    estimates = {
        "auroc": bootstrap(auroc, truth, theirs, clusters=clusters),
        "lead": bootstrap(_lead, truth, ours, theirs, clusters=clusters),
    }
    return {name: estimate.as_dict() for name, estimate in estimates.items() if estimate}


def _lead(truth: Scores, ours: Scores, theirs: Scores) -> float:
    return auroc(truth, ours) - auroc(truth, theirs)


def _ngram_features(*texts: list[str]) -> list[csr_matrix]:
    prepared = [[prepare(text).text for text in part] for part in texts]
    makers = (
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
    )
    for maker in makers:
        maker.fit(prepared[0])
    return [csr_matrix(hstack([maker.transform(part) for maker in makers])) for part in prepared]


def _frozen_features(base: Base, *texts: list[str]) -> list[NDArray[np.floating]]:
    network = Network(base.encoder, sources=1)
    tokenizer = build_tokenizer(base.pieces, base.scores)
    return [
        predict(network, tokenizer, part, max_tokens=128)[1].numpy() * _FROZEN_SCALE
        for part in texts
    ]
