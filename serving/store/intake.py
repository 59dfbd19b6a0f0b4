"""Writing what a company sends: each function is one durable transaction's part, and idempotent.

Whatever touches a customer's history sets `customers.dirty_from` to the earliest new event in the same
transaction, so that no event is forgotten, and a late one makes its customer be folded anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, case, func, select, tuple_, update

from serving.store.database import Database
from serving.store.history import record_events
from serving.store.tables import (
    agents,
    customers,
    decisions,
    messages,
    outcomes,
    profiles,
    ratings,
    sources,
    ticket_events,
    tickets,
    verdicts,
)

_KEYS_A_QUERY = 500
IN, OUT = "in", "out"
BEGINNING = -1e12
"""Earlier than any time that can be sent: a customer that is dirty from here is folded anew."""


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
        "scored": outgoing,
        "claimed_until": None if outgoing else claimed_until,
    }


def _stored(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], _Stored]:
    """The stored messages among the keys."""
    found = {}
    for start in range(0, len(keys), _KEYS_A_QUERY):
        query = select(
            messages.c.source,
            messages.c.id,
            messages.c.text_hash,
            messages.c.seq,
            messages.c.scored,
        ).where(tuple_(messages.c.source, messages.c.id).in_(keys[start : start + _KEYS_A_QUERY]))
        for row in connection.execute(query):
            found[row.source, row.id] = _Stored(row.text_hash, row.seq, row.scored)
    return found


def find_verdicts(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Verdicts (JSON) of the messages among the keys that have one."""
    found = {}
    for start in range(0, len(keys), _KEYS_A_QUERY):
        query = (
            select(messages.c.source, messages.c.id, verdicts.c.verdict)
            .join(verdicts, verdicts.c.seq == messages.c.seq)
            .where(
                tuple_(messages.c.source, messages.c.id).in_(keys[start : start + _KEYS_A_QUERY])
            )
        )
        for row in connection.execute(query):
            found[row.source, row.id] = row.verdict
    return found


def _create(
    database: Database, connection: Connection, batch: Sequence[Message], now: float
) -> None:
    """Sources, customers and tickets that a message names for the first time."""
    _note_sources(database, connection, batch)
    create_customers(database, connection, {m.customer_id for m in batch}, now)
    owners = {m.ticket_id: m.customer_id for m in reversed(batch) if m.ticket_id}
    rows = [{"id": t, "customer_id": owners[t], "updated_at": now} for t in sorted(owners)]
    database.insert_new(connection, tickets, rows)
    for ticket in sorted(owners):  # its events may have come before anyone said whose it is
        adopt_ticket(connection, ticket, owners[ticket])


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
    for start in range(0, len(wanted), _KEYS_A_QUERY):
        query = select(customers.c.id).where(
            customers.c.id.in_(wanted[start : start + _KEYS_A_QUERY])
        )
        found.update(
            connection.scalars(query.order_by(customers.c.id).with_for_update(key_share=True))
        )
    return found


def adopt_ticket(connection: Connection, ticket: str, customer: str) -> None:
    """Say whose an ownerless ticket is, and have its events folded."""
    owned = connection.execute(
        update(tickets)
        .where(tickets.c.id == ticket, tickets.c.customer_id.is_(None))
        .values(customer_id=customer)
    )
    if owned.rowcount:
        touch(connection, customer, _ticket_start(connection, ticket))


def _ticket_times(connection: Connection, ticket: str) -> list[float]:
    """Times of the ticket's first and last event, and of all that its record tells."""
    at = ticket_events.c.at
    query = select(func.min(at), func.max(at)).where(ticket_events.c.ticket_id == ticket)
    told = [at for at in connection.execute(query).one() if at is not None]
    record = connection.execute(select(tickets).where(tickets.c.id == ticket)).one()
    return told + [event.at for event in record_events(record)]


def _ticket_start(connection: Connection, ticket: str) -> float | None:
    return min(_ticket_times(connection, ticket), default=None)


def _note_last(connection: Connection, ticket: str) -> None:
    last = max(_ticket_times(connection, ticket), default=None)
    connection.execute(update(tickets).where(tickets.c.id == ticket).values(last_at=last))


def _note_sources(database: Database, connection: Connection, batch: Sequence[Message]) -> None:
    """Remember which sources name agents.

    Where one does so for the first time, its earlier messages without an agent turn out to be a
    bot's: `fold_sources_anew` is told.
    """
    naming = {m.source for m in batch if m.direction == OUT and m.agent_id}
    names = sorted({m.source for m in batch})
    rows = [{"name": name, "names_agents": False} for name in names]
    database.insert_new(connection, sources, rows)
    for name in sorted(naming):
        connection.execute(
            update(sources)
            .where(sources.c.name == name, ~sources.c.names_agents)
            .values(names_agents=True, anew_after="")
        )


def turned_sources(connection: Connection) -> bool:
    """Whether `fold_sources_anew` has something to do."""
    query = select(sources.c.name).where(sources.c.anew_after.is_not(None)).limit(1)
    return connection.scalar(query) is not None


def fold_sources_anew(connection: Connection, limit: int = _KEYS_A_QUERY) -> int:
    """Of a source that began to name agents, have those be folded anew, among the next customers, to
    whom it wrote without one; how many customers were looked at.

    A message that is being stored meanwhile is folded later, when its source is known.
    """
    query = select(sources).where(sources.c.anew_after.is_not(None)).order_by(sources.c.name)
    source = connection.execute(query.limit(1).with_for_update(skip_locked=True)).one_or_none()
    if source is None:
        return 0
    following = select(customers.c.id).where(customers.c.id > source.anew_after)
    names = list(connection.scalars(following.order_by(customers.c.id).limit(limit)))
    lock_customers(connection, names)
    first = (
        select(messages.c.customer_id, func.min(messages.c.sent_at))
        .where(
            messages.c.customer_id.in_(names),
            messages.c.source == source.name,
            messages.c.direction == OUT,
            messages.c.agent_id.is_(None),
        )
        .group_by(messages.c.customer_id)
    )
    for customer, at in connection.execute(first).all():
        touch(connection, customer, at)
    done = names[-1] if len(names) == limit else None
    connection.execute(update(sources).where(sources.c.name == source.name).values(anew_after=done))
    return max(1, len(names))


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


def _touch_all(connection: Connection, new: Iterable[Message]) -> None:
    first: dict[str, float] = {}
    for message in new:
        at = first.get(message.customer_id, message.sent_at)
        first[message.customer_id] = min(at, message.sent_at)
    for customer in sorted(first):
        touch(connection, customer, first[customer])


def put_customer(
    database: Database, connection: Connection, customer: str, given: dict[str, Any], now: float
) -> None:
    """Set the given fields, and date a change of plan, usage or value at `now`."""
    create_customers(database, connection, [customer], now)
    if not given:
        return
    row = connection.execute(select(customers).where(customers.c.id == customer)).one()
    connection.execute(update(customers).where(customers.c.id == customer).values(**given))
    told = ("plan", "usage_volume", "monthly_value")
    if any(name in given and given[name] != getattr(row, name) for name in told):
        values = {name: given.get(name, getattr(row, name)) for name in told}
        known = connection.scalar(
            select(func.count()).select_from(profiles).where(profiles.c.customer_id == customer)
        )
        started = given.get("started_at", row.started_at)
        at = now if known or started is None else min(started, now)
        connection.execute(profiles.insert().values(customer_id=customer, at=at, **values))
        touch(connection, customer, at)


def put_ticket(
    database: Database, connection: Connection, ticket: str, given: dict[str, Any], now: float
) -> None:
    """Replace a ticket's record of final counts."""
    owners = {given["customer_id"], _owner(connection, ticket)} - {None}
    lock_customers(connection, owners)
    create_customers(database, connection, [given["customer_id"]], now)
    before = connection.execute(select(tickets).where(tickets.c.id == ticket)).one_or_none()
    fields = (
        "opened_at",
        "first_reply_at",
        "resolved_at",
        "reopened",
        "handoffs",
        "minutes_of_work",
    )
    row = {"id": ticket, "updated_at": now} | {name: given.get(name) for name in fields}
    database.upsert(connection, tickets, [row | {"customer_id": given["customer_id"]}])
    _note_last(connection, ticket)
    after = connection.execute(select(tickets).where(tickets.c.id == ticket)).one()
    for record in (before, after):
        if record is not None and record.customer_id is not None:
            start = _ticket_start(connection, ticket)
            old = [event.at for event in record_events(record)]
            known = [*old, *([] if start is None else [start])]
            touch(connection, record.customer_id, min(known, default=None))


def add_ticket_events(
    database: Database,
    connection: Connection,
    ticket: str,
    events: Sequence[dict[str, Any]],
    now: float,
) -> tuple[int, int]:
    """Store events once each; how many were new, and how many known."""
    database.insert_new(connection, tickets, [{"id": ticket, "updated_at": now}])
    owner = _lock_ticket(connection, ticket)
    start = _ticket_start(connection, ticket)
    known = set(
        connection.scalars(select(ticket_events.c.id).where(ticket_events.c.ticket_id == ticket))
    )
    fresh = {e["id"]: e | {"ticket_id": ticket} for e in reversed(events) if e["id"] not in known}
    database.insert_new(connection, ticket_events, list(fresh.values()))
    _note_last(connection, ticket)
    if owner is not None and fresh:
        # The first event replaces what the bare record told, which may begin earlier.
        times = [event["at"] for event in fresh.values()]
        touch(connection, owner, min([*times, *([] if start is None or known else [start])]))
    return len(fresh), len(events) - len(fresh)


def _owner(connection: Connection, ticket: str) -> str | None:
    owner: str | None = connection.scalar(
        select(tickets.c.customer_id).where(tickets.c.id == ticket)
    )
    return owner


def _lock_ticket(connection: Connection, ticket: str) -> str | None:
    """Keep a ticket, and first its owner, from other writers; the owner."""
    if (owner := _owner(connection, ticket)) is not None:
        lock_customers(connection, [owner])
    query = select(tickets.c.customer_id).where(tickets.c.id == ticket)
    kept: str | None = connection.scalar(query.with_for_update(key_share=True))
    return kept


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
