"""Two baselines on the rows of the last training stage: what the fine-tuned model must beat.

`ngrams`: a linear model on character and word n-grams. `frozen`: a linear model on the mean-pooled
states of the base encoder as it came. Both predict abuse, threat and accusation.
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
from training.metrics import auroc, bootstrap
from training.predict import predict
from training.rows import Row, label_matrix
from training.run import Run


def evaluate_baselines(
    run: Run, train: list[Row], test: dict[str, list[Row]]
) -> dict[str, dict[str, Any]]:
    """AUROC of each baseline by test set and label."""
    return {
        "ngrams": _evaluate(_ngram_features, train, test),
        "frozen": _evaluate(lambda *texts: _frozen_features(run, *texts), train, test),
    }


def _evaluate(features: Any, train: list[Row], test: dict[str, list[Row]]) -> dict[str, Any]:
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
            truth = label_matrix(test[name])[:, column]
            seen = ~np.isnan(truth)
            estimate = bootstrap(auroc, truth[seen], linear.predict_proba(x[seen])[:, 1])
            report[name][label] = estimate.as_dict() if estimate else None
    return report


def _ngram_features(*texts: list[str]) -> list[csr_matrix]:
    prepared = [[prepare(text).text for text in part] for part in texts]
    makers = (
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
    )
    for maker in makers:
        maker.fit(prepared[0])
    return [csr_matrix(hstack([maker.transform(part) for maker in makers])) for part in prepared]


def _frozen_features(run: Run, *texts: list[str]) -> list[NDArray[np.floating]]:
    network = run.network("start")
    return [
        predict(network, run.tokenizer(), part, max_tokens=128)[1].numpy() * 4.0 for part in texts
    ]
