"""What is told of customers beside messages and tickets: profiles, agents, outcomes, ratings, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, update

from serving.store.customers import BEGINNING, create_customers, touch
from serving.store.database import Database
from serving.store.tables import agents, customers, decisions, outcomes, profiles, ratings


def put_customer(
    database: Database, connection: Connection, customer: str, given: dict[str, Any], now: float
) -> None:
    """Set the given fields. The first plan, usage and value hold from the beginning, a change of them
    from `now` on.
    """
    create_customers(database, connection, [customer], now)
    if not given:
        return
    row = connection.execute(select(customers).where(customers.c.id == customer)).one()
    connection.execute(update(customers).where(customers.c.id == customer).values(**given))
    told = ("plan", "usage_volume", "monthly_value")
    if any(name in given and given[name] != getattr(row, name) for name in told):
        values = {name: given.get(name, getattr(row, name)) for name in told}
        earlier = select(profiles.c.seq).where(profiles.c.customer_id == customer).limit(1)
        at = BEGINNING if connection.scalar(earlier) is None else now
        connection.execute(profiles.insert().values(customer_id=customer, at=at, **values))
        touch(connection, customer, at)


def put_agent(
    database: Database, connection: Connection, agent: str, given: dict[str, Any]
) -> None:
    database.insert_new(connection, agents, [{"id": agent}])
    if given:
        connection.execute(update(agents).where(agents.c.id == agent).values(**given))


def add_outcome(
    database: Database, connection: Connection, customer: str, row: dict[str, Any], now: float
) -> bool:
    """False when the same outcome at the same time is there already."""
    create_customers(database, connection, [customer], now)
    same = select(outcomes.c.seq).where(
        outcomes.c.customer_id == customer,
        outcomes.c.type == row["type"],
        outcomes.c.at == row["at"],
    )
    if connection.scalar(same) is not None:
        return False
    database.insert_new(connection, outcomes, [row | {"customer_id": customer}])
    touch(connection, customer, row["at"])
    return True


def add_rating(
    database: Database, connection: Connection, customer: str, row: dict[str, Any], now: float
) -> bool:
    """False when it is there already; one without a time is of now."""
    create_customers(database, connection, [customer], now)
    if _is_there(connection, ratings, customer, row, ("agent_id", "rating", "note")):
        return False
    dated = row | {"at": now if row["at"] is None else row["at"]}
    connection.execute(ratings.insert().values(customer_id=customer, **dated))
    touch(connection, customer, dated["at"])
    return True


def add_decision(connection: Connection, customer: str, row: dict[str, Any], now: float) -> bool:
    """The same for a decision on a customer, who must be there and locked."""
    if _is_there(connection, decisions, customer, row, ("step", "decided_by")):
        return False
    dated = row | {"at": now if row["at"] is None else row["at"]}
    connection.execute(decisions.insert().values(customer_id=customer, **dated))
    return True


def _is_there(
    connection: Connection, table: Table, customer: str, row: dict[str, Any], same: Sequence[str]
) -> bool:
    """Whether a row was sent before: by its id, and without one by its time, if it has one, and what
    else is the `same`.
    """
    found = select(table.c.seq).where(table.c.customer_id == customer)
    if row.get("id") is not None:
        found = found.where(table.c.id == row["id"])
    elif row["at"] is not None:
        equal = [table.c[name].is_not_distinct_from(row[name]) for name in same]
        found = found.where(table.c.at == row["at"], table.c.id.is_(None), *equal)
    else:
        return False
    return connection.scalar(found.limit(1)) is not None
