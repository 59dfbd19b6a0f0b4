"""What the pages of customers read from the store. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from serving.index.ladder import Decision
from serving.index.settings import DAY
from serving.store.tables import customers, decisions, messages, states, verdicts
from serving.store.work import worked_minutes

MONTH = 30 * DAY
SUPPORT_DAYS = 90
"""Support time is told as a mean over so many days."""

_SORTS = {"index": states.c.index_value, "pain": states.c.pain}


@dataclass(frozen=True)
class Listing:
    """Which customers, and in which order.

    Attributes:
        sort: index or pain.
        quadrant, sign: only customers in the one, and with the other standing; None for all.
    """

    sort: str = "index"
    descending: bool = True
    quadrant: str | None = None
    sign: str | None = None


def list_customers(
    connection: Connection, listing: Listing, limit: int, after: tuple[float, str] | None = None
) -> Sequence[Any]:
    """Up to `limit` customers as of their last refresh, from the one after (figure, id) on."""
    figure = _SORTS[listing.sort]
    # The name by its own look-up: a join could be planned from the customers, without the index.
    name = select(customers.c.name).where(customers.c.id == states.c.customer_id).scalar_subquery()
    query = select(
        states.c.customer_id,
        name.label("name"),
        states.c.index_value,
        states.c.pain,
        states.c.quadrant,
        states.c.signs,
        figure.label("figure"),
    ).limit(limit)
    if listing.quadrant is not None:
        # Not the bare column: its own index would be taken, and figures of every row looked up and
        # sorted, where the index of the figure holds all that is asked for.
        query = query.where(states.c.quadrant.concat("") == listing.quadrant)
    if listing.sign is not None:
        query = query.where(states.c.signs.contains(listing.sign, autoescape=True))
    place = tuple_(figure, states.c.customer_id)
    if after is not None:
        query = query.where(place < after if listing.descending else place > after)
    order = (figure, states.c.customer_id)
    query = query.order_by(*(column.desc() if listing.descending else column for column in order))
    return connection.execute(query).all()


def list_messages(
    connection: Connection, customer: str, limit: int, after: tuple[float, int] | None = None
) -> Sequence[Any]:
    """Up to `limit` of a customer's messages, newest first, from before (time, seq) on."""
    place = tuple_(messages.c.sent_at, messages.c.seq)
    query = (
        select(messages, verdicts.c.verdict)
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(messages.c.customer_id == customer)
        .order_by(messages.c.sent_at.desc(), messages.c.seq.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(place < after)
    return connection.execute(query).all()


def pending(connection: Connection, customer: str) -> int:
    """How many of a customer's messages wait for the model."""
    query = (
        select(func.count())
        .select_from(messages)
        .where(messages.c.customer_id == customer, ~messages.c.scored)
    )
    return connection.scalar(query) or 0


def decisions_until(connection: Connection, customer: str, at: float) -> list[Decision]:
    """The steps on record up to an instant, oldest first."""
    query = (
        select(decisions.c.step, decisions.c.at)
        .where(decisions.c.customer_id == customer, decisions.c.at <= at)
        .order_by(decisions.c.at, decisions.c.seq)
    )
    return [Decision(row.step, row.at) for row in connection.execute(query)]


def support_minutes(connection: Connection, customer: str, at: float) -> float | None:
    """Minutes of ticket work a month (30 days), over the 90 days up to `at`; None when none is told."""
    window = SUPPORT_DAYS * DAY
    work = worked_minutes(at - window, at, customer).subquery()
    minutes = connection.scalar(select(func.sum(work.c.minutes)))
    return None if minutes is None else minutes * MONTH / window
