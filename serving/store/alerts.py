"""Alerts in the store: written with the state that changed, delivered until the receiver has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, or_, select, update

from serving.index.alerts import Alert
from serving.index.reading import Reading
from serving.index.settings import DAY
from serving.store.tables import alerts
from serving.times import wire_time

MOST_ATTEMPTS = 12
_DELIVERED_DAYS = 3
"""What is older is in the list only: nobody wants last month's alerts on the day the webhook is set."""

_INSERT_LOCK = 0x62_74_79
"""Held on PostgreSQL by the transaction that writes alerts, so that none is seen before one with a
lower number: who reads on from the last one misses none."""

_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 6 * 3_600.0


@dataclass(frozen=True)
class Due:
    """An alert to deliver."""

    seq: int
    attempts: int
    body: dict[str, Any]


def add_alerts(
    connection: Connection, customer: str, now: float, reading: Reading, found: Sequence[Alert]
) -> None:
    rows = [
        {
            "customer_id": customer,
            "at": now,
            "kind": alert.kind,
            "attempts": 0,
            "body": msgspec.json.encode(
                {"index": reading.index, "pain": reading.pain, "quadrant": reading.quadrant}
                | alert.details
            ).decode(),
        }
        for alert in found
    ]
    if rows:
        lock_alerts(connection)
        connection.execute(alerts.insert(), rows)


def add_notice(connection: Connection, kind: str, now: float, body: dict[str, Any]) -> None:
    """An alert that is about no customer."""
    lock_alerts(connection)
    row = {"at": now, "kind": kind, "attempts": 0, "body": msgspec.json.encode(body).decode()}
    connection.execute(alerts.insert(), [row])


def lock_alerts(connection: Connection) -> None:
    """Until the transaction ends, no other one writes alerts."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_INSERT_LOCK)))


def wire_alert(row: Any) -> dict[str, Any]:
    """An alert as it goes over the wire and to the webhook."""
    return {
        "id": row.seq,
        "at": wire_time(row.at),
        "customer_id": row.customer_id,
        "kind": row.kind,
        **msgspec.json.decode(row.body),
    }


def list_alerts(
    connection: Connection, after: int, limit: int, customer: str | None = None
) -> list[dict[str, Any]]:
    """Alerts with a greater id than `after`, oldest first."""
    query = select(alerts).where(alerts.c.seq > after).order_by(alerts.c.seq).limit(limit)
    if customer is not None:
        query = query.where(alerts.c.customer_id == customer)
    return [wire_alert(row) for row in connection.execute(query)]


def is_due(connection: Connection, now: float) -> bool:
    """Whether there is an alert to deliver."""
    return connection.scalar(select(alerts.c.seq).where(_due(now)).limit(1)) is not None


def _due(now: float) -> Any:
    return and_(
        alerts.c.delivered_at.is_(None),
        alerts.c.at > now - _DELIVERED_DAYS * DAY,
        alerts.c.attempts < MOST_ATTEMPTS,
        or_(alerts.c.next_attempt_at.is_(None), alerts.c.next_attempt_at <= now),
    )


def claim_due(connection: Connection, now: float, lease_seconds: float, limit: int) -> list[Due]:
    """Alerts to deliver now, kept from other processes for the time of a lease."""
    query = (
        select(alerts)
        .where(_due(now))
        .order_by(alerts.c.at, alerts.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = [Due(row.seq, row.attempts, wire_alert(row)) for row in connection.execute(query)]
    if due:
        seqs = [item.seq for item in due]
        connection.execute(
            update(alerts).where(alerts.c.seq.in_(seqs)).values(next_attempt_at=now + lease_seconds)
        )
    return due


def delivered(connection: Connection, item: Due, now: float) -> None:
    values = {"delivered_at": now, "attempts": item.attempts + 1}
    connection.execute(update(alerts).where(alerts.c.seq == item.seq).values(**values))


def failed(connection: Connection, item: Due, now: float) -> None:
    """Try again later, each time after twice the wait; after the last attempt it stays in the list."""
    wait = min(_FIRST_WAIT_SECONDS * 2**item.attempts, _LONGEST_WAIT_SECONDS)
    values = {"attempts": item.attempts + 1, "next_attempt_at": now + wait}
    connection.execute(update(alerts).where(alerts.c.seq == item.seq).values(**values))
