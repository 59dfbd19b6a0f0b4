"""Messages that wait for the model: claimed in batches, answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from serving.store.database import Database
from serving.store.messages import hash_text
from serving.store.tables import messages, verdicts

_TOGETHER = 2
"""So often a message is claimed among others, and then alone: its text may be one that kills."""
MOST_ATTEMPTS = _TOGETHER + 4
"""After so many the message is to blame."""
_CHARACTERS = 64_000
"""Text of one claim."""


@dataclass(frozen=True)
class Waiting:
    """A message to score; `attempts` counts this one."""

    seq: int
    text: str
    attempts: int = 1


def waits(connection: Connection, now: float) -> bool:
    """Whether there is a message to claim."""
    return connection.scalar(select(messages.c.seq).where(_free(now)).limit(1)) is not None


def claim(connection: Connection, now: float, lease_seconds: float, limit: int) -> list[Waiting]:
    """Take messages that nobody works on, up to `limit` and 64,000 characters, at least one. A claim
    lapses after its lease, so that the messages of a scorer that died are taken again.
    """
    query = (
        select(messages.c.seq, messages.c.text, messages.c.attempts)
        .where(_free(now))
        .order_by(messages.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(query)
    waiting = _first([Waiting(row.seq, row.text or "", row.attempts + 1) for row in rows])
    until, attempts = now + lease_seconds, messages.c.attempts + 1
    _set(connection, [item.seq for item in waiting], claimed_until=until, attempts=attempts)
    return waiting


def _free(now: float) -> Any:
    lapsed = or_(messages.c.claimed_until.is_(None), messages.c.claimed_until < now)
    return and_(~messages.c.scored, lapsed)


def _first(waiting: Sequence[Waiting]) -> list[Waiting]:
    """As many as the model may get at once."""
    taken: list[Waiting] = []
    characters = 0
    for item in waiting:
        alone = item.attempts > _TOGETHER
        characters += len(item.text)
        if taken and (alone or characters > _CHARACTERS):
            break
        taken.append(item)
        if alone:
            break
    return taken


def hold(connection: Connection, seqs: Sequence[int], until: float) -> None:
    """Keep messages from other scorers up to an instant."""
    _set(connection, seqs, claimed_until=until)


def give_back(connection: Connection, seqs: Sequence[int], until: float) -> None:
    """Keep messages up to an instant, and do not count that they were claimed."""
    _set(connection, seqs, claimed_until=until, attempts=messages.c.attempts - 1)


def _set(connection: Connection, seqs: Sequence[int], **values: Any) -> None:
    if seqs:
        connection.execute(update(messages).where(messages.c.seq.in_(seqs)).values(**values))


def finish(
    database: Database,
    connection: Connection,
    waiting: Sequence[Waiting],
    rows: Sequence[dict[str, Any]],
    keep_text: bool,
) -> None:
    """Write verdict rows (of `tables.verdicts`) and mark the messages as scored, in one transaction.

    A message that was scored already keeps its verdict; one that was deleted meanwhile is gone, even
    if its number is another's now. A message without a row could not be read: it counts as calm, and
    its text is kept.
    """
    if not waiting:
        return
    texts = {item.seq: item.text for item in waiting}
    query = (
        select(messages.c.seq, messages.c.text_hash)
        .where(messages.c.seq.in_(texts), ~messages.c.scored)
        .order_by(messages.c.seq)
        .with_for_update()
    )
    found = connection.execute(query).all()
    there = {row.seq for row in found if row.text_hash == hash_text(texts[row.seq])}
    rows = [row for row in rows if row["seq"] in there]
    database.insert_new(connection, verdicts, rows)
    _set(connection, sorted(there), scored=True, claimed_until=None)
    if not keep_text:
        _set(connection, [row["seq"] for row in rows], text=None)
