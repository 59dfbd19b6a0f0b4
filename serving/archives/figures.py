"""What is told about a scored archive: figures that say how far chance alone can move them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, NamedTuple

Span = Literal["day", "week", "month", "year"]

_Z95 = 1.96
_STEPS: dict[Span, tuple[timedelta, int]] = {
    "day": (timedelta(1), 21),
    "week": (timedelta(7), 30),
    "month": (timedelta(31), 60),
    "year": (timedelta(366), 100),
}
"""A time that leads from the first day of a period into the next, and how many are shown at most."""


class Share(NamedTuple):
    """A part of a whole with its 95 % interval, all 0 to 1."""

    value: float
    low: float
    high: float


def share(count: int, total: int) -> Share:
    """With Wilson's score interval (E. B. Wilson, 1927)."""
    if not total:
        return Share(0.0, 0.0, 1.0)
    p, z = count / total, _Z95**2 / total
    middle = (p + z / 2) / (1 + z)
    half = math.sqrt(p * (1 - p) * z + z**2 / 4) / (1 + z)
    return Share(p, min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p))


@dataclass(slots=True)
class Group:
    """Customers' messages of one kind, and how many of them are what.

    Attributes:
        hostile: with abuse or a threat.
        accusing: with an accusation and neither of these; it may be justified.
        negative: in a negative mood more than in any other.
        review: where the model is unsure.
    """

    messages: int = 0
    hostile: int = 0
    accusing: int = 0
    negative: int = 0
    review: int = 0

    def add(self, hostile: bool, accusing: bool, negative: bool, review: bool) -> None:
        self.messages += 1
        self.hostile += hostile
        self.accusing += accusing
        self.negative += negative
        self.review += review

    def join(self, other: Group) -> None:
        self.messages += other.messages
        self.hostile += other.hostile
        self.accusing += other.accusing
        self.negative += other.negative
        self.review += other.review

    def share(self, count: int) -> Share:
        """Of its messages."""
        return share(count, self.messages)


class Period(NamedTuple):
    """A day, week (from Monday), month or year, UTC, with its messages."""

    begins: date
    group: Group


@dataclass(frozen=True)
class Quote:
    """A message to show; `row` is its number in the output, from 1. `threat_kind` is of a threat alone."""

    row: int
    text: str
    labels: tuple[str, ...]
    threat_kind: str | None
    at: float | None
    channel: str
    customer: str | None


@dataclass(frozen=True)
class Failure:
    """Rows with the same kind of error, and the first of them."""

    kind: str
    rows: int
    first_row: int


@dataclass
class Figures:
    """What is in a scored archive.

    Attributes:
        rows: all; each holds a message, or is silent (none in it), or failed.
        sources: rows by name of their source.
        outgoing: messages of the company; all that follows is about those of customers.
        every: all messages of customers.
        distinct_texts: how many different texts they are.
        labels, sentiments, signs: messages with a label, by prevailing sentiment, with a message sign.
        truncated, untimed, nameless: messages cut by the model, without a time, without a customer.
        unread: by role (sent_at, direction), messages where its column has a value that says nothing.
        first_at, last_at: seconds since 1970, UTC; None when no message has a time.
        days, months: by their (first) day, UTC; days is None when they are too many to keep.
        channels, languages: by name; the empty name where there is none.
        failures: errors by kind, the most frequent first.
        models: versions of the model that scored.
        examples: by label, the messages with the highest scores; an accusation stands alone.
        evidence: the messages that were asked for, by customer and id.
    """

    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    failed: int = 0
    outgoing: int = 0
    every: Group = field(default_factory=Group)
    distinct_texts: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sentiments: Counter[str] = field(default_factory=Counter)
    signs: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    untimed: int = 0
    nameless: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    first_at: float | None = None
    last_at: float | None = None
    days: dict[date, Group] | None = field(default_factory=dict)
    months: dict[date, Group] = field(default_factory=dict)
    channels: dict[str, Group] = field(default_factory=dict)
    languages: dict[str, Group] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    examples: dict[str, list[Quote]] = field(default_factory=dict)
    evidence: dict[tuple[str, str], Quote] = field(default_factory=dict)

    def periods(self) -> tuple[Span, list[Period]]:
        """The messages over time without gaps, in steps that suit the whole time; of more than 100
        years, the last 100.
        """
        groups, spans = self.months, list(_STEPS)
        if self.days is None:
            spans = spans[spans.index("month") :]
        else:
            groups = self.days
        if not groups:
            return "day", []
        span = next((s for s in spans if _fits(groups, s)), spans[-1])
        return span, _joined(groups, span)


def beginning(day: date, span: Span) -> date:
    """The first day of the period that a day is in."""
    match span:
        case "day":
            return day
        case "week":
            return day - timedelta(day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def _fits(groups: dict[date, Group], span: Span) -> bool:
    step, most = _STEPS[span]
    return beginning(max(groups), span) - beginning(min(groups), span) < most * step


def _joined(groups: dict[date, Group], span: Span) -> list[Period]:
    step, most = _STEPS[span]
    last = beginning(max(groups), span)
    begins = beginning(max(min(groups), last - (most - 1) * step), span)
    periods = {begins: Group()}
    while begins < last:
        begins = beginning(begins + step, span)
        periods[begins] = Group()
    for day, group in groups.items():
        if (period := periods.get(beginning(day, span))) is not None:
            period.join(group)
    return [Period(*found) for found in periods.items()]
