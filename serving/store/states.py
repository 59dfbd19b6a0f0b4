"""Customers' states in the store: brought up to date, looked up as of an instant, refreshed for lists.

A state is what `serving.index.fold` makes of the customer's events; a kept one only saves work. Every
`EVENTS_A_CHECKPOINT` events a copy is kept, so that the past and a late event cost as little.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, exists, func, select, update

from serving.index.alerts import Standing, changes, standing_of
from serving.index.portfolio import Member, Snapshot, take_snapshot
from serving.index.reading import Reading, read
from serving.index.settings import DAY, IndexSettings
from serving.index.signs import contacts_in_window
from serving.index.state import LOGIC, State, fold, pack, unpack
from serving.store.alerts import add_alerts
from serving.store.customers import BEGINNING, lock_customers, touch
from serving.store.database import Database
from serving.store.history import load_events
from serving.store.tables import (
    checkpoints,
    customers,
    facts,
    messages,
    snapshots,
    states,
)

log = logging.getLogger(__name__)

EVENTS_A_CHECKPOINT = 128
_SNAPSHOT_SECONDS = 3_600.0
_FINGERPRINT = "index settings"


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


@dataclass(frozen=True)
class _Figures:
    """What is kept of a reading for lists, in the `columns` of the table of states."""

    reading: Reading
    standing: Standing
    columns: dict[str, Any]

    def tell(
        self, connection: Connection, customer: str, now: float, before: Row[Any] | None
    ) -> None:
        """Keep an alert for each change from where the customer's row of states says that it stood."""
        found = changes(_standing(before), self.standing)
        add_alerts(connection, customer, now, self.reading, found)


class States:
    """States under one set of index settings."""

    def __init__(self, database: Database, settings: IndexSettings) -> None:
        self._database = database
        self._settings = settings
        self._snapshot_at = float("-inf")

    def check_settings(self) -> None:
        """Mark every state for a new fold when it was made with other settings, or by a version of
        brandtox whose states hold other things, or that folds them otherwise.
        """
        values = {name: getattr(self._settings, name) for name in IndexSettings.model_fields}
        shape = hashlib.sha256(msgspec.json.encode(msgspec.json.schema(State)))
        own = json.dumps(values | {"state": shape.hexdigest(), "logic": LOGIC})
        with self._database.begin() as connection:
            kept = connection.scalar(select(facts.c.value).where(facts.c.name == _FINGERPRINT))
            if kept == own:
                return
            if kept is not None:
                self.forget_all(connection)
            rows = [{"name": _FINGERPRINT, "value": own}]
            self._database.upsert(connection, facts, rows)

    def forget_all(self, connection: Connection) -> None:
        """Every state is folded anew, from the first event on."""
        lock_customers(connection, connection.scalars(select(customers.c.id)))
        connection.execute(update(customers).values(dirty_from=BEGINNING))
        connection.execute(delete(checkpoints))

    def stale(self, connection: Connection, limit: int, but: Collection[str] = ()) -> list[str]:
        """Customers with events that their state does not know, none of which waits for the model.

        First those with the newest events, who do not wait behind somebody's past that is being told,
        then as many of those with the oldest.
        """
        waiting = exists().where(messages.c.customer_id == customers.c.id, ~messages.c.scored)
        known = customers.c.dirty_from
        query = (
            select(customers.c.id)
            .where(known.is_not(None), ~waiting, customers.c.id.not_in(but))
            .limit((limit + 1) // 2)
        )
        newest = list(connection.scalars(query.order_by(known.desc())))
        if len(newest) < (limit + 1) // 2:
            return newest
        return list(dict.fromkeys([*newest, *connection.scalars(query.order_by(known))]))

    def bring_up_to_date(self, customer: str, now: float) -> Reading | None:
        """Fold what the customer's state does not know yet; the new reading.

        None when there is nothing to do, or a message still waits for the model.
        """
        with self._database.begin() as connection:
            if (dirty_from := self._lock(connection, customer)) is None:
                return None
            if self._waits(connection, customer):
                return None
            snapshot = self.snapshot(connection, now)
            before = self._kept(connection, customer)
            if before is None or before.at >= dirty_from:
                connection.execute(
                    delete(checkpoints).where(
                        checkpoints.c.customer_id == customer, checkpoints.c.at >= dirty_from
                    )
                )
                before = self._checkpoint(connection, customer, dirty_from)
            state = self._fold(connection, customer, before)
            reading = self._keep(connection, customer, state, now, snapshot)
            connection.execute(
                update(customers).where(customers.c.id == customer).values(dirty_from=None)
            )
            return reading

    def _lock(self, connection: Connection, customer: str) -> float | None:
        query = select(customers.c.dirty_from).where(customers.c.id == customer)
        at: float | None = connection.scalar(query.with_for_update(key_share=True))
        return at

    def _waits(self, connection: Connection, customer: str) -> bool:
        query = select(messages.c.seq).where(messages.c.customer_id == customer, ~messages.c.scored)
        return connection.scalar(query.limit(1)) is not None

    def _kept(self, connection: Connection, customer: str) -> State | None:
        packed = connection.scalar(select(states.c.state).where(states.c.customer_id == customer))
        return _unpack(packed)

    def _checkpoint(self, connection: Connection, customer: str, before: float) -> State:
        """The last checkpoint from before a time; an empty state when there is none."""
        query = (
            select(checkpoints.c.state)
            .where(checkpoints.c.customer_id == customer, checkpoints.c.at < before)
            .order_by(checkpoints.c.at.desc())
            .limit(1)
        )
        return _unpack(connection.scalar(query)) or State()

    def _fold(self, connection: Connection, customer: str, state: State) -> State:
        """Fold the events after the state, and keep checkpoints on the way, none of them between two
        events of one instant.
        """
        events = load_events(connection, customer, state.at)
        kept: list[dict[str, Any]] = []
        done = state.events // EVENTS_A_CHECKPOINT
        for place, event in enumerate(events):
            state.apply(event, self._settings)
            ends = place + 1 == len(events) or events[place + 1].at > event.at
            if ends and state.events // EVENTS_A_CHECKPOINT > done:
                done = state.events // EVENTS_A_CHECKPOINT
                kept.append({"customer_id": customer, "at": state.at, "state": pack(state)})
        self._database.upsert(connection, checkpoints, kept)
        return state

    def _keep(
        self,
        connection: Connection,
        customer: str,
        state: State,
        now: float,
        snapshot: Snapshot,
    ) -> Reading:
        """Keep a state with its figures, and tell what changed."""
        figures = self._figures(state, now, snapshot)
        query = select(states).where(states.c.customer_id == customer)
        figures.tell(connection, customer, now, connection.execute(query).one_or_none())
        row = {"customer_id": customer, "state": pack(state), "at": _finite(state.at)}
        self._database.upsert(connection, states, [row | figures.columns])
        return figures.reading

    def _figures(self, state: State, now: float, snapshot: Snapshot) -> _Figures:
        reading = read(state, max(now, state.at), self._settings, snapshot)
        standing = standing_of(reading, self._settings)
        columns = {
            "refreshed_at": reading.at,
            "index_value": reading.index,
            "pain": reading.pain,
            "quadrant": reading.quadrant,
            "signs": "|".join(sorted(standing.signs)),
            "prepare_separation": standing.prepare_separation,
            "grave_at": standing.grave_at,
            "rate": state.language.own_rate(reading.at, self._settings),
            "contacts": contacts_in_window(state, reading.at, self._settings),
        }
        return _Figures(reading, standing, columns)

    def as_of(self, connection: Connection, customer: str, at: float) -> State:
        """The state after all scored events up to an instant."""
        kept = self._kept(connection, customer)
        dirty_from = connection.scalar(
            select(customers.c.dirty_from).where(customers.c.id == customer)
        )
        known = float("inf") if dirty_from is None else dirty_from
        if kept is None or kept.at > at or kept.at >= known:
            kept = self._checkpoint(connection, customer, min(at, known))
        return fold(load_events(connection, customer, kept.at, at), self._settings, kept)

    def snapshot(self, connection: Connection, at: float) -> Snapshot:
        """The portfolio against which customers are seen on the instant's day (UTC): as it stood at the
        end of the day before, or of the last one before that on which the service ran; the shipped
        figures up to the first such day. No later snapshot changes it.
        """
        query = (
            select(snapshots.c.body)
            .where(snapshots.c.day <= day_of(at))
            .order_by(snapshots.c.day.desc())
            .limit(1)
        )
        body = connection.scalar(query)
        return msgspec.json.decode(body, type=Snapshot) if body else Snapshot()

    def take_snapshot(self, now: float) -> None:
        """Keep the portfolio as tomorrow's, anew every hour. Once its day has begun it is not changed, so
        that what is asked about that day again is answered as before.
        """
        if now - self._snapshot_at < _SNAPSHOT_SECONDS:
            return
        day = day_of(now + DAY)
        with self._database.read() as connection:
            taken = take_snapshot(day, self._members(connection), self._settings)
        row = {"day": day, "body": msgspec.json.encode(taken).decode()}
        with self._database.begin() as connection:
            self._database.upsert(connection, snapshots, [row])
        self._snapshot_at = now

    def _members(self, connection: Connection) -> Iterator[Member]:
        query = select(
            states.c.rate,
            states.c.contacts,
            customers.c.plan,
            customers.c.usage_volume,
            customers.c.monthly_value,
        ).join(customers, customers.c.id == states.c.customer_id)
        for row in connection.execute(query):
            yield Member(*row)

    def refresh(self, now: float, older_than: float, limit: int) -> int:
        """Read anew up to `limit` states whose figures for lists are older than an instant.

        A state is read before the transaction that writes: one that another kept meanwhile has newer
        figures, and stays as it is.
        """
        with self._database.read() as connection:
            snapshot = self.snapshot(connection, now)
            query = (
                select(states)
                .where(states.c.refreshed_at < older_than)
                .order_by(states.c.refreshed_at)
                .limit(limit)
            )
            rows = connection.execute(query).all()
        found = [(row, self._read_anew(row, now, snapshot)) for row in rows]
        if found:
            with self._database.begin() as connection:
                lock_customers(connection, [row.customer_id for row in rows])
                for row, figures in found:
                    self._write_figures(connection, row, figures, now)
        return len(found)

    def _read_anew(self, row: Row[Any], now: float, snapshot: Snapshot) -> _Figures | None:
        """The figures of a kept state; None when it cannot be read."""
        state = _unpack(row.state)
        try:
            return self._figures(state, now, snapshot) if state else None
        except Exception as error:
            kind = type(error).__name__
            log.error("the state of customer %s cannot be read: %s", row.customer_id, kind)
            return None

    def _write_figures(
        self, connection: Connection, row: Row[Any], figures: _Figures | None, now: float
    ) -> None:
        """Write figures, unless the state was kept anew. A customer whose state cannot be read is
        folded from the beginning, and not looked at before.
        """
        same = (
            states.c.customer_id == row.customer_id,
            states.c.at == row.at,
            states.c.refreshed_at == row.refreshed_at,
        )
        columns = {"refreshed_at": now} if figures is None else figures.columns
        if not connection.execute(update(states).where(*same).values(**columns)).rowcount:
            return
        if figures is None:
            touch(connection, row.customer_id, BEGINNING)
        else:
            figures.tell(connection, row.customer_id, now, row)

    def refreshed_at(self, connection: Connection) -> float | None:
        """The oldest time of a figure in the lists."""
        oldest: float | None = connection.scalar(select(func.min(states.c.refreshed_at)))
        return oldest


def _standing(row: Row[Any] | None) -> Standing:
    """Where the customer of a row of `states` stood."""
    if row is None:
        return Standing()
    signs = frozenset(row.signs.split("|")) if row.signs else frozenset[str]()
    return Standing(row.quadrant, signs, row.prepare_separation, row.grave_at)


def _unpack(packed: bytes | None) -> State | None:
    """A kept state; None when there is none, or it is of another version of brandtox."""
    if packed is None:
        return None
    try:
        return unpack(packed)
    except msgspec.DecodeError:
        return None


def _finite(at: float) -> float:
    return at if at > float("-inf") else 0.0
