"""One pass over a scored archive, to its figures. Memory is bounded whatever the number of rows.

No clock is read and nothing is random: the same rows give the same figures.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from model.labels import LABELS, SENTIMENTS, SIGNS
from serving.archives.chunks import Scored
from serving.archives.figures import Failure, Figures, Group, Quote, beginning
from serving.archives.row import Message
from serving.scoring import Thresholds, balanced

OTHERS = "…"
"""Channels, and kinds of errors, after the first fifty."""

MOST_EXAMPLES = 3
_MOST_NAMES = 50
_MOST_DAYS = 366
_EXCERPT = 400
_BATCH = 10_000
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|«[^»]*»|“[^”]*”""")
_NUMBER = re.compile(r"\d[\d,.]*")


def gather(
    rows: Iterable[Scored],
    thresholds: Thresholds,
    evidence: Collection[tuple[str, str]] = frozenset(),
) -> Figures:
    """Read all rows of the output once, in order.

    Args:
        rows: of the chunks' files.
        thresholds: the model's, for the message signs.
        evidence: customer and id of the messages whose texts are wanted. A message without an id
            goes by the number of its row, from 1.
    """
    gathering = _Gathering(thresholds, evidence)
    with closing(_Texts()) as texts:
        for number, row in enumerate(rows, 1):
            if (message := gathering.add(number, row)) is not None:
                texts.add(message.text)
        gathering.figures.distinct_texts = texts.count()
    return gathering.finish()


class _Gathering:
    """Figures that are being gathered."""

    def __init__(self, thresholds: Thresholds, evidence: Collection[tuple[str, str]]) -> None:
        self.figures = Figures()
        self._limits = {sign: balanced(thresholds, sign) for sign in SIGNS}
        self._wanted = evidence
        self._failures: dict[str, list[int]] = {}
        self._strongest = {label: _Strongest() for label in LABELS}

    def add(self, number: int, row: Scored) -> Message | None:
        """The message in the row, if a customer wrote it."""
        figures = self.figures
        figures.rows += 1
        figures.sources[row.source] += 1
        if row.error is not None:
            self._fail(number, row.error)
        elif row.message is None:
            figures.silent += 1
        elif row.message.direction == "out":
            figures.outgoing += 1
        else:
            self._count(row.message, row.scores)
            self._quote(number, row.message, row.scores)
            return row.message
        return None

    def finish(self) -> Figures:
        figures = self.figures
        figures.examples = {
            label: strongest.quotes() for label, strongest in self._strongest.items()
        }
        figures.failures = [Failure(kind, *found) for kind, found in self._failures.items()]
        figures.failures.sort(key=lambda failure: (-failure.rows, failure.first_row))
        return figures

    def _fail(self, number: int, error: str) -> None:
        self.figures.failed += 1
        kind = _name_in(self._failures, kind_of(error))
        self._failures.setdefault(kind, [0, number])[0] += 1

    def _count(self, message: Message, result: Mapping[str, Any]) -> None:
        figures, labels = self.figures, result["labels"]
        sentiment = max(SENTIMENTS, key=result.__getitem__)
        hostile = "abuse" in labels or "threat" in labels
        accusing = not hostile and "accusation" in labels
        for group in self._groups(message, result["language"]):
            group.add(hostile, accusing, sentiment == "negative", result["needs_review"])
        figures.labels.update(labels)
        figures.sentiments[sentiment] += 1
        figures.signs.update(s for s, limit in self._limits.items() if result[s] >= limit)
        figures.truncated += result["truncated"]
        figures.nameless += message.customer is None
        figures.unread.update(message.unread)
        figures.models.add(result["model"])

    def _groups(self, message: Message, language: str) -> Iterator[Group]:
        figures = self.figures
        yield figures.every
        yield figures.languages.setdefault(language, Group())
        channel = _name_in(figures.channels, message.channel)
        yield figures.channels.setdefault(channel, Group())
        if message.at is None:
            figures.untimed += 1
            return
        first, last = figures.first_at, figures.last_at
        figures.first_at = message.at if first is None else min(first, message.at)
        figures.last_at = message.at if last is None else max(last, message.at)
        day = datetime.fromtimestamp(message.at, UTC).date()
        yield figures.months.setdefault(beginning(day, "month"), Group())
        if figures.days is not None:
            yield figures.days.setdefault(day, Group())
            if len(figures.days) > _MOST_DAYS:
                figures.days = None

    def _quote(self, number: int, message: Message, result: Mapping[str, Any]) -> None:
        key = message.customer or "", message.id or str(number)
        wanted = key in self._wanted
        labels = tuple(result["labels"])
        if not labels and not wanted:
            return
        text = message.text[:_EXCERPT] + "…" * (len(message.text) > _EXCERPT)
        kind = result["threat_kind"]
        quote = Quote(number, text, labels, kind, message.at, message.channel, message.customer)
        if wanted:
            self.figures.evidence.setdefault(key, quote)
        for label in labels:
            if label != "accusation" or labels == ("accusation",):
                self._strongest[label].offer(result[label], quote)


class _Strongest:
    """The messages with the highest scores, one of each text; of equal ones the first."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, Quote]] = []

    def offer(self, score: float, quote: Quote) -> None:
        if all(kept.text != quote.text for _, kept in self._kept):
            self._kept.append((score, quote))
            self._kept.sort(key=lambda kept: -kept[0])
            del self._kept[MOST_EXAMPLES:]

    def quotes(self) -> list[Quote]:
        return [quote for _, quote in self._kept]


class _Texts:
    """Counts different texts, on disk."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a temporary file that goes when it is closed
        self._database.execute("CREATE TABLE texts (hash INTEGER PRIMARY KEY)")
        self._waiting: list[tuple[int]] = []

    def add(self, text: str) -> None:
        digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
        self._waiting.append((int.from_bytes(digest, signed=True),))
        if len(self._waiting) == _BATCH:
            self._write()

    def count(self) -> int:
        self._write()
        number: int = self._database.execute("SELECT count(*) FROM texts").fetchone()[0]
        return number

    def close(self) -> None:
        self._database.close()

    def _write(self) -> None:
        self._database.executemany("INSERT OR IGNORE INTO texts VALUES (?)", self._waiting)
        self._waiting.clear()


def kind_of(error: str) -> str:
    """An error without what is peculiar to its row: quoted values and numbers."""
    return _NUMBER.sub("#", _QUOTED.sub(OTHERS, error))


def _name_in(known: Collection[str], name: str) -> str:
    return name if name in known or len(known) < _MOST_NAMES else OTHERS
