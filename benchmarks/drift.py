"""How often a calm year gives a drift alert, and how fast a change does: `python -m benchmarks.drift`.

Weeks of invented companies: customers differ (the messages of one are alike), and weeks differ a little
even where nothing happens. Writes docs/drift.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.labels import LABELS
from serving.drift import _EDGES, LANGUAGES, WEEK, Week, WeekFigures, tell

_WEEKS = 52
_YEARS = 60
_LANGUAGE_MIX = np.array([0.70, 0.12, 0.05, 0.11, 0.02])
_LABEL_RATES = dict(zip(LABELS, (0.04, 0.004, 0.10), strict=True))
_REVIEW, _UNKNOWN, _AGREEMENT = 0.08, 0.004, 0.85
_CHANGED_IN = 30


@dataclass(frozen=True)
class Company:
    """Messages a week, and by how much weeks differ: standard deviation of log-odds."""

    messages: int
    week_to_week: float
    per_customer: float = 3.0
    likeness: float = 0.3


def _shift(rate: float, by: float) -> float:
    odds = rate / (1 - rate) * np.exp(by)
    return float(odds / (1 + odds))


def _count(chance: np.random.Generator, size: int, rate: float, company: Company) -> int:
    """Messages with something, where customers differ: beta-binomial by customer."""
    customers = max(1, round(size / company.per_customer))
    likeness = company.likeness
    total = 1 / likeness - 1
    rates = chance.beta(max(rate * total, 1e-9), max((1 - rate) * total, 1e-9), customers)
    each = np.full(customers, size // customers)
    each[: size % customers] += 1
    return int(chance.binomial(each, rates).sum())


def _bins(chance: np.random.Generator, size: int, rate: float) -> tuple[list[int], float]:
    """Scores of a label that holds at a rate, and their sum."""
    holds = chance.random(size) < rate
    scores: NDArray[np.float64] = np.where(
        holds, chance.beta(4, 1, size), chance.beta(0.3, 6, size)
    )
    places = np.searchsorted(_EDGES, scores, side="right")
    return np.bincount(places, minlength=len(_EDGES) + 1).tolist(), float(scores.sum())


def week(chance: np.random.Generator, number: int, company: Company, arabizi: float) -> Week:
    """A week of a company; `arabizi` is added to the share of that language."""

    def around(rate: float) -> float:
        return _shift(rate, chance.normal(0, company.week_to_week))

    found = WeekFigures(messages=company.messages)
    size = company.messages
    for label in LABELS:
        rate = around(_LABEL_RATES[label])
        found.labelled[label] = _count(chance, size, rate, company)
        found.bins[label], found.sums[label] = _bins(chance, size, rate)
    mix = np.array([around(share) for share in _LANGUAGE_MIX])
    mix[1] += arabizi
    counts = _split(chance, size, mix / mix.sum(), company)
    found.languages = dict(zip(LANGUAGES, counts, strict=True))
    found.review = _count(chance, size, around(_REVIEW), company)
    found.texts = min(size, 2_000)
    found.pieces = found.texts * 12
    found.unknown = _count(chance, found.pieces, around(_UNKNOWN), company)
    found.said = 40
    found.agreed = _count(chance, found.said, around(_AGREEMENT), company)
    return Week(number * WEEK, "m", found)


def _split(
    chance: np.random.Generator, size: int, mix: NDArray[np.float64], company: Company
) -> Sequence[int]:
    customers = max(1, round(size / company.per_customer))
    shares = chance.dirichlet(mix * (1 / company.likeness - 1), customers)
    each = np.full(customers, size // customers)
    each[: size % customers] += 1
    return [int(n) for n in chance.multinomial(each, shares).sum(axis=0)]


def calm_years(company: Company, years: int) -> float:
    """Weeks with an alert in a year in which nothing happens, on the mean."""
    chance = np.random.default_rng(0)
    alerts = 0
    for _ in range(years):
        weeks = [week(chance, n, company, 0.0) for n in range(_WEEKS)]
        alerts += sum(bool(one.left) for one in tell(weeks))
    return alerts / years


def found_at_once(company: Company, points: float, after: int, years: int) -> float:
    """Share of companies that get an alert in the week in which Arabizi becomes more, after so many
    weeks.
    """
    chance = np.random.default_rng(1)
    found = 0
    for _ in range(years):
        weeks = [week(chance, n, company, 0.0) for n in range(after)]
        weeks.append(week(chance, after, company, points))
        found += "language_arabizi" in tell(weeks)[-1].left
    return found / years


def main() -> None:
    rows = []
    for messages in (200, 1_000, 10_000):
        for week_to_week in (0.0, 0.1, 0.3):
            company = Company(messages, week_to_week)
            years = _YEARS if messages < 10_000 else _YEARS // 6
            some = max(20, years // 6)
            row = {
                "messages_a_week": messages,
                "week_to_week": week_to_week,
                "years": years,
                "alerts_a_calm_year": round(calm_years(company, years), 3),
            }
            for after in (8, _CHANGED_IN):
                for points in (0.1, 0.2):
                    name = f"arabizi_12_to_{12 + round(100 * points)}_after_{after}_weeks"
                    row[name] = round(found_at_once(company, points, after, some), 2)
            rows.append(row)
            print(json.dumps(row), flush=True)
    Path("docs/drift.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
