"""A customer's history for a drawing: what happened, and the line of index and pain."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, func, select

from serving.corrections import Labels, correct
from serving.index.events import Event, TicketChange
from serving.index.portfolio import Snapshot
from serving.index.reading import Reading, read
from serving.index.settings import DAY, IndexSettings
from serving.index.state import State
from serving.store.customers import BEGINNING
from serving.store.feedback import corrections_of
from serving.store.states import day_of
from serving.store.tables import (
    decisions,
    messages,
    outcomes,
    profiles,
    ratings,
    snapshots,
    ticket_events,
    tickets,
    verdicts,
)
from serving.store.told import read_told

DAILY = 180
"""Up to so many days the line has a point a day, above it one a week."""

Happening = dict[str, Any]


def happenings(
    connection: Connection, customer: str, start: float, end: float, most: int
) -> tuple[list[Happening], int]:
    """What happened at `start` < time <= `end`, oldest first, without texts, `at` in seconds.

    At most `most` of each kind, the newest; beside them the number of older ones that were left out.
    """
    found: list[Happening] = []
    left_out = 0
    for kind in (_messages, _outcomes, _ratings, _decisions, _profiles, _ticket_changes):
        some, total = kind(connection, customer, start, end, most)
        found += some
        left_out += total - len(some)
    return sorted(found, key=lambda happening: float(happening["at"])), left_out


def _messages(
    connection: Connection, customer: str, start: float, end: float, most: int
) -> tuple[list[Happening], int]:
    condition = (
        messages.c.customer_id == customer,
        messages.c.sent_at > start,
        messages.c.sent_at <= end,
    )
    total = connection.scalar(select(func.count()).select_from(messages).where(*condition)) or 0
    query = (
        select(messages, verdicts.c.verdict)
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(*condition)
        .order_by(messages.c.sent_at.desc(), messages.c.seq.desc())
        .limit(most)
    )
    corrected = corrections_of(connection, customer)
    fields = ("id", "source", "direction", "channel", "ticket_id", "agent_id")
    return [
        {"at": row.sent_at, "kind": "message"}
        | {name: getattr(row, name) for name in fields}
        | {"labels": _labels(row.verdict, corrected.get(row.seq)) if row.verdict else None}
        for row in connection.execute(query)
    ], total


def _labels(verdict: str, corrected: Labels | None) -> list[str]:
    """Those that people see in a message, else those of the model."""
    found: list[str] = correct(json.loads(verdict), corrected or {})["labels"]
    return found


def _rows(
    connection: Connection, table: Table, customer: str, start: float, end: float, most: int
) -> tuple[Sequence[Row[Any]], int]:
    condition = table.c.customer_id == customer, table.c.at > start, table.c.at <= end
    total = connection.scalar(select(func.count()).select_from(table).where(*condition)) or 0
    order = table.c.at.desc(), table.c.seq.desc()
    query = select(table).where(*condition).order_by(*order).limit(most)
    return connection.execute(query).all(), total


def _of(table: Table, kind: str, *fields: str) -> Any:
    """A reader of one table of dated rows."""

    def reader(
        connection: Connection, customer: str, start: float, end: float, most: int
    ) -> tuple[list[Happening], int]:
        rows, total = _rows(connection, table, customer, start, end, most)
        return [
            {"at": row.at, "kind": kind} | {name: getattr(row, name) for name in fields}
            for row in rows
        ], total

    return reader


_outcomes = _of(outcomes, "outcome", "type", "amount")
_ratings = _of(ratings, "rating", "rating", "note", "agent_id")
_decisions = _of(decisions, "decision", "step", "decided_by", "reason")
_profiles = _of(profiles, "profile", "plan", "usage_volume", "monthly_value")


def _ticket_changes(
    connection: Connection, customer: str, start: float, end: float, most: int
) -> tuple[list[Happening], int]:
    """Events of the customer's tickets, and what their records tell beyond them."""
    of_customer = tickets.c.customer_id == customer
    query = (
        select(ticket_events)
        .join(tickets, tickets.c.id == ticket_events.c.ticket_id)
        .where(of_customer)
    )
    fields = ("ticket_id", "type", "agent_id", "minutes")
    found: list[Happening] = [
        {"at": row.at, "kind": "ticket", "count": 1} | {name: getattr(row, name) for name in fields}
        for row in connection.execute(query)
    ]
    for told in read_told(connection, of_customer).values():
        found += map(_from_record, told.record)
    found = sorted((h for h in found if start < h["at"] <= end), key=lambda h: -h["at"])
    return found[:most], len(found)


def _from_record(change: TicketChange) -> Happening:
    return {
        "at": change.at,
        "kind": "ticket",
        "count": change.count,
        "ticket_id": change.ticket,
        "type": change.type,
        "agent_id": None,
        "minutes": None,
    }


def instants(start: float, end: float) -> list[float]:
    """Where the line has its points: the last second of each UTC day, and `end`.

    Above 180 days one a week; always at `end`.
    """
    step = 1 if end - start <= DAILY * DAY else 7
    first, last = int(start // DAY) + 1, int(end // DAY)
    days = range(last, first - 1, -step)
    return [day * DAY - 1 for day in reversed(days) if day * DAY - 1 > start] + [end]


def line(
    state: State,
    events: Iterable[Event],
    at: Sequence[float],
    settings: IndexSettings,
    days: Snapshots,
) -> Iterator[Reading]:
    """Readings at rising instants, folding each event once; none before the first event that has a date.

    `state` is from before the events, which are in order; it is changed.
    """
    waiting = iter(events)
    event = next(waiting, None)
    for instant in at:
        while event is not None and event.at <= instant:
            state.apply(event, settings)
            event = next(waiting, None)
        if state.at > BEGINNING:
            yield read(state, instant, settings, days.at(instant))


class Snapshots:
    """The portfolio's snapshots of some days, looked up as `States.snapshot` does."""

    def __init__(self, connection: Connection, start: float, end: float) -> None:
        before = (
            select(func.max(snapshots.c.day))
            .where(snapshots.c.day <= day_of(start))
            .scalar_subquery()
        )
        query = (
            select(snapshots.c.day, snapshots.c.body)
            .where(snapshots.c.day >= func.coalesce(before, ""), snapshots.c.day <= day_of(end))
            .order_by(snapshots.c.day)
        )
        rows = connection.execute(query).all()
        self._days = [row.day for row in rows]
        self._taken = [msgspec.json.decode(row.body, type=Snapshot) for row in rows]

    def at(self, instant: float) -> Snapshot:
        place = bisect.bisect_right(self._days, day_of(instant))
        return self._taken[place - 1] if place else Snapshot()
