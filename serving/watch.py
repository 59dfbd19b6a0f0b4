"""Watches for drift: makes the figures of weeks that are complete, a little at each turn of the scorer."""

from __future__ import annotations

import time
from collections.abc import Callable

from model.labels import LABELS
from serving.index.settings import DAY
from serving.scoring import Thresholds, balanced
from serving.store.database import Database
from serving.store.drift import CountUnknown, WeekReader, keep, weeks_to_make

_LOOK_SECONDS = 3_600.0
_TURN_SECONDS = 0.5


class DriftWatch:
    """What is in the making is lost with the process, and begun again.

    Args:
        thresholds_of: the menu of a model by its version.
        count_unknown: of the model that scores now.
        retention_days: a week that is partly deleted has no figures.
    """

    def __init__(
        self,
        database: Database,
        thresholds_of: Callable[[str], Thresholds],
        count_unknown: CountUnknown,
        retention_days: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._thresholds_of = thresholds_of
        self._count_unknown = count_unknown
        self._retention_days = retention_days
        self._clock = clock
        self._looked_at = float("-inf")
        self._weeks: list[float] = []
        self._reader: WeekReader | None = None

    def turn(self) -> int:
        """Read for half a second; how many pages were read."""
        end = time.monotonic() + _TURN_SECONDS
        pages = 0
        while time.monotonic() < end and (reader := self._next()) is not None:
            pages += 1
            self._reader = None  # where it fails, the week is begun anew in an hour
            with self._database.read() as connection:
                goes_on = reader.read(connection)
            if goes_on:
                self._reader = reader
            else:
                self._finish(reader)
        return pages

    def _next(self) -> WeekReader | None:
        """The week in the making, or the next one; looked for once an hour."""
        now = self._clock()
        if self._reader is None and not self._weeks and now - self._looked_at >= _LOOK_SECONDS:
            kept = self._retention_days
            since = float("-inf") if kept is None else now - kept * DAY
            with self._database.read() as connection:
                self._weeks = weeks_to_make(connection, now, since)
            self._looked_at = now
        if self._reader is None and self._weeks:
            self._reader = WeekReader(self._weeks.pop(0))
        return self._reader

    def _finish(self, reader: WeekReader) -> None:
        with self._database.read() as connection:
            week = reader.finish(connection, self._count_unknown)
        if week is not None:
            menu = self._thresholds_of(week.model)
            week.figures.thresholds = {n: balanced(menu, n) for n in LABELS}
            keep(self._database, week, self._clock())
