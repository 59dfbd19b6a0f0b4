"""Weeks in the store: their figures are made from the messages once they are complete, and kept.

A message that comes after its week's figures were made is in none: figures that were told do not change.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, exists, or_, select

from model.labels import LABELS
from serving.drift import WEEK, Figure, Told, Week, WeekFigures, tell, week_of
from serving.index.settings import DAY
from serving.store.alerts import add_notice, lock_alerts
from serving.store.database import KEYS_A_QUERY, Database
from serving.store.feedback import HOLDS
from serving.store.tables import drift_weeks, feedback, messages, verdicts
from serving.times import wire_time

KIND = "drift"
"""Of the alerts."""

_GRACE = DAY
"""A week is complete so long after its end: some messages come late."""

_WEEKS_BACK = 52
_PAGE = 1_000
_SAMPLE = 2_000

CountUnknown = Callable[[Sequence[str]], tuple[int, int] | None]
"""Unknown pieces and all pieces of texts; None where the model cannot tell."""


def newest_complete(now: float) -> float:
    """The beginning of the last week that is complete."""
    return week_of(now - _GRACE) - WEEK


def weeks_to_make(connection: Connection, now: float, since: float) -> list[float]:
    """Complete weeks of the last year that have messages and no figures, oldest first; none that began
    before `since`, and none while a message of it waits for the model.
    """
    last = newest_complete(now)
    first = last - (_WEEKS_BACK - 1) * WEEK
    made = set(connection.scalars(select(drift_weeks.c.start).where(drift_weeks.c.start >= first)))
    starts = [last - back * WEEK for back in reversed(range(_WEEKS_BACK))]
    left = [start for start in starts if start >= since and start not in made]
    return [start for start in left if _is_there(connection, start)]


def _is_there(connection: Connection, start: float) -> bool:
    inside = messages.c.sent_at >= start, messages.c.sent_at < start + WEEK
    waits = select(exists().where(~messages.c.scored, *inside))
    judged = select(exists().where(verdicts.c.seq == messages.c.seq, *inside))
    return bool(connection.scalar(judged)) and not connection.scalar(waits)


class WeekReader:
    """Reads the messages of a week page by page, in bounded memory.

    Of the texts it keeps the numbers of 2,000 different ones, chosen by their hashes: a text that was
    sent a thousand times counts once.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self._after = start, -1
        self._by_model: dict[str, WeekFigures] = {}
        self._chosen: dict[int, int] = {}
        self._highest: list[int] = []

    def read(self, connection: Connection) -> bool:
        """Read a page; False when that was the last one."""
        page = connection.execute(self._page()).all()
        for row in page:
            figures = self._by_model.setdefault(row.model, WeekFigures())
            figures.add(msgspec.json.decode(row.verdict))
            if row.has_text:
                self._choose(int(row.text_hash[:15], 16), row.seq)
        if page:
            self._after = page[-1].sent_at, page[-1].seq
        return len(page) == _PAGE

    def _page(self) -> Select[Any]:
        at, seq = self._after
        has_text = messages.c.text.is_not(None).label("has_text")
        columns = messages.c.sent_at, messages.c.seq, messages.c.text_hash, has_text
        return (
            select(*columns, verdicts.c.model, verdicts.c.verdict)
            .join(verdicts, verdicts.c.seq == messages.c.seq)
            .where(
                messages.c.sent_at >= at,
                messages.c.sent_at < self.start + WEEK,
                or_(messages.c.sent_at > at, messages.c.seq > seq),
            )
            .order_by(messages.c.sent_at, messages.c.seq)
            .limit(_PAGE)
        )

    def _choose(self, key: int, seq: int) -> None:
        """Keep the texts with the lowest hashes."""
        if key in self._chosen:
            return
        self._chosen[key] = seq
        heapq.heappush(self._highest, -key)
        if len(self._highest) > _SAMPLE:
            del self._chosen[-heapq.heappop(self._highest)]

    def finish(self, connection: Connection, count_unknown: CountUnknown) -> Week | None:
        """The week, by the model that judged most of it; None if no message is left."""
        if not self._by_model:
            return None
        model = max(self._by_model, key=lambda name: (self._by_model[name].messages, name))
        figures = self._by_model[model]
        total = sum(one.messages for one in self._by_model.values())
        figures.others = total - figures.messages
        texts = list(_texts(connection, sorted(self._chosen.values())))
        if texts and (counted := count_unknown(texts)) is not None:
            figures.texts, (figures.unknown, figures.pieces) = len(texts), counted
        figures.said, figures.agreed = _agreement(connection, self.start, model)
        return Week(self.start, model, figures)


def _texts(connection: Connection, seqs: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(seqs), KEYS_A_QUERY):
        some = messages.c.seq.in_(seqs[start : start + KEYS_A_QUERY])
        found = connection.scalars(select(messages.c.text).where(some).order_by(messages.c.seq))
        yield from (text for text in found if text is not None)


def _agreement(connection: Connection, start: float, model: str) -> tuple[int, int]:
    """Words of people said in the week on what the model had judged, and those that agree with it."""
    query = select(feedback.c.labels, feedback.c.verdict).where(
        HOLDS,
        feedback.c.verdict.is_not(None),
        feedback.c.at >= start,
        feedback.c.at < start + WEEK,
    )
    agree = [_agrees(row, model) for row in connection.execute(query)]
    return sum(one is not None for one in agree), sum(one is True for one in agree)


def _agrees(row: Any, model: str) -> bool | None:
    """None where nothing was said of the three labels, or another model was judged."""
    said, verdict = json.loads(row.labels), json.loads(row.verdict)
    given = [name for name in LABELS if name in said]
    if not given or verdict["model"] != model:
        return None
    return all(said[name] == (name in verdict["labels"]) for name in given)


def keep(database: Database, week: Week, now: float) -> bool:
    """Keep a week once; one that is the newest gets an alert if a figure has left its usual range.
    False if its figures were there.
    """
    with database.begin() as connection:
        lock_alerts(connection)  # several services make the same week
        if connection.scalar(select(drift_weeks.c.start).where(drift_weeks.c.start == week.start)):
            return False
        row = {
            "start": week.start,
            "model": week.model,
            "figures": msgspec.json.encode(week.figures).decode(),
            "made_at": now,
        }
        connection.execute(drift_weeks.insert(), [row])
        told = report(connection, 1)[-1]
        if week.start == newest_complete(now) and told.left:
            add_notice(connection, KIND, now, _body(told))
        return True


def _body(told: Told) -> dict[str, Any]:
    figures = [{"figure": name, **wire_figure(told.figures[name])} for name in told.left]
    return {"week": wire_time(told.week.start)[:10], "model": told.week.model, "figures": figures}


def report(connection: Connection, last: int) -> list[Told]:
    """The last so many weeks that are kept, oldest first, each against those before it."""
    query = select(drift_weeks).order_by(drift_weeks.c.start.desc()).limit(last + _WEEKS_BACK)
    weeks = [
        Week(row.start, row.model, msgspec.json.decode(row.figures, type=WeekFigures))
        for row in connection.execute(query)
    ]
    return tell(weeks[::-1])[-last:]


def wire_figure(figure: Figure) -> dict[str, Any]:
    return {
        "value": _rounded(figure.value),
        "low": _rounded(figure.low),
        "high": _rounded(figure.high),
        "outside": figure.outside,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def wire_week(told: Told) -> dict[str, Any]:
    """A week as it goes over the wire."""
    week = told.week
    return {
        "week": wire_time(week.start)[:10],
        "model": week.model,
        "messages": week.figures.messages,
        "judged_by_others": week.figures.others,
        "texts": week.figures.texts,
        "corrections": week.figures.said,
        "begins_anew": told.begins_anew,
        "compared_with": told.compared_with,
        "left": told.left,
        "figures": {name: wire_figure(figure) for name, figure in told.figures.items()},
    }
