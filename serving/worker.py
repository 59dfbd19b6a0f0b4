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

from model import Verdict
from serving.batcher import Scorer
from serving.index.settings import DAY
from serving.scoring import Thresholds, verdict_row
from serving.store.database import Database
from serving.store.privacy import forget_messages
from serving.store.queue import Waiting, claim, finish, hold
from serving.store.states import States

log = logging.getLogger(__name__)

_BATCH = 256
_CUSTOMERS_A_TURN = 200
_LEASE_SECONDS = 120.0
_MODEL_REST_SECONDS = 10.0
_IDLE_SECONDS = 0.5
_REFRESH_SECONDS = 3_600.0
_REFRESH_BATCH = 200

Clock = Callable[[], float]


class Worker:
    """Scores and folds, turn by turn, until it is stopped.

    Args:
        thresholds: the model's menu, for the message signs.
        retention_days: older messages are deleted; None keeps all.
        keep_text: False drops a message's text once it is scored.
    """

    def __init__(
        self,
        database: Database,
        states: States,
        scorer: Scorer,
        thresholds: Thresholds,
        keep_text: bool = True,
        retention_days: float | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._states = states
        self._scorer = scorer
        self._thresholds = thresholds
        self._keep_text = keep_text
        self._retention_days = retention_days
        self._forgot_at = float("-inf")
        self._clock = clock
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
        """One round of everything; returns whether there was anything to do."""
        scored = self.score_waiting()
        folded = self.bring_up_to_date()
        refreshed = self._refresh()
        return bool(scored or folded or refreshed or self._forget())

    def score_waiting(self) -> int:
        with self._database.begin() as connection:
            waiting = claim(connection, self._clock(), _LEASE_SECONDS, _BATCH)
        if not waiting:
            return 0
        found = self._score([item.text for item in waiting])
        if not any(found) and not self._model_works():
            self._give_back(waiting)
            return 0
        self.keep(waiting, found)
        return len(waiting)

    def _model_works(self) -> bool:
        """Whether it reads a harmless text: if not, it is no message's fault, and all of them wait."""
        return self._score(["ok"]) != [None]

    def _give_back(self, waiting: Sequence[Waiting]) -> None:
        with self._database.begin() as connection:
            until = self._clock() + _MODEL_REST_SECONDS
            hold(connection, [item.seq for item in waiting], until)

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

    def keep(self, waiting: Sequence[Waiting], found: Sequence[Verdict | None]) -> None:
        """Write the verdicts of messages, once."""
        rows = [
            verdict_row(item.seq, item.text, verdict, self._thresholds)
            for item, verdict in zip(waiting, found, strict=True)
            if verdict is not None
        ]
        seqs = [item.seq for item in waiting]
        with self._database.begin() as connection:
            finish(self._database, connection, seqs, rows, self._keep_text)

    def bring_up_to_date(self, customers: Sequence[str] | None = None) -> int:
        """Fold what is new of these customers (of those that wait longest, by default)."""
        if customers is None:
            with self._database.read() as connection:
                customers = self._states.stale(connection, _CUSTOMERS_A_TURN)
        for customer in customers:
            self._states.bring_up_to_date(customer, self._clock())
        return len(customers)

    def _refresh(self) -> int:
        """Keep today's snapshot, and no figure in the lists older than an hour."""
        now = self._clock()
        self._states.take_snapshot(now)
        return self._states.refresh(now, now - _REFRESH_SECONDS, _REFRESH_BATCH)

    def _forget(self) -> int:
        """Once a day, delete messages that are older than is kept, some thousands a turn."""
        now = self._clock()
        if self._retention_days is None or now - self._forgot_at < DAY:
            return 0
        with self._database.begin() as connection:
            gone = forget_messages(connection, now - self._retention_days * DAY)
        if not gone:
            self._forgot_at = now
        return gone
