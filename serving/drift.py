"""What a week's messages were like, and the range in which a company's weeks usually lie.

Each figure is compared with the earlier weeks that the same model judged at the same thresholds: a range
around their median, as wide as their median absolute deviation says (a strange week moves neither), and
never narrower than chance makes a week of so many messages. Few weeks make it wider. Shares are compared as
asin(sqrt(share)), whose variance does not depend on the share (Anscombe 1948). How often a calm year
gives an alert is simulated in benchmarks/drift.py, which docs/drift.md tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec

from model.labels import LABELS
from serving.index.settings import DAY

WEEK = 7 * DAY
_MONDAY = 4 * DAY
"""1970 began on a Thursday: the first Monday, UTC."""

LANGUAGES = ("ar", "arabizi", "mixed", "en", "other")
ENOUGH_MESSAGES = 100
ENOUGH_SAID = 20
"""Corrections of people in a week, for their agreement with the model."""

LEAST_WEEKS = 4
MOST_WEEKS = 26
_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
_DESIGN_EFFECT = 2.0
"""Messages of one customer are alike: a week says as much as half as many independent ones."""
_NARROWEST = 0.005
"""Of what is called chance: at a share of 50 % half a point, at 1 % a tenth of one."""
_BY_CHANCE = 3.5, 4.0
_BY_DEVIATION = 4.0, 8.0
"""a, b: compared with r weeks, half the range is a (1 + b / r) standard deviations, by chance or of these
weeks, whichever is wider."""
_LEAST_PSI = 0.1
"""Below it a population stability index is commonly read as no change."""
_SIGMA = 1.4826
"""Of a normal distribution, in median absolute deviations."""


class WeekFigures(msgspec.Struct):
    """Counts over the messages of a week that one model has judged.

    Attributes:
        sums: of the scores, by label.
        labelled: messages with the label.
        bins: messages by score, at the edges 0.01 … 0.9, by label.
        review: messages that need review.
        others: messages that other models have judged; they are not in the figures.
        texts, pieces, unknown: of the sample of texts: their number, their pieces, and those of these
            that the vocabulary does not have. Zero where no text is kept.
        said, agreed: corrections of people in the week, and those that leave abuse, threat and
            accusation as the model has them.
        thresholds: of the labels, when these figures were made.
    """

    messages: int = 0
    sums: dict[str, float] = msgspec.field(default_factory=lambda: dict.fromkeys(LABELS, 0.0))
    labelled: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(LABELS, 0))
    bins: dict[str, list[int]] = msgspec.field(
        default_factory=lambda: {name: [0] * (len(_EDGES) + 1) for name in LABELS}
    )
    languages: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(LANGUAGES, 0))
    review: int = 0
    others: int = 0
    texts: int = 0
    pieces: int = 0
    unknown: int = 0
    said: int = 0
    agreed: int = 0
    thresholds: dict[str, float] = {}

    def add(self, verdict: Mapping[str, Any]) -> None:
        """Count a verdict as it goes over the wire."""
        self.messages += 1
        for name in LABELS:
            score = verdict["scores"][name]
            self.sums[name] += score
            self.labelled[name] += name in verdict["labels"]
            self.bins[name][sum(score >= edge for edge in _EDGES)] += 1
        language = verdict["language"]
        self.languages[language] = self.languages.get(language, 0) + 1
        self.review += verdict["needs_review"]


@dataclass(frozen=True)
class Week:
    """A complete week; `start` in seconds since 1970."""

    start: float
    model: str
    figures: WeekFigures

    def is_comparable(self, other: Week) -> bool:
        return self.model == other.model and self.figures.thresholds == other.figures.thresholds


@dataclass(frozen=True)
class Figure:
    """One figure of a week.

    Attributes:
        value: None where there is too little to compute it from.
        low, high: its usual range; None while too few weeks are known.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def outside(self) -> bool:
        if self.value is None or self.low is None or self.high is None:
            return False
        return not self.low <= self.value <= self.high


@dataclass(frozen=True)
class Told:
    """A week with its figures by name.

    Attributes:
        compared_with: how many earlier weeks the ranges come from.
        begins_anew: another model or other thresholds than in the week before.
        left: figures outside their range that were within it in the week before.
    """

    week: Week
    figures: dict[str, Figure]
    compared_with: int
    begins_anew: bool
    left: list[str]


def week_of(at: float) -> float:
    """The beginning of an instant's week: Monday, 00:00 UTC."""
    return at - (at - _MONDAY) % WEEK


def tell(weeks: Sequence[Week]) -> list[Told]:
    """Each week, oldest first, against those before it; `weeks` in their order."""
    told: list[Told] = []
    for place, week in enumerate(weeks):
        before = [one for one in weeks[:place] if _counts(one) and week.is_comparable(one)]
        figures = _figures(week, before[-MOST_WEEKS:])
        last = told[-1].figures if told else {}
        outside = [name for name, figure in figures.items() if figure.outside]
        left = [name for name in outside if not (name in last and last[name].outside)]
        anew = place > 0 and not week.is_comparable(weeks[place - 1])
        told.append(Told(week, figures, len(before[-MOST_WEEKS:]), anew, left))
    return told


def _counts(week: Week) -> bool:
    return week.figures.messages >= ENOUGH_MESSAGES


def _figures(week: Week, before: Sequence[Week]) -> dict[str, Figure]:
    known = [_shares(one.figures) for one in before]
    found = {}
    for name, (share, size) in _shares(week.figures).items():
        others = [one[name][0] for one in known]
        found[name] = _share_figure(share, size, [x for x in others if x is not None])
    return found | {f"{label}_psi": _psi_figure(week, before, label) for label in LABELS}


def _shares(week: WeekFigures) -> dict[str, tuple[float | None, int]]:
    """By figure its share, and the number of messages that it is of; None where these are too few."""
    total = week.messages
    found = {f"{label}_mean": (week.sums[label], total) for label in LABELS}
    found |= {f"{label}_share": (week.labelled[label], total) for label in LABELS}
    found |= {f"language_{name}": (week.languages[name], total) for name in LANGUAGES}
    found["needs_review"] = week.review, total
    shares: dict[str, tuple[float | None, int]] = {
        name: (part / size if size >= ENOUGH_MESSAGES else None, size)
        for name, (part, size) in found.items()
    }
    unknown = week.unknown / week.pieces if week.texts >= ENOUGH_MESSAGES else None
    agreement = week.agreed / week.said if week.said >= ENOUGH_SAID else None
    return shares | {
        "unknown_pieces": (unknown, week.texts),
        "agreement": (agreement, week.said),
    }


def _share_figure(share: float | None, size: int, others: Sequence[float]) -> Figure:
    if share is None or len(others) < LEAST_WEEKS:
        return Figure(share)
    by_chance = math.sqrt(_DESIGN_EFFECT / size) / 2
    centre, half = _range([_angle(other) for other in others], by_chance)
    low = math.sin(max(0.0, centre - half)) ** 2
    return Figure(share, low, math.sin(min(math.pi / 2, centre + half)) ** 2)


def _angle(share: float) -> float:
    return math.asin(math.sqrt(min(max(share, 0.0), 1.0)))


def _range(values: Sequence[float], by_chance: float) -> tuple[float, float]:
    """The middle of the usual range, and half its width."""
    centre = median(values)
    deviation = _SIGMA * median(abs(value - centre) for value in values)
    widths = (
        (_BY_CHANCE, max(by_chance, _NARROWEST)),
        (_BY_DEVIATION, deviation),
    )
    return centre, max(a * (1 + b / len(values)) * one for (a, b), one in widths)


def _psi_figure(week: Week, before: Sequence[Week], label: str) -> Figure:
    """The population stability index of the scores against all earlier weeks together; its range comes
    from that of each earlier week against the others.
    """
    if not _counts(week) or len(before) < LEAST_WEEKS:
        return Figure(None)
    bins = [one.figures.bins[label] for one in before]
    pooled = [sum(column) for column in zip(*bins, strict=True)]
    value = psi(week.figures.bins[label], pooled)
    usual = [psi(one, [p - x for p, x in zip(pooled, one, strict=True)]) for one in bins]
    by_chance = math.sqrt(_DESIGN_EFFECT / week.figures.messages / 2)
    centre, half = _range([math.sqrt(one) for one in usual], by_chance)
    return Figure(value, 0.0, max(_LEAST_PSI, (centre + half) ** 2))


def psi(bins: Sequence[int], reference: Sequence[int]) -> float:
    """Sum of (p - q) ln(p / q) over the bins; half a message is added to each, so that none is empty."""
    shares = zip(_smoothed(bins), _smoothed(reference), strict=True)
    return sum((p - q) * math.log(p / q) for p, q in shares)


def _smoothed(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + len(counts) / 2
    return [(count + 0.5) / total for count in counts]
