"""Messages that come in, and verdicts that are asked for: each function is one durable transaction's
part, and idempotent.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select

from serving.index.phrases import refuses_work
from serving.store.customers import create_customers, touch
from serving.store.database import KEYS_A_QUERY, Database
from serving.store.sources import note_sources
from serving.store.tables import messages, tickets, verdicts
from serving.store.tickets import adopt_ticket

OUT = "out"


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Message:
    """A checked message; times in seconds since 1970."""

    source: str
    id: str
    customer_id: str
    direction: str
    channel: str
    sent_at: float
    text: str
    ticket_id: str | None = None
    agent_id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.id

    @property
    def text_hash(self) -> str:
        return hash_text(self.text)


@dataclass(frozen=True)
class Accepted:
    """What became of a batch.

    Attributes:
        new: the messages stored now.
        duplicates: those that were there already, with the same text.
        conflicts: those whose (source, id) is there with another text; the first wins.
        unscored: numbers of the new and known incoming messages that the model has not read yet.
    """

    new: list[Message]
    duplicates: list[Message]
    conflicts: list[Message]
    unscored: dict[tuple[str, str], int]


@dataclass(frozen=True)
class _Stored:
    text_hash: str
    seq: int
    scored: bool


def add_messages(
    database: Database,
    connection: Connection,
    batch: Sequence[Message],
    now: float,
    claimed_until: float | None = None,
    keep_text: bool = True,
) -> Accepted:
    """Store messages once each, and the customers, sources and tickets that they name."""
    first: dict[tuple[str, str], Message] = {}
    repeated = [m for m in batch if first.setdefault(m.key, m) is not m]
    _create(database, connection, list(first.values()), now)
    known = _stored(connection, list(first))
    fresh = [message for key, message in first.items() if key not in known]
    rows = [_row(message, now, claimed_until, keep_text) for message in fresh]
    database.insert_new(connection, messages, rows)
    stored = _stored(connection, list(first))
    new: list[Message] = []
    duplicates: list[Message] = []
    conflicts: list[Message] = []
    mine = {message.key for message in fresh}
    for message in first.values():
        if stored[message.key].text_hash != message.text_hash:
            conflicts.append(message)
        else:
            (new if message.key in mine else duplicates).append(message)
    for message in repeated:
        same = stored[message.key].text_hash == message.text_hash
        (duplicates if same else conflicts).append(message)
    _touch_all(connection, new)
    unscored = {m.key: stored[m.key].seq for m in (*new, *duplicates) if not stored[m.key].scored}
    return Accepted(new, duplicates, conflicts, unscored)


def _row(
    message: Message, now: float, claimed_until: float | None, keep_text: bool
) -> dict[str, Any]:
    outgoing = message.direction == OUT
    return {
        "source": message.source,
        "id": message.id,
        "customer_id": message.customer_id,
        "direction": message.direction,
        "channel": message.channel,
        "sent_at": message.sent_at,
        "received_at": now,
        "ticket_id": message.ticket_id,
        "agent_id": message.agent_id,
        "text": None if outgoing and not keep_text else message.text,
        "text_hash": message.text_hash,
        "refuses": outgoing and refuses_work(message.text),
        "scored": outgoing,
        "claimed_until": None if outgoing else claimed_until,
    }


def _stored(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], _Stored]:
    """The stored messages among the keys."""
    query = select(
        messages.c.source,
        messages.c.id,
        messages.c.text_hash,
        messages.c.seq,
        messages.c.scored,
    )
    return {
        (row.source, row.id): _Stored(row.text_hash, row.seq, row.scored)
        for condition in _of_keys(keys)
        for row in connection.execute(query.where(condition))
    }


def _of_keys(keys: Iterable[tuple[str, str]]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together find the messages of the keys. SQLite looks into its index for one
    source and many ids; for pairs it would read the whole table.
    """
    ids: dict[str, list[str]] = defaultdict(list)
    for source, identity in keys:
        ids[source].append(identity)
    for source, those in ids.items():
        for start in range(0, len(those), KEYS_A_QUERY):
            some = those[start : start + KEYS_A_QUERY]
            yield and_(messages.c.source == source, messages.c.id.in_(some))


def find_verdicts(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Verdicts (JSON) of the messages among the keys that have one."""
    query = select(messages.c.source, messages.c.id, verdicts.c.verdict).join(
        verdicts, verdicts.c.seq == messages.c.seq
    )
    return {
        (row.source, row.id): row.verdict
        for condition in _of_keys(keys)
        for row in connection.execute(query.where(condition))
    }


def _create(
    database: Database, connection: Connection, batch: Sequence[Message], now: float
) -> None:
    """Sources, customers and tickets that a message names for the first time."""
    naming = {m.source for m in batch if m.direction == OUT and m.agent_id}
    note_sources(database, connection, {m.source for m in batch}, naming)
    create_customers(database, connection, {m.customer_id for m in batch}, now)
    owners = {m.ticket_id: m.customer_id for m in reversed(batch) if m.ticket_id}
    rows = [{"id": t, "customer_id": owners[t], "updated_at": now} for t in sorted(owners)]
    database.insert_new(connection, tickets, rows)
    for ticket in sorted(owners):  # its events may have come before anyone said whose it is
        adopt_ticket(connection, ticket, owners[ticket])


def _touch_all(connection: Connection, new: Iterable[Message]) -> None:
    first: dict[str, float] = {}
    for message in new:
        at = first.get(message.customer_id, message.sent_at)
        first[message.customer_id] = min(at, message.sent_at)
    for customer in sorted(first):
        touch(connection, customer, first[customer])
