"""What belongs to a customer: all of it out as JSON, all of it deleted, old messages forgotten."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update

from serving.store.audit import trail
from serving.store.customers import BEGINNING, lock_customers
from serving.store.feedback import of_customer
from serving.store.rescored import other_verdicts
from serving.store.tables import (
    alerts,
    checkpoints,
    customers,
    decisions,
    feedback,
    messages,
    outcomes,
    profiles,
    ratings,
    ticket_events,
    tickets,
    verdicts,
)

_OWNED = (profiles, outcomes, ratings, decisions, alerts)


def export_customer(connection: Connection, customer: str) -> dict[str, Any] | None:
    """Everything that is stored of a customer; None when there is no such customer.

    Times are seconds since 1970, names those of the tables. The state and the sentence vectors are
    left out: they follow from the rest.
    """
    rows = _rows(connection, customers, customers.c.id == customer)
    if not rows:
        return None
    found: dict[str, Any] = {"customer": rows[0]}
    others = other_verdicts(connection, customer)
    found["messages"] = [
        row
        | {
            "verdict": json.loads(row["verdict"]) if row["verdict"] else None,
            "other_verdicts": others.get(row["seq"], []),
        }
        for row in _messages(connection, customer)
    ]
    found["tickets"] = _rows(connection, tickets, tickets.c.customer_id == customer)
    owned = select(tickets.c.id).where(tickets.c.customer_id == customer)
    found["ticket_events"] = _rows(connection, ticket_events, ticket_events.c.ticket_id.in_(owned))
    for table in _OWNED:
        found[table.name] = _rows(connection, table, table.c.customer_id == customer)
    found[feedback.name] = _rows(connection, feedback, of_customer(customer))
    found["audit"] = trail(connection, customer)
    return found


def _messages(connection: Connection, customer: str) -> list[dict[str, Any]]:
    query = (
        select(messages, verdicts.c.model, verdicts.c.verdict)
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(messages.c.customer_id == customer)
        .order_by(messages.c.sent_at, messages.c.seq)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _rows(connection: Connection, table: Table, where: Any) -> list[dict[str, Any]]:
    query = select(table).where(where).order_by(*table.primary_key)
    return [dict(row._mapping) for row in connection.execute(query)]


def delete_customer(connection: Connection, customer: str) -> bool:
    """Delete a customer with all that hangs on it; only the audit stays. False when there is none."""
    lock_customers(connection, [customer])
    owned = select(tickets.c.id).where(tickets.c.customer_id == customer)
    connection.execute(delete(ticket_events).where(ticket_events.c.ticket_id.in_(owned)))
    connection.execute(delete(tickets).where(tickets.c.customer_id == customer))
    connection.execute(delete(feedback).where(of_customer(customer)))
    gone = connection.execute(delete(customers).where(customers.c.id == customer))
    return bool(gone.rowcount)


def old_messages(connection: Connection, before: float) -> list[str]:
    """Customers of whom `forget_messages` would delete something."""
    query = select(messages.c.customer_id).where(messages.c.sent_at < before, messages.c.scored)
    return list(connection.scalars(query.distinct()))


def forget_messages(connection: Connection, customer: str, before: float, limit: int) -> int:
    """Delete up to `limit` of a customer's messages sent before an instant; how many went.

    The customer is folded anew from what is left, so that nothing of a forgotten message lives on in
    its index. Where it stood stays, so that nobody is alerted again.
    """
    lock_customers(connection, [customer])
    old = (
        select(messages.c.seq)
        .where(messages.c.customer_id == customer, messages.c.sent_at < before, messages.c.scored)
        .limit(limit)
    )
    gone = connection.execute(delete(messages).where(messages.c.seq.in_(old))).rowcount
    if gone:
        connection.execute(delete(checkpoints).where(checkpoints.c.customer_id == customer))
        connection.execute(
            update(customers).where(customers.c.id == customer).values(dirty_from=BEGINNING)
        )
    return gone
