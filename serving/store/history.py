"""A customer's stored events, as the index reads them, in the order in which they are folded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, select

from serving.index.events import (
    Event,
    Incoming,
    Outcome,
    Outgoing,
    Profile,
    Rating,
    TicketChange,
)
from serving.index.state import order
from serving.store.tables import (
    messages,
    outcomes,
    profiles,
    ratings,
    sources,
    ticket_events,
    tickets,
    verdicts,
)

_DISPLEASED = 0.5


def load_events(
    connection: Connection, customer: str, after: float, up_to: float = float("inf")
) -> list[Event]:
    """All scored events of a customer with `after` < time <= `up_to`, in order."""
    found = [
        *_messages(connection, customer, after, up_to),
        *_tickets(connection, customer, after, up_to),
        *_others(connection, customer, after, up_to),
    ]
    return order(found)


def _within(column: Any, after: float, up_to: float = float("inf")) -> Any:
    """The bounds that are finite: PostgreSQL compares with infinity, SQLite cannot bind it."""
    bounds = []
    if after > float("-inf"):
        bounds.append(column > after)
    if up_to < float("inf"):
        bounds.append(column <= up_to)
    return bounds


def _messages(connection: Connection, customer: str, after: float, up_to: float) -> Iterator[Event]:
    bots = set(connection.scalars(select(sources.c.name).where(sources.c.names_agents)))
    query = (
        select(
            messages.c.source,
            messages.c.id,
            messages.c.direction,
            messages.c.channel,
            messages.c.sent_at,
            messages.c.ticket_id,
            messages.c.agent_id,
            verdicts,
        )
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(
            messages.c.customer_id == customer,
            messages.c.scored,
            *_within(messages.c.sent_at, after, up_to),
        )
    )
    for row in connection.execute(query):
        if row.direction == "in":
            yield _incoming(row)
        else:
            person = row.agent_id is not None or row.source not in bots
            yield Outgoing(
                at=row.sent_at,
                id=row.id,
                channel=row.channel,
                ticket=row.ticket_id,
                person=person,
            )


def _incoming(row: Row[Any]) -> Incoming:
    """A message that the model could not read counts as one without a word of hostility."""
    place = {
        "at": row.sent_at,
        "id": row.id,
        "channel": row.channel,
        "ticket": row.ticket_id,
    }
    if row.verdict is None:
        return Incoming(**place)
    verdict = json.loads(row.verdict)
    return Incoming(
        **place,
        **verdict["scores"],
        labels=frozenset(verdict["labels"]),
        grave=row.grave,
        off_channel=row.off_channel,
        out_of_scope=row.out_of_scope,
        thanks=row.thanks,
        asks=row.asks,
        displeased=verdict["sentiment"]["negative"] >= _DISPLEASED,
        vector=row.vector,
    )


def _tickets(connection: Connection, customer: str, after: float, up_to: float) -> Iterator[Event]:
    """Events of the customer's tickets. A ticket without events is read from its record.

    Tickets whose last event is known already are not looked at, however many there are.
    """
    of_customer = tickets.c.customer_id == customer, *_within(tickets.c.last_at, after)
    told = (
        select(ticket_events.c.at, ticket_events.c.ticket_id, ticket_events.c.type)
        .join_from(tickets, ticket_events, tickets.c.id == ticket_events.c.ticket_id)
        .where(*of_customer, *_within(ticket_events.c.at, after, up_to))
    )
    for row in connection.execute(told):
        yield TicketChange(at=row.at, ticket=row.ticket_id, type=row.type)
    bare = ~exists().where(ticket_events.c.ticket_id == tickets.c.id)
    for row in connection.execute(select(tickets).where(*of_customer, bare)):
        yield from (e for e in record_events(row) if after < e.at <= up_to)


def record_events(record: Any) -> list[TicketChange]:
    """What a bare ticket record tells: counts without a time are dated at its last change."""
    times = {
        "opened": record.opened_at,
        "replied": record.first_reply_at,
        "resolved": record.resolved_at,
    }
    known = [at for at in times.values() if at is not None]
    last = max(known, default=record.updated_at)
    found = [
        TicketChange(at=at, ticket=record.id, type=kind)
        for kind, at in times.items()
        if at is not None
    ]
    counts = {"handed_over": record.handoffs, "reopened": record.reopened}
    found += [
        TicketChange(at=last, ticket=record.id, type=kind, count=count)
        for kind, count in counts.items()
        if count
    ]
    return found


def _others(connection: Connection, customer: str, after: float, up_to: float) -> Iterator[Event]:
    def rows(table: Any) -> Sequence[Row[Any]]:
        query: Select[Any] = select(table).where(
            table.c.customer_id == customer, *_within(table.c.at, after, up_to)
        )
        return connection.execute(query).all()

    yield from (Outcome(at=row.at, type=row.type) for row in rows(outcomes))
    yield from (Rating(at=row.at, rating=row.rating) for row in rows(ratings))
    for row in rows(profiles):
        yield Profile(
            at=row.at,
            plan=row.plan,
            usage_volume=row.usage_volume,
            monthly_value=row.monthly_value,
        )
