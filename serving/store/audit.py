"""Who read or decided what about a customer, and when. Rows are never changed."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from serving.store.tables import audit


def record(
    connection: Connection,
    at: float,
    key_id: str | None,
    action: str,
    customer_id: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """One row; `key_id` is None where no keys are in use. `details` never hold a message's text."""
    connection.execute(
        audit.insert().values(
            at=at,
            key_id=key_id,
            action=action,
            customer_id=customer_id,
            details=msgspec.json.encode(details).decode() if details else None,
        )
    )


def trail(connection: Connection, customer_id: str) -> list[dict[str, Any]]:
    """All that was recorded of a customer, oldest first."""
    query = select(audit).where(audit.c.customer_id == customer_id).order_by(audit.c.seq)
    return [dict(row._mapping) for row in connection.execute(query)]
