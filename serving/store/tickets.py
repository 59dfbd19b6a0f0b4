"""Tickets: whose they are, their records of final counts, and their events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from serving.store.customers import create_customers, lock_customers, touch
from serving.store.database import Database
from serving.store.tables import messages, sources, ticket_events, tickets
from serving.store.told import Told, read_told

_RECORD = (
    "opened_at",
    "first_reply_at",
    "resolved_at",
    "reopened",
    "handoffs",
    "minutes_of_work",
)


def adopt_ticket(connection: Connection, ticket: str, customer: str) -> None:
    """Say whose an ownerless ticket is, and have its events folded."""
    owned = connection.execute(
        update(tickets)
        .where(tickets.c.id == ticket, tickets.c.customer_id.is_(None))
        .values(customer_id=customer)
    )
    if owned.rowcount:
        _touch_changed(connection, customer, Told(ticket), _told(connection, ticket))


def put_ticket(
    database: Database, connection: Connection, ticket: str, given: dict[str, Any], now: float
) -> float | None:
    """Replace a ticket's record of final counts; the instant at which counts that no event tells are
    dated, None where there are none.
    """
    customer = given["customer_id"]
    lock_customers(connection, {customer, _owner(connection, ticket)} - {None})
    create_customers(database, connection, [customer], now)
    before, owner = _told(connection, ticket), _owner(connection, ticket)
    row = {"id": ticket, "customer_id": customer, "updated_at": now}
    database.upsert(connection, tickets, [row | {name: given.get(name) for name in _RECORD}])
    after = _told(connection, ticket)
    _note_last(connection, after)
    if owner == customer:
        _touch_changed(connection, customer, before, after)
    else:
        if owner is not None:
            _touch_changed(connection, owner, before, Told(ticket))
        _touch_changed(connection, customer, Told(ticket), after)
    return _counts_dated_at(given, after)


def _counts_dated_at(given: dict[str, Any], told: Told) -> float | None:
    worked = any(change.type == "work" for change in told.events)
    counted = any(change.type in ("handed_over", "reopened") for change in told.record)
    if not counted and (worked or not given.get("minutes_of_work")):
        return None
    times = (given.get(name) for name in ("opened_at", "first_reply_at", "resolved_at"))
    return max((at for at in times if at is not None), default=None)


def add_ticket_events(
    database: Database,
    connection: Connection,
    ticket: str,
    events: Sequence[dict[str, Any]],
    now: float,
) -> tuple[int, int]:
    """Store events once each; how many were new, and how many known."""
    database.insert_new(connection, tickets, [{"id": ticket, "updated_at": now}])
    owner = _lock_ticket(connection, ticket)
    before = _told(connection, ticket)
    known = set(
        connection.scalars(select(ticket_events.c.id).where(ticket_events.c.ticket_id == ticket))
    )
    fresh = {e["id"]: e | {"ticket_id": ticket} for e in reversed(events) if e["id"] not in known}
    database.insert_new(connection, ticket_events, list(fresh.values()))
    after = _told(connection, ticket)
    _note_last(connection, after)
    if owner is not None:
        _touch_changed(connection, owner, before, after)
    return len(fresh), len(events) - len(fresh)


def _owner(connection: Connection, ticket: str) -> str | None:
    owner: str | None = connection.scalar(
        select(tickets.c.customer_id).where(tickets.c.id == ticket)
    )
    return owner


def _lock_ticket(connection: Connection, ticket: str) -> str | None:
    """Keep a ticket, and first its owner, from other writers; the owner."""
    if (owner := _owner(connection, ticket)) is not None:
        lock_customers(connection, [owner])
    query = select(tickets.c.customer_id).where(tickets.c.id == ticket)
    kept: str | None = connection.scalar(query.with_for_update(key_share=True))
    return kept


def _told(connection: Connection, ticket: str) -> Told:
    return read_told(connection, tickets.c.id == ticket).get(ticket, Told(ticket))


def _note_last(connection: Connection, told: Told) -> None:
    last = max((change.at for change in told.changes), default=None)
    connection.execute(update(tickets).where(tickets.c.id == told.ticket).values(last_at=last))


def _touch_changed(connection: Connection, customer: str, before: Told, after: Told) -> None:
    """Have the customer folded from the earliest change on that is not told as before, or the earliest
    message that a first reply turns into no person's, or into one.
    """
    old, new = Counter(before.changes), Counter(after.changes)
    times = [change.at for change in (old - new) + (new - old)]
    if before.wait != after.wait:
        for told in (before, after):
            times += _sent_before_reply(connection, customer, told)
    touch(connection, customer, min(times, default=None))


def _sent_before_reply(connection: Connection, customer: str, told: Told) -> list[float]:
    """Times of the first messages, on the ticket and on none, that `FirstReplies` says came before the
    reply, and that would be taken for a person's without it.
    """
    if told.wait is None:
        return []
    start, end = told.wait
    naming = select(sources.c.name).where(sources.c.names_agents)
    first = select(func.min(messages.c.sent_at)).where(
        messages.c.customer_id == customer,
        messages.c.sent_at < end,
        messages.c.direction == "out",
        messages.c.agent_id.is_(None),
        messages.c.source.not_in(naming),
    )
    on_ticket = first.where(messages.c.ticket_id == told.ticket)
    on_none = first.where(messages.c.ticket_id.is_(None), messages.c.sent_at >= start)
    found = (connection.scalar(query) for query in (on_ticket, on_none))
    return [at for at in found if at is not None]
