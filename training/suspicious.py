"""Labels that look wrong: those that a cross-validated reading of the same file disagrees with.

A logistic regression reads what the released model says of each text (logits, sentence vector) and the
text's words; its out-of-fold probabilities go to cleanlab's confident learning (Northcutt et al. 2021).
The file's own labels teach the regression, so a company's other usage is no error; a slip is. What it
finds of 10 % flipped labels: docs/retraining.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from model import Classifier
from model.labels import LABELS
from model.preparation import prepare
from training.calibrate import logit
from training.export import probabilities_of
from training.rows import Row, label_matrix

MIN_CLASS = 10
"""Fewer rows of a class are too few to tell a slip from a rare case."""

_PENALTY = 0.1  # scikit-learn's C
_FOLDS = 5
_ALIKE = 5
_WORDS = 3.0
"""Weight of the words beside the rest; 0 lists a third of the right labels of 100 rows in slang."""
_NEVER_EMPTY = " _"
_TEXT = 80
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Suspicion:
    """A label that may be wrong.

    Attributes:
        row: its number among the rows.
        text: its beginning, 80 characters.
        given: the label in the file, 0 or 1.
        expected: probability of 1 by the other rows of the file.
        model: probability of 1 by the released model.
        alike: of the most similar texts in the file that have this label, how many say 1.
        neighbours: how many these are.
    """

    row: int
    text: str
    label: str
    given: int
    expected: float
    model: float
    alike: int
    neighbours: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Suspicions:
    """All suspicious labels, likeliest slips first, and their share of each label's known rows."""

    found: list[Suspicion]
    shares: dict[str, float]

    @property
    def share(self) -> float:
        """Of the label that has most, 0 to 1; 0 where none could be examined."""
        return max(self.shares.values(), default=0.0)


def find_suspicious(rows: list[Row], classifier: Classifier) -> Suspicions:
    """Examine the three labels; one with fewer than 10 rows of a class is not examined."""
    verdicts = classifier.score([row.text for row in rows])
    probabilities = probabilities_of(verdicts)
    vectors = np.stack([verdict.vector for verdict in verdicts])
    features = _features([row.text for row in rows], probabilities, vectors)
    labels = label_matrix(rows)
    found: list[Suspicion] = []
    shares: dict[str, float] = {}
    for column, name in enumerate(LABELS):
        known = np.flatnonzero(~np.isnan(labels[:, column]))
        given = labels[known, column].astype(int)
        if min(given.sum(), (1 - given).sum()) < MIN_CLASS:
            continue
        expected = _out_of_fold(features[known], given)
        issues = find_label_issues(given, np.column_stack([1 - expected, expected]), n_jobs=1)
        shares[name] = float(issues.mean())
        for i in np.flatnonzero(issues):
            alike = _most_similar(vectors[known], int(i))
            found.append(
                Suspicion(
                    row=int(known[i]),
                    text=" ".join(rows[known[i]].text.split())[:_TEXT],
                    label=name,
                    given=int(given[i]),
                    expected=round(float(expected[i]), 3),
                    model=round(float(probabilities[known[i], column]), 3),
                    alike=int(given[alike].sum()),
                    neighbours=len(alike),
                )
            )
    return Suspicions(sorted(found, key=_gap, reverse=True), shares)


def _gap(suspicion: Suspicion) -> float:
    return abs(suspicion.given - suspicion.expected)


def _features(texts: list[str], probabilities: Array, vectors: Array) -> csr_matrix:
    """Standardised logits, sentence vectors, and idf-weighted words, which a company may have of its
    own; one row a text.
    """
    logits = logit(probabilities)
    standardised = (logits - logits.mean(0)) / (logits.std(0) + 1e-6)
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    counted = words.fit_transform([prepare(text).text + _NEVER_EMPTY for text in texts])
    return csr_matrix(hstack([csr_matrix(standardised), csr_matrix(vectors), _WORDS * counted]))


def _out_of_fold(features: csr_matrix, truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probability of 1 of each row, by a regression that has not seen it."""
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    regression = LogisticRegression(C=_PENALTY, max_iter=500)
    found = cross_val_predict(regression, features, truth, cv=folds, method="predict_proba")
    return np.asarray(found[:, 1], np.float64)


def _most_similar(vectors: Array, row: int) -> NDArray[np.intp]:
    """Numbers of the most similar other rows, by the cosine of their sentence vectors."""
    similarity = vectors @ vectors[row]
    similarity[row] = -np.inf
    nearest: NDArray[np.intp] = np.argsort(-similarity)
    return nearest[: min(_ALIKE, len(vectors) - 1)]
