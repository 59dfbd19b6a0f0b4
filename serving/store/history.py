"""A customer's stored events, as the index reads them, in the order in which they are folded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Select, select

from serving.corrections import Labels, correct
from serving.index.events import (
    Event,
    Incoming,
    Outcome,
    Outgoing,
    Profile,
    Rating,
)
from serving.index.state import order
from serving.store.feedback import corrections_of
from serving.store.tables import (
    messages,
    outcomes,
    profiles,
    ratings,
    sources,
    tickets,
    verdicts,
)
from serving.store.told import FirstReplies, read_told

_DISPLEASED = 0.5
_GRAVE_KINDS = ("physical", "private_data")
_INSULTS = {"abuse", "threat"}


def load_events(
    connection: Connection,
    customer: str,
    after: float,
    up_to: float = float("inf"),
    judged: FromClause = verdicts,
) -> list[Event]:
    """All scored events of a customer with `after` < time <= `up_to`, in order.

    Tickets that were last changed before `after` are not looked at, however many there are. `judged`
    has the columns of `verdicts`.
    """
    told = read_told(
        connection, tickets.c.customer_id == customer, *_within(tickets.c.last_at, after)
    ).values()
    found = [
        *_messages(connection, customer, after, up_to, FirstReplies(told), judged),
        *(change for one in told for change in one.changes if after < change.at <= up_to),
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


def _messages(
    connection: Connection,
    customer: str,
    after: float,
    up_to: float,
    replies: FirstReplies,
    judged: FromClause,
) -> Iterator[Event]:
    """Messages. One without an agent counts as a person's where its source names none, and no ticket
    tells that the first reply came later.
    """
    bots = set(connection.scalars(select(sources.c.name).where(sources.c.names_agents)))
    corrections = corrections_of(connection, customer)
    query = (
        select(
            messages.c.seq.label("number"),
            messages.c.source,
            messages.c.id,
            messages.c.direction,
            messages.c.channel,
            messages.c.sent_at,
            messages.c.ticket_id,
            messages.c.agent_id,
            messages.c.refuses,
            judged,
        )
        .outerjoin(judged, judged.c.seq == messages.c.seq)
        .where(
            messages.c.customer_id == customer,
            messages.c.scored,
            *_within(messages.c.sent_at, after, up_to),
        )
    )
    for row in connection.execute(query):
        if row.direction == "in":
            yield incoming(row, corrections.get(row.number))
        else:
            person = row.agent_id is not None or (
                row.source not in bots and not replies.come_after(row.ticket_id, row.sent_at)
            )
            yield Outgoing(
                at=row.sent_at,
                id=row.id,
                channel=row.channel,
                ticket=row.ticket_id,
                person=person,
                refuses=row.refuses,
            )


def incoming(row: Any, corrected: Labels | None = None) -> Incoming:
    """The event of a row of `messages` with the columns of its row of `verdicts`, if there is one: a
    message that the model could not read counts as one without a word of hostility.

    What people say of it (`corrected`) takes the place of what the model says.
    """
    place = {
        "at": row.sent_at,
        "id": row.id,
        "channel": row.channel,
        "ticket": row.ticket_id,
    }
    if row.verdict is None:
        return Incoming(**place)
    labels = corrected or {}
    verdict = correct(json.loads(row.verdict), labels)
    insults = not _INSULTS.isdisjoint(verdict["labels"])
    return Incoming(
        **place,
        **verdict["scores"],
        labels=frozenset(verdict["labels"]),
        grave_kind=max(verdict["threat_kind"][kind] for kind in _GRAVE_KINDS),
        off_channel=labels.get("off_channel", row.off_channel),
        out_of_scope=labels.get("out_of_scope", row.out_of_scope),
        thanks=row.thanks and not verdict["labels"],
        asks=row.asks,
        displeased=verdict["sentiment"]["negative"] >= _DISPLEASED,
        takes_back=row.takes_back and not insults,
        vector=row.vector,
    )


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
