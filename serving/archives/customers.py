"""The customers of an archive: their messages on disk, and from them a ranking by the index.

The events, the fold and the reading are the service's own. All customers are read as of the last
message of the archive, against the portfolio that they are themselves. Memory does not grow with the
number of messages, and with that of customers by a few figures each.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from serving.archives.customer_lines import Line, Tally, line
from serving.archives.row import Judged
from serving.index.events import Event, Incoming, Outgoing
from serving.index.phrases import refuses_work
from serving.index.portfolio import Member, Snapshot, take_snapshot
from serving.index.reading import read
from serving.index.settings import IndexSettings
from serving.index.signs import contacts_in_window
from serving.index.state import State, order
from serving.scoring import Thresholds, verdict_row
from serving.store.history import incoming
from serving.store.states import day_of

_TABLES = """
PRAGMA cache_size = -16000;
CREATE TABLE IF NOT EXISTS messages (
    row INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    at REAL,
    source TEXT NOT NULL,
    same BLOB UNIQUE,
    incoming INTEGER NOT NULL,
    language TEXT,
    needs_review INTEGER NOT NULL,
    written TEXT,
    name TEXT,
    event BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_in_order ON messages (customer, at);
CREATE TABLE IF NOT EXISTS sources (
    name TEXT PRIMARY KEY,
    sides INTEGER,
    addressed INTEGER,
    unaddressed INTEGER,
    names_agents INTEGER
);
"""
"""`same` is equal for the same message twice (exports overlap); null without an id. Of a source: that it
tells the company's messages from the customers' (it may have none); that it has some to a known customer,
and to nobody known; that it names who writes them.
"""

_TELLING = """SELECT name, sides AND (addressed OR NOT unaddressed), names_agents FROM sources"""
"""Sources, whether they tell whose messages were answered, and whether they name who answers."""

_RANKING = """
DROP TABLE IF EXISTS ranking;
CREATE TABLE ranking (place REAL, customer TEXT, line BLOB, PRIMARY KEY (place, customer))
    WITHOUT ROWID;
"""

_encoder = msgspec.msgpack.Encoder()
_decode_incoming = msgspec.msgpack.Decoder(Incoming).decode
_decode_outgoing = msgspec.msgpack.Decoder(Outgoing).decode


class Customers:
    """The messages of the customers of one archive, in a file.

    Args:
        thresholds: the model's, for the message signs.
    """

    def __init__(self, path: Path, settings: IndexSettings, thresholds: Thresholds) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.executescript(_TABLES)
        self._settings = settings
        self._thresholds = thresholds
        self._ranked = False

    def close(self) -> None:
        self._connection.close()

    def add(self, judged: Iterable[Judged]) -> None:
        """Keep messages durably, in one transaction. A row that is known stays, and so does the first
        of two that are the same message; those of no customer are left out.
        """
        self._ranked = False
        every = list(judged)
        named = [one for one in every if one.message.customer is not None]
        with self._connection:
            self._connection.executemany(
                f"INSERT OR IGNORE INTO messages VALUES ({','.join('?' * 11)})",
                map(self._row, named),
            )
            self._connection.executemany(
                """INSERT INTO sources VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                sides = max(sides, excluded.sides),
                addressed = max(addressed, excluded.addressed),
                unaddressed = max(unaddressed, excluded.unaddressed),
                names_agents = max(names_agents, excluded.names_agents)""",
                {(one.source, *_tells(one)) for one in every},
            )

    def _row(self, one: Judged) -> tuple[Any, ...]:
        message, verdict = one.message, one.verdict
        return (
            one.row,
            message.customer,
            message.at,
            one.source,
            _same(one),
            message.direction == "in",
            verdict and verdict.language,
            verdict is not None and verdict.needs_review,
            message.customer_written,
            message.name,
            _encoder.encode(self._event(one)),
        )

    def _event(self, one: Judged) -> Incoming | Outgoing:
        """The event of a message, as the service makes it; one without a time is dated 1970."""
        message, verdict, at = one.message, one.verdict, one.message.at or 0.0
        if message.direction == "out":
            return Outgoing(
                at=at,
                id=one.id,
                channel=message.channel,
                ticket=message.ticket,
                person=message.agent is not None,
                refuses=refuses_work(message.text),
            )
        said = verdict and verdict_row(one.row, message.text, verdict, self._thresholds)
        return incoming(
            SimpleNamespace(
                sent_at=at,
                id=one.id,
                channel=message.channel,
                ticket_id=message.ticket,
                **(said or {"verdict": None}),
            )
        )

    def as_of(self) -> float | None:
        """When the last message was sent, in seconds since 1970; None where no time is known."""
        at: float | None = self._connection.execute("SELECT max(at) FROM messages").fetchone()[0]
        return at

    def lines(self) -> Iterator[Line]:
        """The lines of the customers file: highest index first, then those without an index by their
        share of hostile messages; equal ones by id.
        """
        if not self._ranked:
            self._rank()
        select = "SELECT line FROM ranking ORDER BY place, customer"
        for (packed,) in self._connection.execute(select):
            yield msgspec.msgpack.decode(packed)

    def _rank(self) -> None:
        self._connection.executescript(_RANKING)
        with self._connection:
            self._connection.executemany(
                "INSERT INTO ranking VALUES (?, ?, ?)",
                self._placed(self.as_of()),
            )
        self._ranked = True

    def _placed(self, at: float | None) -> Iterator[tuple[float, str, bytes]]:
        snapshot = Snapshot() if at is None else self._snapshot(at)
        for customer, tally, state in self._folded():
            reading = None
            if at is not None and state.events:
                reading = read(state, at, self._settings, snapshot)
            place = -reading.index if reading else 1.0 - tally.hostile_share
            found = line(customer, tally, reading, self._settings)
            yield place, customer, _encoder.encode(found)

    def _snapshot(self, at: float) -> Snapshot:
        members = (
            Member(
                rate=state.language.own_rate(at, self._settings),
                contacts=contacts_in_window(state, at, self._settings),
            )
            for _, _, state in self._folded()
            if state.events
        )
        return take_snapshot(day_of(at), members, self._settings)

    def _folded(self) -> Iterator[tuple[str, Tally, State]]:
        """Each customer, in order of id."""
        sources = {name: tells for name, *tells in self._connection.execute(_TELLING)}
        select = """SELECT customer, at, source, incoming, language, needs_review, event, row, written, name
            FROM messages ORDER BY customer, at, row"""
        for customer, rows in groupby(self._connection.execute(select), key=lambda row: row[0]):
            tally, state = Tally(), State()
            for at, together in groupby(rows, key=lambda row: row[1]):
                events = (_read(row, tally, *sources[row[2]]) for row in together)
                if at is None:
                    deque(events, maxlen=0)  # they are counted, and may be too many to keep
                    continue
                tally.date(at)
                for event in order(events):
                    state.apply(event, self._settings)
            yield customer, tally, state


def _tells(one: Judged) -> tuple[bool, ...]:
    """Of its source: the columns of `sources`."""
    message = one.message
    answer, nobody = message.direction == "out", message.customer is None
    agent = answer and message.agent is not None
    return answer or message.has_side, answer and not nobody, answer and nobody, agent


def _same(one: Judged) -> bytes | None:
    message = one.message
    if message.id is None:
        return None
    content = message.id, message.customer, message.at, message.direction, message.text
    return blake2b(repr(content).encode(), digest_size=16).digest()


def _read(row: tuple[Any, ...], tally: Tally, answers: int, names_agents: int) -> Event:
    """The event of a row, counted. What its source tells: whether messages were answered; who answers,
    so that an answer without an agent is a bot's.
    """
    customer, _, _, is_incoming, language, needs_review, packed, number, written, name = row
    tally.identify(number, written or customer, name)
    tally.answers = tally.answers or bool(answers)
    if is_incoming:
        message = msgspec.structs.replace(_decode_incoming(packed), replies_known=bool(answers))
        tally.receive(message, language, bool(needs_review))
        return message
    tally.outgoing += 1
    answer = _decode_outgoing(packed)
    return answer if names_agents else msgspec.structs.replace(answer, person=True)
