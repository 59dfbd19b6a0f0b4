"""What the comparison and the gate judge by: both models' readings of the same texts, read once."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model import Classifier, Verdict
from model.labels import LABELS, OUTPUTS
from model.manifest import BALANCED, MODEL
from training.calibrate import column_of
from training.export import customer_rows
from training.perturb import PERTURBATIONS, perturb
from training.rows import Row, label_matrix, sentiment_indices

Probabilities = NDArray[np.float32]
Menu = dict[str, dict[str, float]]
_SEED = 20
_WAYS_A_ROW = 4
_SPEED_TEXTS = 96
_SPEED_ROUNDS = 9
_MEGABYTE = 1_000_000


class Hidden(NamedTuple):
    """A toxic row with about half of its words hidden: the row's number, how, and the text."""

    row: int
    perturbation: str
    text: str


@dataclass(frozen=True)
class Reading:
    """What one model says.

    Attributes:
        thresholds: its shipped menu.
        probabilities: [rows, 16] of the frozen test rows.
        fresh: [fresh rows, 16] of the new data held out.
        vectors: [rows, 256] of the frozen test rows, or None when they were not read.
        hidden: [hidden texts, 16], or None.
        megabytes: size of its graph (10^6 bytes), or None.
    """

    model: str
    thresholds: Menu
    probabilities: Probabilities
    fresh: Probabilities
    vectors: NDArray[np.float32] | None = None
    hidden: Probabilities | None = None
    megabytes: float | None = None

    def flags(self, thresholds: Menu | None = None) -> NDArray[np.bool_]:
        """[rows, 3]: labels given to the test rows at the balanced thresholds (its own by default)."""
        return flagged(self.probabilities, thresholds or self.thresholds)


@dataclass(frozen=True)
class Evidence:
    """Two models' readings of the frozen test rows and of the new data held out.

    Attributes:
        hidden: which texts `Reading.hidden` is of.
        speed_ratio: the candidate's seconds for the released model's one, or None.
        suspicious_share: of the candidate's training rows, 0 to 1, or None.
    """

    rows: list[Row]
    fresh: list[Row]
    candidate: Reading
    released: Reading
    hidden: Sequence[Hidden] = ()
    speed_ratio: float | None = None
    suspicious_share: float | None = None

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        return label_matrix(self.rows)

    @cached_property
    def fresh_labels(self) -> NDArray[np.float32]:
        return label_matrix(self.fresh)

    @cached_property
    def sentiments(self) -> NDArray[np.int64]:
        return sentiment_indices(self.rows)

    @cached_property
    def written(self) -> NDArray[np.bool_]:
        return np.array([row.source == "own" for row in self.rows], bool)


def flagged(probabilities: Probabilities, thresholds: Menu) -> NDArray[np.bool_]:
    """[rows, 3]: which of the three labels are given at the balanced thresholds."""
    columns = [probabilities[:, column_of(n)] >= thresholds[n][BALANCED] for n in LABELS]
    return np.column_stack(columns)


def gather(
    candidate: Classifier,
    released: Classifier,
    rows: list[Row],
    fresh: list[Row],
    suites: bool = True,
    folders: tuple[Path, Path] | None = None,
    suspicious_share: float | None = None,
) -> Evidence:
    """Read every text once with each model.

    `rows` are the frozen test rows, of which those that are no customer messages are left out; `fresh`
    is the new data held out. With `suites`, hidden words are read and speed is measured, too; with the
    two folders (the candidate's first), size.
    """
    rows = customer_rows(rows)
    hidden = hidden_texts(rows) if suites else []
    sizes = [(f / MODEL).stat().st_size / _MEGABYTE for f in folders] if folders else [None, None]
    first, second = (
        _read(model, rows, fresh, hidden, size)
        for model, size in zip((candidate, released), sizes, strict=True)
    )
    texts = [row.text for row in (*rows, *fresh)]
    return Evidence(
        rows,
        fresh,
        first,
        second,
        hidden,
        speed_ratio(candidate, released, texts) if suites and texts else None,
        suspicious_share,
    )


def _read(
    model: Classifier,
    rows: list[Row],
    fresh: list[Row],
    hidden: Sequence[Hidden],
    megabytes: float | None,
) -> Reading:
    verdicts = model.score([row.text for row in rows])
    width = len(verdicts[0].vector) if verdicts else 0
    return Reading(
        model.version,
        model.manifest.thresholds,
        _probabilities(verdicts),
        _probabilities(model.score([row.text for row in fresh])),
        np.array([v.vector for v in verdicts], np.float32).reshape(-1, width),
        _probabilities(model.score([h.text for h in hidden])) if hidden else None,
        megabytes,
    )


def _probabilities(verdicts: Sequence[Verdict]) -> Probabilities:
    values = [{**v.scores, **v.threat_kind, **v.signs, **v.sentiment} for v in verdicts]
    table = [[value[name] for name in OUTPUTS] for value in values]
    return np.array(table, np.float32).reshape(-1, len(OUTPUTS))


def hidden_texts(rows: Sequence[Row]) -> list[Hidden]:
    """Four of the twenty ways to hide words for each row with one of the three labels, in turn."""
    chance = random.Random(_SEED)
    names = list(PERTURBATIONS)
    toxic = [i for i, row in enumerate(rows) if any(row.labels.get(name) for name in LABELS)]
    ways = (
        (i, names[(number * _WAYS_A_ROW + way) % len(names)])
        for number, i in enumerate(toxic)
        for way in range(_WAYS_A_ROW)
    )
    return [Hidden(i, name, perturb(rows[i].text, name, chance)) for i, name in ways]


def speed_ratio(candidate: Classifier, released: Classifier, texts: Sequence[str]) -> float:
    """The candidate's processor time for the released model's one: the median of nine paired runs.

    Each pair reads the same texts in turns, now this model first and now that one, so that other work
    on the machine weighs on both.
    """
    chosen = random.Random(_SEED).sample(list(texts), min(_SPEED_TEXTS, len(texts)))
    models = {"candidate": candidate, "released": released}
    for model in models.values():
        model.score(chosen[:8])
    ratios = []
    for number in range(_SPEED_ROUNDS):
        names = sorted(models, reverse=bool(number % 2))
        taken = {name: _seconds(models[name], chosen) for name in names}
        ratios.append(taken["candidate"] / taken["released"])
    return statistics.median(ratios)


def _seconds(model: Classifier, texts: Sequence[str]) -> float:
    began = time.process_time()
    model.score(texts)
    return time.process_time() - began
