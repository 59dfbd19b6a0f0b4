"""The review queue: what may be worth reading is looked up in a bounded window, and lent to one
reviewer at a time.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, or_, select, update

from serving.index.reading import read
from serving.review import (
    SECOND_READING,
    STAKES,
    Candidate,
    Corrected,
    Reason,
    Reasons,
    contradictions,
    dump,
    gather,
    mixed,
    novel,
    threats,
    unsure,
    with_second_readings,
)
from serving.scoring import Thresholds
from serving.settings import Settings
from serving.store.database import KEYS_A_QUERY, Database
from serving.store.feedback import HOLDS
from serving.store.states import States
from serving.store.tables import feedback, leases, messages, sources, states, verdicts

_CORRECTIONS = 1_000
"""So many of the latest corrections are compared with the window."""

_SECOND_READINGS = 200
"""So many of the latest first readings may be read again."""

_CUSTOMERS = 30
_LEAST_INDEX = 20.0
_COMPONENTS = ("language", "peak", "intensification", "hostile_language")
"""Contributions to the index whose evidence is what the model said of a message."""


class Reviews:
    """The queue over one store; the settings say how large the window is, how long a lease lasts, and
    which share of messages is read a second time.
    """

    def __init__(self, database: Database, index: States, settings: Settings) -> None:
        self._database = database
        self._index = index
        self._settings = settings

    def lease(
        self, reviewer: str, limit: int, thresholds: Thresholds, now: float
    ) -> Sequence[Row[Any]]:
        """What the reviewer has before them, up to `limit`: what they were lent already, then what is
        most worth reading. Never what another one has.
        """
        with self._database.read() as connection:
            mine = held(connection, reviewer, now)
            if len(mine) >= limit:
                return mine[:limit]
            reasons = self._reasons(connection, thresholds, now)
            second = list(_read_by_others(connection, reviewer))
            done = _done(connection, reviewer) + len(mine)
        share = self._settings.review_second_share
        order = with_second_readings(mixed(reasons), second, done, share)
        reasons |= {seq: [Reason(SECOND_READING, 1.0)] for seq in second}
        with self._database.begin() as connection:
            missing = limit - len(held(connection, reviewer, now))  # the same may ask twice at once
            lent = self._lend(connection, reviewer, order, reasons, missing, now)
            rows = held(connection, reviewer, now)
        places = {seq: place for place, seq in enumerate(lent)}
        return sorted(rows, key=lambda row: places.get(row.seq, -1))

    def _reasons(self, connection: Connection, thresholds: Thresholds, now: float) -> Reasons:
        """Why messages that nobody has read yet are worth reading."""
        window = list(_window(connection, self._settings.review_window))
        corrected = list(_corrected(connection))
        stakes = list(self._stakes(connection, now))
        found = gather(
            unsure(window, thresholds),
            contradictions(window, corrected, thresholds),
            novel(window),
            threats(window),
            stakes,
        )
        read_already = _among(connection, feedback.c.message_seq, list(found), HOLDS)
        return {seq: those for seq, those in found.items() if seq not in read_already}

    def _stakes(self, connection: Connection, now: float) -> Iterator[tuple[int, Reason]]:
        """Messages that move the index of the customers who stand worst."""
        query = (
            select(states.c.customer_id)
            .where(states.c.index_value >= _LEAST_INDEX)
            .order_by(states.c.index_value.desc())
            .limit(_CUSTOMERS)
        )
        snapshot = self._index.snapshot(connection, now)
        names = list(connection.scalars(select(sources.c.name)))
        for customer in connection.scalars(query).all():
            state = self._index.as_of(connection, customer, now)
            reading = read(state, max(now, state.at), self._settings, snapshot)
            points: dict[str, tuple[float, str]] = {}
            for part in reading.contributions:
                if part.component in _COMPONENTS and part.points > 0:
                    for identity in part.message_ids:
                        points[identity] = max(
                            points.get(identity, (0.0, "")), (part.points, part.component)
                        )
            for row in _numbers(connection, customer, names, list(points)):
                worth, component = points[row.id]
                details = {"component": component, "points": worth, "index": reading.index}
                yield row.seq, Reason(STAKES, reading.index / 100, details)

    def _lend(
        self,
        connection: Connection,
        reviewer: str,
        order: Iterator[int],
        reasons: Reasons,
        missing: int,
        now: float,
    ) -> list[int]:
        """Lend the first messages of the order that are free. Those that another transaction is about
        to lend are skipped (on SQLite there is none beside this one).
        """
        lent: list[int] = []
        while missing > len(lent) and (some := list(itertools.islice(order, missing - len(lent)))):
            query = (
                select(messages.c.seq)
                .where(messages.c.seq.in_(some))
                .with_for_update(skip_locked=True, key_share=True)
            )
            locked = set(connection.scalars(query))
            free = locked - _lent(connection, some, reviewer, now)
            free -= {
                seq
                for seq in _among(connection, feedback.c.message_seq, some, HOLDS)
                if reasons[seq][0].reason != SECOND_READING  # somebody was faster
            }
            chosen = [seq for seq in some if seq in free]
            until = now + self._settings.review_lease_minutes * 60
            rows = [
                {
                    "message_seq": seq,
                    "reviewer": reviewer,
                    "until": until,
                    "why": dump(reasons[seq]),
                    "given_back": False,
                }
                for seq in chosen
            ]
            self._database.upsert(connection, leases, rows)
            lent += chosen
        return lent


def _window(connection: Connection, size: int) -> Iterator[Candidate]:
    """The newest judged messages."""
    query = (
        select(verdicts.c.seq, verdicts.c.model, verdicts.c.verdict, verdicts.c.vector)
        .order_by(verdicts.c.seq.desc())
        .limit(size)
    )
    for row in connection.execute(query):
        yield Candidate(row.seq, row.model, msgspec.json.decode(row.verdict), row.vector)


def _corrected(connection: Connection) -> Iterator[Corrected]:
    query = (
        select(
            feedback.c.seq,
            feedback.c.reviewer,
            feedback.c.labels,
            verdicts.c.model,
            verdicts.c.vector,
        )
        .join(verdicts, verdicts.c.seq == feedback.c.message_seq)
        .where(HOLDS)
        .order_by(feedback.c.seq.desc())
        .limit(_CORRECTIONS)
    )
    for row in connection.execute(query):
        yield Corrected(row.seq, row.reviewer, json.loads(row.labels), row.model, row.vector)


def _numbers(
    connection: Connection, customer: str, names: list[str], ids: list[str]
) -> Iterable[Row[Any]]:
    """Numbers and ids of a customer's judged messages with these ids."""
    query = (
        select(messages.c.seq, messages.c.id)
        .join(verdicts, verdicts.c.seq == messages.c.seq)
        .where(
            messages.c.source.in_(names),
            messages.c.id.in_(ids),
            messages.c.customer_id.concat("") == customer,  # found by source and id
        )
    )
    return connection.execute(query)


def _among(connection: Connection, column: Any, seqs: list[int], *where: Any) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(seqs), KEYS_A_QUERY):
        some = column.in_(seqs[start : start + KEYS_A_QUERY])
        found.update(connection.scalars(select(column).where(some, *where)))
    return found


def _read_by_others(connection: Connection, reviewer: str) -> Iterator[int]:
    """Messages that one other person has read, the latest readings first."""
    query = (
        select(feedback.c.message_seq, feedback.c.reviewer, feedback.c.item)
        .where(HOLDS, feedback.c.message_seq.is_not(None))
        .order_by(feedback.c.seq.desc())
        .limit(_SECOND_READINGS)
    )
    rows = connection.execute(query).all()
    items = [row.item for row in rows]
    several = set(
        connection.scalars(
            select(feedback.c.item)
            .where(HOLDS, feedback.c.item.in_(items))
            .group_by(feedback.c.item)
            .having(func.count() > 1)
        )
    )
    for row in rows:
        if row.reviewer != reviewer and row.item not in several:
            yield row.message_seq


def _done(connection: Connection, reviewer: str) -> int:
    """How many words the reviewer has said."""
    query = select(func.count()).select_from(feedback).where(feedback.c.reviewer == reviewer)
    return connection.scalar(query) or 0


def _lent(connection: Connection, seqs: list[int], reviewer: str, now: float) -> set[int]:
    """Those of the messages that are another's now, or that the reviewer gave back a while ago."""
    mine = leases.c.reviewer == reviewer
    taken = or_(~leases.c.given_back, and_(leases.c.given_back, mine))
    query = select(leases.c.message_seq).where(
        leases.c.message_seq.in_(seqs), leases.c.until > now, taken
    )
    return set(connection.scalars(query))


def held(connection: Connection, reviewer: str, now: float) -> Sequence[Row[Any]]:
    """What the reviewer has been lent, in order, with message and verdict."""
    query = (
        select(leases.c.until, leases.c.why, messages, verdicts.c.verdict)
        .join(messages, messages.c.seq == leases.c.message_seq)
        .join(verdicts, verdicts.c.seq == leases.c.message_seq)
        .where(leases.c.reviewer == reviewer, leases.c.until > now, ~leases.c.given_back)
        .order_by(leases.c.until, leases.c.message_seq.desc())
    )
    return connection.execute(query).all()


def give_back(connection: Connection, seq: int, reviewer: str, now: float) -> bool:
    """Let others have a message; False when the reviewer had not been lent it."""
    query = (
        update(leases)
        .where(
            leases.c.message_seq == seq,
            leases.c.reviewer == reviewer,
            leases.c.until > now,
            ~leases.c.given_back,
        )
        .values(given_back=True)
    )
    return bool(connection.execute(query).rowcount)
