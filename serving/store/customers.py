"""Customers while something is written about them: made, locked, and marked for a new fold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, case, select, update

from serving.store.database import KEYS_A_QUERY, Database
from serving.store.tables import customers

BEGINNING = -1e12
"""Earlier than any time that can be sent: a customer that is dirty from here is folded anew."""


def create_customers(
    database: Database, connection: Connection, names: Iterable[str], now: float
) -> None:
    """Make the customers that are not there yet; all are then locked."""
    missing = set(names)
    missing -= lock_customers(connection, missing)
    while missing:  # again if one was deleted between the two statements
        rows = [{"id": name, "created_at": now} for name in sorted(missing)]
        database.insert_new(connection, customers, rows)
        missing -= lock_customers(connection, missing)


def lock_customers(connection: Connection, names: Iterable[str]) -> set[str]:
    """Keep other writers from these customers up to the end of the transaction; those that are there.

    Whatever writes about customers locks them first, in the order of their names: two requests with
    the same messages then come one after the other, and no two wait for each other. On SQLite the
    transaction has the whole store.
    """
    wanted = sorted(set(names))
    found: set[str] = set()
    for start in range(0, len(wanted), KEYS_A_QUERY):
        query = select(customers.c.id).where(
            customers.c.id.in_(wanted[start : start + KEYS_A_QUERY])
        )
        found.update(
            connection.scalars(query.order_by(customers.c.id).with_for_update(key_share=True))
        )
    return found


def _earlier(present: Any, at: Any) -> Any:
    return case((present.is_(None), at), (present > at, at), else_=present)


def touch(connection: Connection, customer: str, at: float | None) -> None:
    """The customer has an event at `at` that its state does not know."""
    if at is not None:
        column = customers.c.dirty_from
        connection.execute(
            update(customers)
            .where(customers.c.id == customer)
            .values(dirty_from=_earlier(column, at))
        )
