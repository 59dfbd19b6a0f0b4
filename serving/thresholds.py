"""Thresholds fitted to labelled rows of one company: the lowest ones that keep a rate of false alarms.

A threshold is chosen among 0.0001 … 0.9999. With t it gives the label to k of n rows that people say do
not have it. The upper Clopper-Pearson bound of that rate (one-sided, 90 %) must not exceed the wanted
one. As k only falls when t rises, choosing the lowest such t costs no confidence: it is a test of t
from the highest down that stops at the first failure (fixed sequence testing; Angelopoulos et al.,
"Learn then Test", 2021).

Rows of one group (a customer, or near-duplicates) are no independent evidence: each group is one trial,
whose outcome is the share of its rows. Sums of such shares are rounded against us.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.labels import LABELS
from model.manifest import BALANCED
from model.preparation import prepare
from serving.batcher import Scorer
from serving.corrections import Labels, settled
from serving.exchange import Word
from serving.scoring import Thresholds

CONFIDENCE = 0.9
_ALPHA = 1 - CONFIDENCE
_STEPS = 10_000
_HALVINGS = 60
_NOT_LETTERS = re.compile(r"[\W\d_]+")


@dataclass
class LabelledRow:
    """A text and what people say of it; None is unknown."""

    text: str
    group: str
    labels: Labels


@dataclass(frozen=True)
class Rate:
    """A share of rows that get a label, each group counting once.

    Attributes:
        flagged, rows: rows that get it, and all.
        value: 0 to 1.
        low, high: 90 % Clopper-Pearson bounds, each one-sided at that level for false alarms (`high`
            alone is read there), two-sided for the recall.
    """

    flagged: int
    rows: int
    groups: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class At:
    """What a threshold does on the rows."""

    threshold: float
    false_alarms: Rate
    recall: Rate


@dataclass(frozen=True)
class Fit:
    """The threshold of one label, or why there is none."""

    label: str
    released: At | None = None
    fitted: At | None = None
    refusal: str = ""


@dataclass(frozen=True)
class _Rows:
    """Rows on one side of a label: scores [rows] and the number of each one's group."""

    scores: NDArray[np.float64]
    groups: NDArray[np.int64]
    sizes: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", np.bincount(self.groups))

    def flagged(self, threshold: float) -> tuple[int, float]:
        """Rows at or above a threshold, and the groups' shares of them, summed."""
        hits = self.scores >= threshold
        return int(hits.sum()), float((np.bincount(self.groups, weights=hits) / self.sizes).sum())

    def rate(self, threshold: float, alpha: float) -> Rate:
        rows, hits = self.flagged(threshold)
        groups = len(self.sizes)
        low = 1 - upper_bound(groups - _down(hits), groups, alpha)
        high = upper_bound(_up(hits), groups, alpha)
        return Rate(rows, len(self.scores), groups, hits / groups, low, high)


def collect(words: Iterable[Word]) -> tuple[list[LabelledRow], list[str]]:
    """The rows of a file, and what is wrong with its other lines; several words on one message are
    settled between them.
    """
    rows: dict[str, tuple[str, str, list[Labels]]] = {}
    problems = []
    for word in words:
        said = word.correction
        if said is None or not said.text:
            problems.append(f"{word.place}: {word.error or 'it has no text'}")
            continue
        group = f"group {said.group}" if said.group else f"text {_key(said.text)}"
        rows.setdefault(said.item, (said.text, group, []))[2].append(said.labels)
    found = [LabelledRow(text, group, settled(said)) for text, group, said in rows.values()]
    return found, problems


def _key(text: str) -> str:
    """The same for texts that differ in punctuation, digits, emoji, case or spelling marks only."""
    prepared = prepare(text).text
    return _NOT_LETTERS.sub(" ", prepared).strip() or prepared


def fit(
    rows: Sequence[LabelledRow],
    scorer: Scorer,
    released: Thresholds,
    wanted: float,
    labels: Sequence[str] = LABELS,
) -> list[Fit]:
    """The thresholds of the labels for a wanted rate of false alarms, in (0, 1)."""
    verdicts = scorer.score([row.text for row in rows])
    found = []
    for label in labels:
        scores = [verdict.scores[label] for verdict in verdicts]
        without, having = (_side(rows, scores, label, held) for held in (False, True))
        found.append(fit_label(label, without, having, released[label][BALANCED], wanted))
    return found


def _side(rows: Sequence[LabelledRow], scores: Sequence[float], label: str, held: bool) -> _Rows:
    chosen = [place for place, row in enumerate(rows) if row.labels.get(label) is held]
    names: dict[str, int] = {}
    groups = [names.setdefault(rows[place].group, len(names)) for place in chosen]
    return _Rows(np.array([scores[place] for place in chosen]), np.array(groups, np.int64))


def fit_label(label: str, without: _Rows, having: _Rows, released: float, wanted: float) -> Fit:
    if refusal := _refusal(label, without, having, wanted):
        return Fit(label, refusal=refusal)
    at_release = _at(released, without, having)
    threshold = lowest_threshold(without, wanted)
    if threshold is None:
        refusal = (
            f"no threshold keeps {wanted:.1%}: too many rows without it score as high as any score"
            " goes. Check their labels, or retrain"
        )
        return Fit(label, at_release, refusal=refusal)
    return Fit(label, at_release, _at(threshold, without, having))


def _refusal(label: str, without: _Rows, having: _Rows, wanted: float) -> str:
    """Why nothing can be said of a label; empty where something can."""
    yes, no = len(having.scores), len(without.scores)
    if not yes and not no:
        return f"no row says whether it holds: fill in the column {label}"
    if not yes or not no:
        every, other = ("has it", "without it") if yes else ("is without it", "that have it")
        return f"each of the {yes + no} rows {every}: add rows {other}"
    needed, groups = groups_needed(wanted), len(without.sizes)
    if groups < needed:
        return (
            f"{no} rows without it, of {groups} customers or different texts, are too few: even without"
            f" a single false alarm {needed} are needed to say that there are at most {wanted:.1%} of"
            f" them. Label {needed - groups} more, or want a higher rate"
        )
    return ""


def _at(threshold: float, without: _Rows, having: _Rows) -> At:
    return At(threshold, without.rate(threshold, _ALPHA), having.rate(threshold, _ALPHA / 2))


def lowest_threshold(without: _Rows, wanted: float) -> float | None:
    """By halving: what keeps the rate does so above, too."""

    def keeps(step: int) -> bool:
        rows, hits = without.flagged(step / _STEPS)
        few = rows <= wanted * len(without.scores)
        return few and _at_most(_up(hits), len(without.sizes), wanted) <= _ALPHA

    low, high = 0, _STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high / _STEPS if high < _STEPS else None


def groups_needed(wanted: float) -> int:
    """Groups without a single false alarm that show a rate of at most `wanted`: with 95 % instead of
    90 % confidence this is the rule of three.
    """
    return math.ceil(math.log(_ALPHA) / math.log1p(-wanted))


def upper_bound(hits: int, trials: int, alpha: float) -> float:
    """Clopper and Pearson (Biometrika 26, 1934): the rate at which so few hits have a chance `alpha`."""
    if hits >= trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(hits, trials, middle) > alpha else (low, middle)
    return high


def _at_most(hits: int, trials: int, rate: float) -> float:
    """Chance of at most so many hits, of a binomial distribution; `rate` in (0, 1)."""
    if hits >= trials or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    numbers = np.arange(1, hits + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((trials - numbers + 1) / numbers))])
    each = np.arange(hits + 1)
    logs = ways + each * math.log(rate) + (trials - each) * math.log1p(-rate)
    return float(np.exp(logs).sum())


def _up(hits: float) -> int:
    return math.ceil(hits - 1e-9)


def _down(hits: float) -> int:
    return math.floor(hits + 1e-9)
