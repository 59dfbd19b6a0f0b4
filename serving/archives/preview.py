"""What was understood of archives, in words for a terminal: to be checked before a long run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from serving.archives.chunks import cut
from serving.archives.columns import BY_CONTENT, TOLD, may_tell_direction, read_direction
from serving.archives.meaning import identity
from serving.archives.moments import DMY, MDY, Moments
from serving.archives.pipeline import Reading
from serving.archives.row import Archive, Message, Row
from serving.archives.whatsapp import WhatsAppArchive
from serving.times import wire_time

_ROWS = 1_000
_EXAMPLES = 3
_CUT = 60
_VALUES = 5
_FORMATS = {
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSON lines",
    "json": "JSON",
    "parquet": "Parquet",
    "excel": "Excel",
    "whatsapp": "WhatsApp",
    "zendesk": "Zendesk",
    "chatwoot": "Chatwoot",
}
_ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
_ORDER_BY = {
    "told": "as told",
    "found": "a number above 12 proves it",
    "others": "as in the other files",
    "default": "no date proves it; --date-order mdy reads the month first",
}
_FOUND_BY = {TOLD: "told", BY_CONTENT: "by its content: the most words that vary"}
_MISSING = {
    "customer": "No column of customers: there will be no ranking of customers (--column customer=NAME).",
    "sent_at": "No column of times: there will be no index, and no figures over time (--column sent_at=NAME).",
    "direction": "No column of directions: every message is taken as a customer's"
    " (--column direction=NAME).",
}


def preview(readings: Sequence[Reading]) -> str:
    """Format, columns, times, examples, and what cannot be computed and how to mend it.

    Archives that are understood alike are told together, by the first of them.
    """
    told = ["\n".join(_Archive(group[0], len(group) - 1).told()) for group in _alike(readings)]
    return "\n\n".join([*told, *_strangers(readings)])


def brief(readings: Sequence[Reading]) -> str:
    """The same in a line for each kind of archive, and what cannot be computed."""
    told = [
        line for group in _alike(readings) for line in _Archive(group[0], len(group) - 1).in_short()
    ]
    return "\n".join([*told, *_strangers(readings)])


def _alike(readings: Sequence[Reading]) -> Collection[list[Reading]]:
    """Archives of one format whose columns mean the same; chats only of the same company."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        key = f"{reading.archive.format} {reading.meaning} {_company(reading.archive)}"
        groups.setdefault(key, []).append(reading)
    return groups.values()


def _company(archive: Archive) -> Sequence[str]:
    """Who writes for the company in a chat; all who write where that is not known."""
    if not isinstance(archive, WhatsAppArchive):
        return ()
    return archive.people if archive.unknown_company else sorted(archive.company)


def _strangers(readings: Sequence[Reading]) -> Iterator[str]:
    """What is told as the company's name, and is no sender's in any of the chats."""
    archives = [reading.archive for reading in readings]
    chats = [archive for archive in archives if isinstance(archive, WhatsAppArchive)]
    if not chats:
        return
    senders = _some([name for chat in chats for name in chat.people])
    for name in sorted(frozenset.intersection(*(chat.names_not_here() for chat in chats))):
        yield f"  ! No sender is called {name}; senders are {senders} (--company)."


class _Archive:
    """The first rows of an archive, and what they mean."""

    def __init__(self, reading: Reading, others: int) -> None:
        self._archive = reading.archive
        self._meaning = reading.meaning
        self._others = others
        part = next(cut((reading, row) for row in reading.archive.rows()), [])
        self._rows = [row for _, row in part[:_ROWS]]
        self._messages = [reading.meaning.message(row) for row in self._rows]

    def told(self) -> Iterator[str]:
        yield self._heading()
        yield from (f"  {role:<9}  {told}" for role, told in self._columns().items())
        if unused := self._unused():
            yield f"  not used   {_some(unused)}"
        yield from (f"  {line}" for line in self._examples())
        yield from (f"  ! {line}" for line in self._warnings())

    def in_short(self) -> Iterator[str]:
        columns = (
            f"{role}: {found.column}{' (by its content)' * (found.by == BY_CONTENT)}"
            for role, found in self._meaning.columns.items()
        )
        yield "; ".join([self._heading(), *columns])
        yield from (f"  ! {line}" for line in self._warnings())

    def _heading(self) -> str:
        others = f" and {self._others:,} more like it" if self._others else ""
        kind = _FORMATS.get(self._archive.format, self._archive.format)
        return (
            f"{self._archive.source.name}{others}: {', '.join([kind, *self._archive.understood])}"
        )

    def _columns(self) -> dict[str, str]:
        """What is told of each role that has a column."""
        found = {
            role: f"{column.column} ({_FOUND_BY.get(column.by, 'by its name')})"
            for role, column in self._meaning.columns.items()
            if not self._rows or any(identity(value) for value in self._values(role))
        }
        if "direction" in found:
            found["direction"] += "".join(f"; {told}" for told in self._directions())
        if "sent_at" in found:
            hour = self._meaning.time_of_day
            found["sent_at"] += f" and {hour}" * bool(hour) + "".join(self._times())
        return found

    def _directions(self) -> Iterator[str]:
        """What each value of the first rows means."""
        column, incoming = self._meaning.columns["direction"].column, self._meaning.incoming
        values = dict.fromkeys(v for v in map(identity, self._values("direction")) if v)
        for value in list(values)[:_VALUES]:
            means = read_direction(column, value, incoming)
            if means is None:
                yield f"{_cut(value)} → not known: taken as the customer's"
            elif value != means:
                yield f"{_cut(value)} → {means}"

    def _times(self) -> Iterator[str]:
        """Zone and order, where the times of the first rows depend on them."""
        moments, values = self._meaning.moments, self._values("sent_at")
        if _differ(values, Moments(moments.order, "UTC"), Moments(moments.order, "Asia/Tokyo")):
            yield f"; no zone is named: read as {moments.timezone} (--timezone)"
        if _differ(values, Moments(DMY), Moments(MDY)):
            yield f"; {_ORDERS[moments.order]} ({_ORDER_BY[self._meaning.order_by]})"

    def _values(self, role: str) -> list[Any]:
        column = self._meaning.columns.get(role)
        return [row.fields.get(column.column) for row in self._rows] if column else []

    def _unused(self) -> list[str]:
        columns = self._archive.columns or dict.fromkeys(
            c for row in self._rows for c in row.fields
        )
        used = {found.column for found in self._meaning.columns.values()}
        return [c for c in columns if c not in used | {self._meaning.time_of_day}]

    def _examples(self) -> Iterator[str]:
        messages = [message for message in self._messages if isinstance(message, Message)]
        for message in messages[:_EXAMPLES]:
            parts = (
                message.at is not None and wire_time(message.at),
                message.customer and f"customer {_cut(message.customer)}",
                message.direction if "direction" in self._meaning.columns else "",
                message.channel,
                f"“{_cut(message.text)}”",
            )
            yield "e.g. " + " · ".join(part for part in parts if part)

    def _warnings(self) -> Iterator[str]:
        """What cannot be computed or was not understood, with what mends it."""
        if not self._rows:
            yield "It is empty: there is nothing to score."
            return
        yield from self._unknown_company()
        columns = self._meaning.columns
        yield from (told for role, told in _MISSING.items() if role not in columns)
        if "direction" not in columns:
            yield from self._possible_directions()
        for role, mend in (("sent_at", "--date-order"), ("direction", "--incoming VALUE")):
            unread = [
                str(identity(value))
                for value, message in zip(self._values(role), self._messages, strict=False)
                if isinstance(message, Message) and role in message.unread
            ]
            if unread:
                where = _first_rows(len(unread), self._rows)
                yield f"{role} is not understood in {where}: {_some(unread)} ({mend})."
        errors = Counter(message for message in self._messages if isinstance(message, str))
        for error, count in errors.most_common(_VALUES):
            yield f"{_first_rows(count, self._rows)}: {error}."

    def _unknown_company(self) -> Iterator[str]:
        if isinstance(self._archive, WhatsAppArchive) and self._archive.unknown_company:
            people = self._archive.people
            yield (
                f"Nothing tells who of {_some(people)} is the company: every sender is taken as a"
                ' customer (--company "NAME").'
            )

    def _possible_directions(self) -> Iterator[str]:
        for column in self._unused():
            values = {identity(row.fields.get(column)) for row in self._rows} - {None}
            if may_tell_direction(column) and 1 < len(values) <= _VALUES:
                shown = _some(sorted(map(str, values)))
                yield (
                    f"{column} may be the direction, but says {shown}: name those that mean from the"
                    f" customer (--column direction={column} --incoming VALUE)."
                )


def _differ(values: Sequence[Any], one: Moments, other: Moments) -> bool:
    return any(one.read(value) != other.read(value) for value in values)


def _first_rows(count: int, rows: Sequence[Row]) -> str:
    return f"{count:,} of the first {len(rows):,} rows"


def _some(values: Sequence[str]) -> str:
    different = list(dict.fromkeys(values))
    shown = ", ".join(_cut(value) for value in different[:_VALUES])
    more = len(different) - _VALUES
    return f"{shown} and {more:,} more" if more > 0 else shown


def _cut(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _CUT else f"{line[: _CUT - 1].rstrip()}…"
