"""The scorer: takes messages that wait in the store, has them judged, and brings customers up to date.

Several may run at once on PostgreSQL (rows that another works on are skipped); on SQLite one does,
inside the service. Whatever a killed worker had begun is begun again: verdicts are written once, and
a state is folded and kept in one transaction.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from model import Verdict
from serving.batcher import Scorer
from serving.index.settings import DAY
from serving.scoring import Thresholds, verdict_row
from serving.store.database import Database
from serving.store.feedback import forget_texts
from serving.store.privacy import forget_messages, old_messages
from serving.store.queue import (
    MOST_ATTEMPTS,
    Waiting,
    claim,
    finish,
    give_back,
    hold,
    waits,
)
from serving.store.sources import fold_sources_anew, turned_sources
from serving.store.states import States

log = logging.getLogger(__name__)

_BATCH = 256
_CUSTOMERS_A_TURN = 200
_LEASE_SECONDS = 120.0
_MODEL_REST_SECONDS = 10.0
_IDLE_SECONDS = 0.5
_CUSTOMER_REST_SECONDS = 300.0
"""A customer whose events cannot be folded is left alone for so long."""

_REFRESH_SECONDS = 1_800.0
"""Figures in lists are at most an hour old, so they are read anew in good time."""

_REFRESH_BATCH = 50
_REFRESH_TURN_SECONDS = 0.5
_FORGET_BATCH = 10_000
_FORGET_TURN_SECONDS = 0.5

Clock = Callable[[], float]


class Worker:
    """Scores and folds, turn by turn, until it is stopped.

    Args:
        thresholds_of: the menu of a model by its version, for the message signs.
        retention_days: older messages are deleted; None keeps all.
        keep_text: False drops a message's text once it is scored.
        watch: more work of each turn; how much was done.
    """

    def __init__(
        self,
        database: Database,
        states: States,
        scorer: Scorer,
        thresholds_of: Callable[[str], Thresholds],
        keep_text: bool = True,
        retention_days: float | None = None,
        clock: Clock = time.time,
        watch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._database = database
        self._states = states
        self._scorer = scorer
        self._thresholds_of = thresholds_of
        self._keep_text = keep_text
        self._retention_days = retention_days
        self._forgot_at = float("-inf")
        self._to_forget: list[str] = []
        self._resting: dict[str, float] = {}
        self._clock = clock
        self._watch = watch
        self._stop = threading.Event()
        self._filled = threading.Event()

    def wake(self) -> None:
        """Something new is in the store."""
        self._filled.set()

    def stop(self) -> None:
        self._stop.set()
        self._filled.set()

    def run(self) -> None:
        """Work until stopped; an error is logged, and the turn tried again."""
        while not self._stop.is_set():
            try:
                busy = self.turn()
            except Exception:
                log.exception("the scorer failed and tries again")
                busy = False
            if not busy:
                self._filled.wait(_IDLE_SECONDS)
                self._filled.clear()

    def turn(self) -> bool:
        """One round of everything, each part whatever becomes of the others; returns whether there
        was anything to do.
        """
        parts = (
            self.score_waiting,
            self._fold_sources_anew,
            self.bring_up_to_date,
            self._take_snapshot,
            self._refresh,
            self._forget,
            self._watch,
        )
        done = [self._tried(part) for part in parts]
        return any(done)

    def _tried(self, part: Callable[[], int]) -> int:
        try:
            return part()
        except Exception:
            log.exception("a part of the scorer's work failed; it is tried again")
            return 0

    def score_waiting(self) -> int:
        """Score a batch of what waits; how many messages are done with."""
        now = self._clock()
        with self._database.read() as connection:
            if not waits(connection, now):
                return 0
        with self._database.begin() as connection:
            waiting = claim(connection, now, _LEASE_SECONDS, _BATCH)
        try:
            return self._judge(waiting) if waiting else 0
        except SQLAlchemyError:  # no message is to blame
            self._give_back(waiting)
            raise

    def _judge(self, waiting: Sequence[Waiting]) -> int:
        """Have claimed messages scored, and keep their verdicts; how many are done with.

        One that was claimed too often already, and comes alone, has killed the scorer each time.
        """
        deadly = waiting[0].attempts > MOST_ATTEMPTS
        found = [None] if deadly else self._score([item.text for item in waiting])
        judged = list(zip(waiting, found, strict=True))
        read = [item for item, verdict in judged if verdict is not None]
        if read:
            self.keep(read, [verdict for verdict in found if verdict is not None])
        unread = [item for item, verdict in judged if verdict is None]
        return len(read) + (self._try_again(unread) if unread else 0)

    def _try_again(self, unread: Sequence[Waiting]) -> int:
        """Leave messages that the model failed on to a later turn; those that failed too often, while
        it could read something else, are given up. How many those are.
        """
        if not self._model_works():
            self._give_back(unread)
            return 0
        lost = [item for item in unread if item.attempts >= MOST_ATTEMPTS]
        later = [item.seq for item in unread if item.attempts < MOST_ATTEMPTS]
        if lost:
            log.error("%d messages cannot be read, and count as calm", len(lost))
        with self._database.begin() as connection:
            finish(self._database, connection, lost, [], keep_text=True)
            hold(connection, later, self._clock() + _MODEL_REST_SECONDS)
        return len(lost)

    def _model_works(self) -> bool:
        """Whether it reads a harmless text: if not, it is no message's fault, and all of them wait."""
        return any(self._score(["ok"]))

    def _give_back(self, waiting: Sequence[Waiting]) -> None:
        with self._database.begin() as connection:
            until = self._clock() + _MODEL_REST_SECONDS
            give_back(connection, [item.seq for item in waiting], until)

    def _score(self, texts: Sequence[str]) -> Sequence[Verdict | None]:
        """Verdicts; where the model fails on a batch, of each text alone, None for the one to blame.

        The log gets the kind of error only: its words may be those of a message.
        """
        try:
            return self._scorer.score(texts)
        except Exception as error:
            log.error("the model failed on %d messages: %s", len(texts), type(error).__name__)
            if len(texts) == 1:
                return [None]
            return [verdict for text in texts for verdict in self._score([text])]

    def keep(self, waiting: Sequence[Waiting], found: Sequence[Verdict]) -> None:
        """Write the verdicts of messages, once."""
        rows = [
            verdict_row(item.seq, item.text, verdict, self._thresholds_of(verdict.model))
            for item, verdict in zip(waiting, found, strict=True)
        ]
        with self._database.begin() as connection:
            finish(self._database, connection, waiting, rows, self._keep_text)

    def _fold_sources_anew(self) -> int:
        with self._database.read() as connection:
            if not turned_sources(connection):
                return 0
        with self._database.begin() as connection:
            return fold_sources_anew(connection)

    def bring_up_to_date(self, customers: Sequence[str] | None = None) -> int:
        """Fold what is new of these customers (by default, of some that wait); one who cannot be
        folded holds up nobody.
        """
        now = self._clock()
        if customers is None:
            self._resting = {name: end for name, end in self._resting.items() if end > now}
            with self._database.read() as connection:
                customers = self._states.stale(connection, _CUSTOMERS_A_TURN, self._resting)
        for customer in customers:
            try:
                self._states.bring_up_to_date(customer, self._clock())
            except Exception as error:  # its words may be those of a message
                kind = type(error).__name__
                log.error("customer %s cannot be brought up to date: %s", customer, kind)
                self._resting[customer] = now + _CUSTOMER_REST_SECONDS
        return len(customers)

    def _take_snapshot(self) -> int:
        """Keep the portfolio for tomorrow."""
        self._states.take_snapshot(self._clock())
        return 0

    def _refresh(self) -> int:
        """Read the oldest figures in the lists anew, for half a second."""
        end = time.monotonic() + _REFRESH_TURN_SECONDS
        total = 0
        while True:
            now = self._clock()
            done = self._states.refresh(now, now - _REFRESH_SECONDS, _REFRESH_BATCH)
            total += done
            if done < _REFRESH_BATCH or time.monotonic() >= end:
                return total

    def _forget(self) -> int:
        """Once a day, delete messages that are older than is kept, customer by customer, for half a
        second a turn; how many went. A customer with whom that fails has its turn the next day.
        """
        now = self._clock()
        if self._retention_days is None:
            return 0
        before = now - self._retention_days * DAY
        if not self._to_forget and now - self._forgot_at >= DAY:
            with self._database.begin() as connection:
                forget_texts(connection, before)
            with self._database.read() as connection:
                self._to_forget = old_messages(connection, before)
            self._forgot_at = now
        end = time.monotonic() + _FORGET_TURN_SECONDS
        gone = 0
        while self._to_forget:
            gone += self._forget_of(self._to_forget.pop(), before)
            if time.monotonic() >= end:
                break
        return gone

    def _forget_of(self, customer: str, before: float) -> int:
        """All of one customer, before anybody folds it anew."""
        total = 0
        while True:
            with self._database.begin() as connection:
                gone = forget_messages(connection, customer, before, _FORGET_BATCH)
            total += gone
            if gone < _FORGET_BATCH:
                return total
