"""A company with a store and a scorer, for tests below HTTP: no threads, and a clock that is moved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Select, Table, func, select

from model import Verdict
from serving.batcher import Scorer
from serving.index.events import Event
from serving.index.settings import DAY, IndexSettings
from serving.index.state import State, fold, unpack
from serving.store import feeds, tickets
from serving.store.database import Database
from serving.store.history import load_events
from serving.store.messages import Accepted, Message, add_messages
from serving.store.states import States
from serving.store.tables import alerts, customers, messages, states
from serving.worker import Worker
from tests.helpers import NOW, Clock, FakeScorer, Json, verdict

HOUR = 3_600.0

SAID: dict[str, Json] = {
    "insult": {"scores": {"abuse": 0.95}, "labels": ("abuse",)},
    "threat": {"scores": {"threat": 0.95}, "labels": ("threat",)},
    "grave": {
        "scores": {"threat": 0.99},
        "labels": ("threat",),
        "threat_kind": {"physical": 0.98},
    },
    "blame": {"scores": {"accusation": 0.9}, "labels": ("accusation",)},
    "push": {"signs": {"off_channel": 0.9}},
    "scope": {"signs": {"out_of_scope": 0.9}},
    "thanks": {"sentiment": {"positive": 0.9, "neutral": 0.1, "negative": 0.0}},
}
"""What the stand-in for the model finds in a text with one of these words."""


def spoken(text: str) -> Verdict:
    """The verdict of a text by its words; texts that begin with the same letter are of one matter."""
    found = verdict()
    for word in SAID.keys() & set(text.split()):
        said = {k: v if k == "labels" else getattr(found, k) | v for k, v in SAID[word].items()}
        found = replace(found, **said)
    vector = np.zeros(256, np.float32)
    vector[ord(text[0]) % 256 if text else 0] = 1
    return replace(found, vector=vector)


def message(identity: str, at: float = NOW - HOUR, text: str = "calm", **fields: Any) -> Message:
    given = {"source": "wa", "customer_id": "c1", "direction": "in", "channel": "whatsapp"} | fields
    return Message(id=identity, sent_at=at, text=text, **given)


def reply(identity: str, at: float = NOW - HOUR, **fields: Any) -> Message:
    return message(identity, at, **{"direction": "out", "text": "we are on it"} | fields)


class Company:
    """Writes into a store, and works on it only when it is told to."""

    def __init__(
        self,
        database: Database,
        model: Scorer | None = None,
        clock: Clock | None = None,
        settings: IndexSettings | None = None,
        **options: Any,
    ) -> None:
        """`options` are those of the worker."""
        self.database = database
        self.clock = clock or Clock()
        self.settings = settings or IndexSettings()
        self.states = States(database, self.settings)
        self.states.check_settings()
        model = model or FakeScorer(spoken)
        self.worker = Worker(
            database, self.states, model, lambda _: {}, clock=self.clock, **options
        )

    def take(self, *batch: Message) -> Accepted:
        with self.database.begin() as connection:
            return add_messages(self.database, connection, batch, self.clock())

    def put_customer(self, customer: str = "c1", **given: Any) -> None:
        with self.database.begin() as connection:
            feeds.put_customer(self.database, connection, customer, given, self.clock())

    def put_ticket(self, ticket: str, **given: Any) -> float | None:
        record = {"customer_id": "c1"} | given
        with self.database.begin() as connection:
            return tickets.put_ticket(self.database, connection, ticket, record, self.clock())

    def ticket_event(self, ticket: str, identity: str, kind: str, at: float) -> None:
        event = {"id": identity, "type": kind, "at": at, "agent_id": None, "minutes": None}
        with self.database.begin() as connection:
            tickets.add_ticket_events(self.database, connection, ticket, [event], self.clock())

    def rate(self, rating: int, at: float, customer: str = "c1") -> None:
        row = {"rating": rating, "note": None, "agent_id": None, "at": at}
        with self.database.begin() as connection:
            feeds.add_rating(self.database, connection, customer, row, self.clock())

    def outcome(self, kind: str, at: float, customer: str = "c1") -> None:
        row = {"type": kind, "at": at, "amount": None}
        with self.database.begin() as connection:
            feeds.add_outcome(self.database, connection, customer, row, self.clock())

    def work(self) -> None:
        """Turns until there is nothing left to do."""
        for _ in range(100):
            if not self.worker.turn():
                return
        raise AssertionError("the scorer never rests")

    def rows(self, what: Table | Select[Any], *where: Any) -> list[Any]:
        if isinstance(what, Table):
            what = select(what).where(*where).order_by(*what.primary_key)
        with self.database.read() as connection:
            return list(connection.execute(what))

    def count(self, table: Table) -> int:
        with self.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0

    def kept(self, customer: str = "c1") -> State:
        """The state in the store."""
        (row,) = self.rows(states, states.c.customer_id == customer)
        return unpack(row.state)

    def dirty_from(self, customer: str = "c1") -> float | None:
        (row,) = self.rows(customers, customers.c.id == customer)
        at: float | None = row.dirty_from
        return at

    def events(self, customer: str = "c1", up_to: float = float("inf")) -> list[Event]:
        with self.database.read() as connection:
            return load_events(connection, customer, float("-inf"), up_to)

    def recomputed(self, customer: str = "c1", up_to: float = float("inf")) -> State:
        """The state from all stored events."""
        return fold(self.events(customer, up_to), self.settings)

    def as_of(self, at: float, customer: str = "c1") -> State:
        with self.database.read() as connection:
            return self.states.as_of(connection, customer, at)

    def alerts(self) -> list[tuple[str, str]]:
        """Customer and kind of all alerts, with the sign or quadrant, oldest first."""
        found = []
        for row in self.rows(alerts):
            body = json.loads(row.body)
            found.append((row.kind, body.get("sign") or body.get("after") or ""))
        return found

    def is_consistent(self, customer: str = "c1") -> bool:
        """Whether the kept state is what all stored events make."""
        waits = self.rows(messages, ~messages.c.scored)
        assert not waits
        assert self.dirty_from(customer) is None
        return self.kept(customer) == self.recomputed(customer)


def days_ago(days: float) -> float:
    return NOW - days * DAY
