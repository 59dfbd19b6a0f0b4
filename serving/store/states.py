"""Customers' states in the store: brought up to date, looked up as of an instant, refreshed for lists.

A state is what `serving.index.fold` makes of the customer's events; a kept one only saves work. Every
`EVENTS_A_CHECKPOINT` events a copy is kept, so that the past and a late event cost as little.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, exists, func, select, update

from serving.index.alerts import Standing, changes, standing_of
from serving.index.portfolio import Member, Snapshot, take_snapshot
from serving.index.reading import Reading, read
from serving.index.settings import IndexSettings
from serving.index.signs import contacts_in_window
from serving.index.state import State, fold, pack, unpack
from serving.store.alerts import add_alerts
from serving.store.database import Database
from serving.store.history import load_events
from serving.store.intake import BEGINNING, lock_customers, touch
from serving.store.tables import (
    checkpoints,
    customers,
    facts,
    messages,
    snapshots,
    states,
)

EVENTS_A_CHECKPOINT = 128
_FINGERPRINT = "index settings"


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


class States:
    """States under one set of index settings."""

    def __init__(self, database: Database, settings: IndexSettings) -> None:
        self._database = database
        self._settings = settings

    def check_settings(self) -> None:
        """Mark every state for a new fold when it was made with other settings, or by a version of
        brandtox whose states hold other things.
        """
        values = {name: getattr(self._settings, name) for name in IndexSettings.model_fields}
        shape = hashlib.sha256(msgspec.json.encode(msgspec.json.schema(State)))
        own = json.dumps(values | {"state": shape.hexdigest()})
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

    def stale(self, connection: Connection, limit: int) -> list[str]:
        """Customers with events that their state does not know, none of which waits for the model."""
        waiting = exists().where(messages.c.customer_id == customers.c.id, ~messages.c.scored)
        query = (
            select(customers.c.id)
            .where(customers.c.dirty_from.is_not(None), ~waiting)
            .order_by(customers.c.dirty_from)
            .limit(limit)
        )
        return list(connection.scalars(query))

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
        """Keep a state with its reading, and an alert for each change in where it stands."""
        reading = read(state, max(now, state.at), self._settings, snapshot)
        standing = standing_of(reading, self._settings)
        found = changes(self._standing(connection, customer), standing)
        add_alerts(connection, customer, now, reading, found)
        row = {"customer_id": customer, "state": pack(state), "at": _finite(state.at)}
        row |= self._columns(state, reading, standing)
        self._database.upsert(connection, states, [row])
        return reading

    def _standing(self, connection: Connection, customer: str) -> Standing:
        query = select(states).where(states.c.customer_id == customer)
        row = connection.execute(query).one_or_none()
        if row is None:
            return Standing()
        signs = frozenset(row.signs.split("|")) if row.signs else frozenset[str]()
        return Standing(row.quadrant, signs, row.prepare_separation, row.grave_at)

    def _columns(self, state: State, reading: Reading, standing: Standing) -> dict[str, Any]:
        return {
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
        """The portfolio of the instant's day, or of the last day before it that has one."""
        query = (
            select(snapshots.c.body)
            .where(snapshots.c.day <= day_of(at))
            .order_by(snapshots.c.day.desc())
            .limit(1)
        )
        body = connection.scalar(query)
        return msgspec.json.decode(body, type=Snapshot) if body else Snapshot()

    def take_snapshot(self, now: float) -> None:
        """Keep today's portfolio, once: it is not changed afterwards, so that a past reading stays."""
        day = day_of(now)
        with self._database.begin() as connection:
            if connection.scalar(select(snapshots.c.day).where(snapshots.c.day == day)):
                return
            taken = take_snapshot(day, self._members(connection), self._settings)
            body = msgspec.json.encode(taken).decode()
            self._database.insert_new(connection, snapshots, [{"day": day, "body": body}])

    def _members(self, connection: Connection) -> Iterator[Member]:
        query = select(
            states.c.rate,
            states.c.contacts,
            customers.c.plan,
            customers.c.usage_volume,
            customers.c.monthly_value,
        ).join(customers, customers.c.id == states.c.customer_id)
        for row in connection.execute(query):
            yield Member(**row._mapping)

    def refresh(self, now: float, older_than: float, limit: int) -> int:
        """Read anew up to `limit` states whose figures for lists are older than an instant."""
        with self._database.begin() as connection:
            snapshot = self.snapshot(connection, now)
            query = (
                select(customers.c.id)
                .join(states, states.c.customer_id == customers.c.id)
                .where(states.c.refreshed_at < older_than)
                .order_by(states.c.refreshed_at)
                .limit(limit)
                .with_for_update(of=customers, key_share=True, skip_locked=True)
            )
            names = list(connection.scalars(query))
            for name in names:  # states are read under the lock: another may just have kept one
                if state := self._kept(connection, name):
                    self._keep(connection, name, state, now, snapshot)
                else:
                    self._fold_anew(connection, name, now)
        return len(names)

    def _fold_anew(self, connection: Connection, customer: str, now: float) -> None:
        """A state of another version cannot be read: it is folded next, and not looked at before."""
        touch(connection, customer, BEGINNING)
        connection.execute(
            update(states).where(states.c.customer_id == customer).values(refreshed_at=now)
        )

    def refreshed_at(self, connection: Connection) -> float | None:
        """The oldest time of a figure in the lists."""
        oldest: float | None = connection.scalar(select(func.min(states.c.refreshed_at)))
        return oldest


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
