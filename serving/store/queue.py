"""Messages that wait for the model: claimed in batches, answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from serving.store.database import Database
from serving.store.tables import messages, verdicts


@dataclass(frozen=True)
class Waiting:
    """A message to score."""

    seq: int
    text: str


def claim(connection: Connection, now: float, lease_seconds: float, limit: int) -> list[Waiting]:
    """Take up to `limit` messages that nobody works on. A claim lapses after its lease, so that the
    messages of a scorer that died are taken again.
    """
    query = (
        select(messages.c.seq, messages.c.text)
        .where(
            ~messages.c.scored,
            or_(messages.c.claimed_until.is_(None), messages.c.claimed_until < now),
        )
        .order_by(messages.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    waiting = [Waiting(row.seq, row.text or "") for row in connection.execute(query)]
    hold(connection, [item.seq for item in waiting], now + lease_seconds)
    return waiting


def hold(connection: Connection, seqs: Sequence[int], until: float) -> None:
    """Keep messages from other scorers up to an instant."""
    if seqs:
        connection.execute(
            update(messages).where(messages.c.seq.in_(seqs)).values(claimed_until=until)
        )


def finish(
    database: Database,
    connection: Connection,
    seqs: Sequence[int],
    rows: Sequence[dict[str, Any]],
    keep_text: bool,
) -> None:
    """Write verdict rows (of `tables.verdicts`) and mark the messages as scored, in one transaction.

    A message that was scored already keeps its verdict. `seqs` may hold messages without a row: the
    model could not read them, and they count as calm. A message that was deleted meanwhile is gone.
    """
    if not seqs:
        return
    query = select(messages.c.seq).where(messages.c.seq.in_(seqs)).order_by(messages.c.seq)
    there = set(connection.scalars(query.with_for_update()))
    database.insert_new(connection, verdicts, [row for row in rows if row["seq"] in there])
    done: dict[str, Any] = {"scored": True, "claimed_until": None}
    if not keep_text:
        done["text"] = None
    statement = update(messages).where(messages.c.seq == bindparam("s")).values(**done)
    if there:
        connection.execute(statement, [{"s": seq} for seq in sorted(there)])
