"""The figures by which two models are compared, each as a function of the rows' weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from model.labels import LABELS, SENTIMENTS
from training.calibrate import column_of, logit
from training.evidence import Evidence, Menu, Probabilities, Reading
from training.metrics import MIN_CLASS
from training.paired import (
    Statistic,
    auroc_of,
    average_of,
    calibration_error_of,
    f1_of,
    mean_of,
)
from training.vectors import complaint_pairs

_CLIP = 0.005
"""Log losses take no probability for surer than this: one wrong label must not decide."""

Labels = NDArray[np.float32]
Mask = NDArray[np.bool_]
Where = Callable[[Evidence], Mask]
Figure = Callable[[Labels, Probabilities], Statistic | None]


@dataclass(frozen=True)
class Sample:
    """The rows of a figure, and the figure of each model as a function of their weights.

    Attributes:
        index: numbers of rows, of the frozen ones or (`fresh`) of the new ones; a row may occur twice.
    """

    index: NDArray[np.intp]
    candidate: Statistic
    released: Statistic
    fresh: bool = False


Sampled = Callable[[Evidence], Sample | None]


def sample_of(evidence: Evidence, members: Mask, figure: Figure) -> Sample | None:
    """A figure of labels and probabilities on some of the frozen rows."""
    index = np.flatnonzero(members)
    labels = evidence.labels[index]
    return _both(evidence, index, lambda r: figure(labels, r.probabilities[index]))


def _both(
    evidence: Evidence, index: NDArray[np.intp], figure: Callable[[Reading], Statistic | None]
) -> Sample | None:
    candidate, released = figure(evidence.candidate), figure(evidence.released)
    if not len(index) or candidate is None or released is None:
        return None
    return Sample(index, candidate, released)


def written(evidence: Evidence) -> Mask:
    return evidence.written


def real(evidence: Evidence) -> Mask:
    return np.asarray(~evidence.written)


def fair(evidence: Evidence) -> Mask:
    return np.asarray(evidence.written & np.array([row.is_fair for row in evidence.rows], bool))


def language(*names: str) -> Where:
    return lambda e: e.written & np.array([row.language in names for row in e.rows], bool)


def dialect(name: str) -> Where:
    return lambda e: e.written & np.array([row.dialect == name for row in e.rows], bool)


def ranking(names: Sequence[str], where: Where = written) -> Sampled:
    """Mean AUROC of the outputs that have at least five rows of each class there."""
    return lambda e: sample_of(e, where(e), lambda labels, p: mean_auroc(labels, p, names))


def mean_auroc(labels: Labels, scores: Probabilities, names: Sequence[str]) -> Statistic | None:
    columns = [column_of(name) for name in names]
    usable = [
        c for c in columns if min((labels[:, c] == 1).sum(), (labels[:, c] == 0).sum()) >= MIN_CLASS
    ]
    if not usable:
        return None
    return average_of([auroc_of(labels[:, c], scores[:, c]) for c in usable])


def on_fresh(figure: Callable[[Labels, Probabilities, Sequence[str]], Statistic | None]) -> Sampled:
    """The three labels on the new data held out."""

    def measure(evidence: Evidence) -> Sample | None:
        known = ~np.isnan(evidence.fresh_labels[:, : len(LABELS)])
        index = np.flatnonzero(known.any(axis=1))
        labels = evidence.fresh_labels[index]
        sample = _both(evidence, index, lambda r: figure(labels, r.fresh[index], LABELS))
        return sample and replace(sample, fresh=True)

    return measure


def log_losses(evidence: Evidence) -> Sample | None:
    return sample_of(evidence, written(evidence), lambda labels, p: log_loss(labels, p, LABELS))


def log_loss(labels: Labels, scores: Probabilities, names: Sequence[str]) -> Statistic | None:
    """Mean of minus the logarithm of the probability given to the truth (nats), over known labels."""
    columns = [column_of(name) for name in names]
    truth, score = labels[:, columns], np.clip(scores[:, columns], _CLIP, 1 - _CLIP)
    known = ~np.isnan(truth)
    losses = -np.log(np.where(truth == 1, score, 1 - score))
    return mean_of((losses * known).sum(1), known.sum(1)) if known.any() else None


def shifted_log_loss(
    labels: Labels, scores: Probabilities, names: Sequence[str]
) -> Statistic | None:
    """`log_loss` after the shift of each label's logits that makes it least there.

    What another base rate alone would gain is left out: a threshold gains it as well, and labels
    that are wrong on one side look like one.
    """
    columns = [column_of(name) for name in names]
    shifted = scores.copy()
    for column in columns:
        known = ~np.isnan(labels[:, column])
        shifted[known, column] = _shifted(labels[known, column], scores[known, column])
    return log_loss(labels, shifted, names)


def _shifted(truth: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities with their logits shifted so that their mean is the truth's, where both classes
    occur (there log loss is least).
    """
    logits = logit(scores)
    rate = float(truth.mean()) if len(truth) else 0.0
    if 0 < rate < 1:
        logits = logits + brentq(lambda shift: expit(logits + shift).mean() - rate, -40, 40)
    return np.asarray(expit(logits))


def calibration(evidence: Evidence) -> Sample | None:
    def figure(labels: Labels, scores: Probabilities) -> Statistic:
        columns = range(len(LABELS))
        return average_of([calibration_error_of(labels[:, c], scores[:, c]) for c in columns])

    return sample_of(evidence, written(evidence), figure)


def sentiments(evidence: Evidence) -> Sample | None:
    return sentiments_on(evidence, written(evidence))


def sentiments_on(evidence: Evidence, members: Mask) -> Sample | None:
    """Mean AUROC of each sentiment against the others."""
    members = members & (evidence.sentiments >= 0)
    truth = evidence.sentiments[members]
    classes = [c for c in range(len(SENTIMENTS)) if (truth == c).sum() >= MIN_CLASS]
    if len(classes) < 2:
        return None

    def figure(_: Labels, scores: Probabilities) -> Statistic:
        feelings = scores[:, -len(SENTIMENTS) :]
        return average_of([auroc_of((truth == c).astype(float), feelings[:, c]) for c in classes])

    return sample_of(evidence, members, figure)


def false_alarms(evidence: Evidence) -> Sample | None:
    return false_alarms_on(evidence, fair(evidence))


def false_alarms_on(evidence: Evidence, fair_rows: Mask, name: str | None = None) -> Sample | None:
    """Share of fair rows that get the label (any of the three by default), at own thresholds."""
    index = np.flatnonzero(fair_rows)
    columns = [LABELS.index(name)] if name else slice(None)
    return _both(
        evidence, index, lambda r: mean_of(np.asarray(r.flags()[index][:, columns].any(axis=1)))
    )


def recall(name: str) -> Sampled:
    """Recall at the released model's shipped threshold, for both models."""
    return lambda e: recall_on(e, written(e), name, e.released.thresholds)


def recall_on(
    evidence: Evidence, members: Mask, name: str, thresholds: Menu | None = None
) -> Sample | None:
    """Share of the rows with the label that get it; by default each model at its own threshold."""
    index = np.flatnonzero(members & (evidence.labels[:, column_of(name)] == 1))
    column = LABELS.index(name)
    return _both(evidence, index, lambda r: mean_of(r.flags(thresholds)[index, column]))


def decisions(evidence: Evidence) -> Sample | None:
    return decisions_on(evidence, written(evidence))


def decisions_on(evidence: Evidence, members: Mask) -> Sample | None:
    """Macro-F1 of the labels with at least five positives, each model at its own thresholds."""
    index = np.flatnonzero(members)
    labels = evidence.labels[index]
    columns = [c for c in range(len(LABELS)) if (labels[:, c] == 1).sum() >= MIN_CLASS]

    def figure(reading: Reading) -> Statistic | None:
        flags = reading.flags()[index]
        return average_of([f1_of(labels[:, c], flags[:, c]) for c in columns]) if columns else None

    return _both(evidence, index, figure)


def hidden_words(evidence: Evidence) -> Sample | None:
    """Mean AUROC of the three labels: toxic rows with hidden words against the rows without the label,
    as they were written.
    """
    chosen = [i for i, text in enumerate(evidence.hidden) if evidence.written[text.row]]
    of_hidden = np.array([evidence.hidden[i].row for i in chosen], np.intp)
    plain = np.flatnonzero(written(evidence))
    index = np.concatenate([of_hidden, plain])
    labels = evidence.labels[index].copy()
    labels[: len(chosen)][labels[: len(chosen)] == 0] = np.nan
    labels[len(chosen) :][labels[len(chosen) :] == 1] = np.nan

    def figure(reading: Reading) -> Statistic | None:
        if reading.hidden is None or not chosen:
            return None
        scores = np.concatenate([reading.hidden[chosen], reading.probabilities[plain]])
        return mean_auroc(labels, scores, LABELS)

    return _both(evidence, index, figure)


def same_complaint(evidence: Evidence) -> Sample | None:
    """AUROC of the sentence vectors' similarity: the same complaint against others."""
    plain = np.flatnonzero(written(evidence))
    pairs = list(complaint_pairs([evidence.rows[i] for i in plain]))
    if not pairs:
        return None
    left, right, same = (np.array(column) for column in zip(*pairs, strict=True))

    def figure(reading: Reading) -> Statistic | None:
        if reading.vectors is None:
            return None
        vectors = reading.vectors[plain]
        similarity = np.einsum("ij,ij->i", vectors[left], vectors[right])
        return auroc_of(same.astype(float), similarity)

    return _both(evidence, plain[left], figure)
