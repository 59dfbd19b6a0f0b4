"""Customers who left: how it stood between them and the company at the end, and who may come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, select, union_all

from serving.corrections import Labels, correct
from serving.index.reading import CALM, DRAINING, HURT, INFLAMED, Reading, read
from serving.index.settings import DAY, IndexSettings
from serving.store.feedback import corrections_of
from serving.store.states import States
from serving.store.tables import customers, decisions, messages, outcomes, verdicts

_LAST_MESSAGES = 5
_NOTICEABLE = 0.5
"""Share of the threshold of a hurt customer from which pain is named as a cause."""

_RETURNS = ("purchase", "renewal")
_WIN_BACK_ORDER = (HURT, CALM, INFLAMED)
"""Hurt ones have a cause that can be put right."""


@dataclass(frozen=True)
class Departure:
    """A customer who left, and whether it has bought since."""

    customer_id: str
    left_at: float
    name: str | None
    end_reason: str | None
    monthly_value: float | None
    currency: str | None
    won_back: bool
    separated: bool


@dataclass(frozen=True)
class Evidence:
    """What the customer's last messages say.

    Attributes:
        leaving: one of them says so.
        negative: mean probability of a negative feeling, 0 to 1; None without a scored message.
        channel: of the last one.
    """

    message_ids: tuple[str, ...]
    leaving: bool
    negative: float | None
    channel: str | None


@dataclass(frozen=True)
class Ending:
    """A departure with the reading and the last words at the end.

    Attributes:
        cause: the main component of the service pain, where there was a noticeable one.
        unanswered: messages that nobody had answered (counted up to 12).
    """

    departure: Departure
    reading: Reading
    cause: str | None
    unanswered: int
    evidence: Evidence


def departures(connection: Connection, start: float, now: float) -> list[Departure]:
    """Who left at `start` < time <= `now`, the last ones first.

    A customer left at the later of `ended_at` and its last cancellation.
    """
    left = _left(start, now)
    back = exists().where(
        outcomes.c.customer_id == left.c.customer_id,
        outcomes.c.type.in_(_RETURNS),
        outcomes.c.at > left.c.left_at,
        outcomes.c.at <= now,
    )
    separated = exists().where(
        decisions.c.customer_id == left.c.customer_id,
        decisions.c.step == "separation",
        decisions.c.at <= now,
    )
    query = (
        select(
            left.c.customer_id,
            left.c.left_at,
            customers.c.name,
            customers.c.end_reason,
            customers.c.monthly_value,
            customers.c.currency,
            back.label("won_back"),
            separated.label("separated"),
        )
        .join(customers, customers.c.id == left.c.customer_id)
        .order_by(left.c.left_at.desc(), left.c.customer_id)
    )
    return [Departure(**row._mapping) for row in connection.execute(query)]


def _left(start: float, now: float) -> Any:
    ended = select(customers.c.id.label("customer_id"), customers.c.ended_at.label("at")).where(
        customers.c.ended_at > start, customers.c.ended_at <= now
    )
    cancelled = select(outcomes.c.customer_id, outcomes.c.at).where(
        outcomes.c.type == "cancellation", outcomes.c.at > start, outcomes.c.at <= now
    )
    both = union_all(ended, cancelled).subquery()
    last = func.max(both.c.at).label("left_at")
    return select(both.c.customer_id, last).group_by(both.c.customer_id).subquery()


def examine(
    connection: Connection,
    states: States,
    settings: IndexSettings,
    departure: Departure,
    now: float,
    leaving: float,
) -> Ending:
    """How it stood a day after a customer left: dates of leaving are often midnights, and the last
    word comes on that day. `leaving` is the model's threshold of that sign.
    """
    at = min(now, departure.left_at + DAY)
    state = states.as_of(connection, departure.customer_id, at)
    reading = read(state, at, settings, states.snapshot(connection, at))
    return Ending(
        departure=departure,
        reading=reading,
        cause=main_pain(reading, settings),
        unanswered=len(state.service.open_ids),
        evidence=_evidence(
            _last_messages(connection, departure.customer_id, at),
            corrections_of(connection, departure.customer_id),
            leaving,
        ),
    )


def main_pain(reading: Reading, settings: IndexSettings) -> str | None:
    """The largest component of a noticeable service pain."""
    if reading.pain < _NOTICEABLE * settings.hurt_pain:
        return None
    return max(reading.pain_contributions, key=lambda part: part.points).component


def _last_messages(connection: Connection, customer: str, at: float) -> Sequence[Any]:
    query = (
        select(messages.c.seq, messages.c.id, messages.c.channel, verdicts.c.verdict)
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(
            messages.c.customer_id == customer,
            messages.c.direction == "in",
            messages.c.sent_at <= at,
        )
        .order_by(messages.c.sent_at.desc(), messages.c.seq.desc())
        .limit(_LAST_MESSAGES)
    )
    return connection.execute(query).all()


def _evidence(rows: Sequence[Any], corrections: Mapping[int, Labels], leaving: float) -> Evidence:
    """Of rows with the newest first."""
    found = [
        correct(json.loads(row.verdict), corrections.get(row.seq, {}))
        for row in rows
        if row.verdict
    ]
    negative = [verdict["sentiment"]["negative"] for verdict in found]
    return Evidence(
        message_ids=tuple(row.id for row in rows),
        leaving=any(verdict["signs"]["leaving"] >= leaving for verdict in found),
        negative=sum(negative) / len(negative) if negative else None,
        channel=rows[0].channel if rows else None,
    )


def group(endings: Iterable[Ending]) -> list[dict[str, Any]]:
    """Endings by quadrant and main pain, the largest group first."""
    groups: dict[tuple[str, str | None], list[Ending]] = {}
    for ending in endings:
        groups.setdefault((ending.reading.quadrant, ending.cause), []).append(ending)
    found = [_group(*key, members) for key, members in groups.items()]
    found.sort(key=lambda one: (-one["customers"], one["quadrant"], one["main_pain"] or ""))
    return found


def _group(quadrant: str, cause: str | None, members: list[Ending]) -> dict[str, Any]:
    negative = [e.evidence.negative for e in members if e.evidence.negative is not None]
    reasons = Counter(e.departure.end_reason for e in members if e.departure.end_reason)
    return {
        "quadrant": quadrant,
        "main_pain": cause,
        "customers": len(members),
        "said_they_leave": sum(e.evidence.leaving for e in members),
        "with_unanswered_messages": sum(e.unanswered > 0 for e in members),
        "mean_negative": sum(negative) / len(negative) if negative else None,
        "end_reasons": [{"reason": r, "customers": n} for r, n in reasons.most_common()],
        "customer_ids": [e.departure.customer_id for e in members],
    }


def worth_winning_back(endings: Iterable[Ending]) -> list[Ending]:
    """Whom to ask back, hurt ones first, then by what they paid.

    Nobody who is back, whom the company separated from, who was draining, or inflamed after a grave
    event.
    """
    candidates = [ending for ending in endings if _may_return(ending)]
    return sorted(
        candidates,
        key=lambda e: (
            _WIN_BACK_ORDER.index(e.reading.quadrant),
            -(e.departure.monthly_value or 0.0),
            -e.departure.left_at,
        ),
    )


def _may_return(ending: Ending) -> bool:
    if ending.departure.won_back or ending.departure.separated:
        return False
    if ending.reading.quadrant == DRAINING:
        return False
    return ending.reading.quadrant != INFLAMED or ending.reading.grave_at is None
